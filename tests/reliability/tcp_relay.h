#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "proto/values/file_descriptor.h"

namespace hone {

// Carries TCP connections on to a server, until one goes silent (nothing passes any more and nobody is told)
// or is cut.
class TcpRelay {
 public:
  // HOST:PORT; the host must be 127.0.0.1. Connections that have carried `cut_every` bytes to the server are
  // cut.
  explicit TcpRelay(const std::string& address, uint64_t cut_every = UINT64_MAX);
  ~TcpRelay();
  std::string address() const;
  // A connection of many. False if there is none.
  bool Silence(std::mt19937& random);
  uint64_t carried() const { return carried_; }  // bytes, to the server
  int cuts() const { return cuts_; }

 private:
  struct Connection {
    FileDescriptor ends[2];
    bool silent = false;
    uint64_t carried = 0;  // to the server
  };
  void Accept();
  bool Carry(Connection& connection, int from);  // false: it is closed
  void Loop();

  const uint64_t cut_every_;
  int server_port_ = 0, port_ = 0;
  FileDescriptor listener_;
  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> carried_ = 0;
  std::atomic<int> cuts_ = 0;
  std::mutex mutex_;
  std::vector<Connection> connections_;
  std::thread thread_;
};

}  // namespace hone
