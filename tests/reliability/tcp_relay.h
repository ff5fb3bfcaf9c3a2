#pragma once

#include <atomic>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "proto/values/file_descriptor.h"

namespace hone {

// Carries TCP connections on to a server, until one goes silent: nothing passes any more and nobody is told.
class TcpRelay {
 public:
  explicit TcpRelay(const std::string& address);  // HOST:PORT; the host must be 127.0.0.1
  ~TcpRelay();
  std::string address() const;
  // A connection of many. False if there is none.
  bool Silence(std::mt19937& random);

 private:
  struct Connection {
    FileDescriptor ends[2];
    bool silent = false;
  };
  void Accept();
  static bool Carry(Connection& connection, int from);  // false: it is closed
  void Loop();

  int server_port_ = 0, port_ = 0;
  FileDescriptor listener_;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::vector<Connection> connections_;
  std::thread thread_;
};

}  // namespace hone
