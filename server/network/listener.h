#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "proto/values/file_descriptor.h"
#include "server/execution/executor.h"
#include "server/network/connection_table.h"

namespace hone {

// Listens on "HOST:PORT" (port 0: any) with a thread of its own and hands each connection's descriptor to
// `accept`, on another: gRPC reads from a new connection in the call that gives it one, for as long as there
// is something to read, and a flood must not keep us from ending it.
//
// It exists because gRPC 1.51 stops accepting for ever once accept() has failed for want of descriptors
// (CVE-2023-4785), and lets whoever connects and says nothing keep its place: here connections are limited,
// below RLIMIT_NOFILE, strangers give way to those who come (ConnectionTable), and a failing accept is tried
// again.
class Listener {
 public:
  static constexpr int kReservedDescriptors = 256;  // for blobs, children, database

  // Fewer connections than `limits` says if descriptors do not suffice.
  static absl::StatusOr<std::unique_ptr<Listener>> Open(const std::string& address, ConnectionLimits limits);
  ~Listener();  // Stop()s

  const std::string& address() const { return address_; }  // with the real port
  void Start(std::function<void(FileDescriptor)> accept);
  void Trust(const std::string& peer) { connections_.Trust(peer); }
  void Stop();  // returns when `accept` is not called any more

 private:
  explicit Listener(const ConnectionLimits& limits) : connections_(limits), hand_over_(1, limits.count) {}
  void Loop();
  void Accept(int highest);

  std::string address_;
  FileDescriptor socket_;
  FileDescriptor stop_;
  ConnectionTable connections_;
  FileDescriptor spare_;  // given up for a moment to refuse a connection when descriptors run out
  std::function<void(FileDescriptor)> accept_;
  Executor hand_over_;
  std::thread thread_;
};

}  // namespace hone
