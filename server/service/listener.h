#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "proto/values/file_descriptor.h"

namespace hone {

// Listens on "HOST:PORT" (port 0: any) with a thread of its own and hands each connection's descriptor to
// `accept`.
//
// It exists because gRPC 1.51 stops accepting for ever once accept() has failed for want of descriptors
// (CVE-2023-4785): here connections beyond a limit, kept below RLIMIT_NOFILE, are closed at once, and a
// failing accept is tried again.
class Listener {
 public:
  static constexpr int kReservedDescriptors = 256;  // for blobs, children, database

  static absl::StatusOr<std::unique_ptr<Listener>> Open(const std::string& address);
  ~Listener();  // Stop()s

  const std::string& address() const { return address_; }  // with the real port
  void Start(std::function<void(FileDescriptor)> accept);
  void Stop();  // returns when `accept` is not called any more

 private:
  Listener() = default;
  void Loop();

  std::string address_;
  FileDescriptor socket_;
  FileDescriptor stop_;
  FileDescriptor spare_;  // given up for a moment to refuse a connection when descriptors run out
  std::function<void(FileDescriptor)> accept_;
  std::thread thread_;
};

}  // namespace hone
