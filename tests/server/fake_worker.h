#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "tests/server/server_process.h"

namespace hone {

// A worker that measures nothing: enrols, takes leases and answers with made-up times. It remembers what the
// server acknowledged, and survives the server's restarts like a real one: results are sent again until
// acknowledged.
class FakeWorker {
 public:
  FakeWorker(ServerProcess& server, const std::string& device_class = "test-class");
  ~FakeWorker();  // stops

  void Start();
  void Stop();
  // Blocks until so many leases were taken, at most 30 s; false if they were not.
  bool WaitForLeases(int count);
  // How often a trial was leased although its result had been acknowledged.
  int repeated() const { return repeated_; }

  static v1::Device Device(const std::string& device_class);
  static v1::LeaseResult Measure(const v1::Lease& lease);

  const WorkerIdentity identity;
  const std::string name = identity.name;

 private:
  void Loop();

  ServerProcess& server_;
  const std::string device_class_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> repeated_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  int leases_ = 0;
  std::thread thread_;
};

WorkerIdentity EnrolWorker(ServerProcess& server);

}  // namespace hone
