#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace hone {

// Looks at a process's children all the time and tells of each that has held more than `limit` bytes, once.
class ChildWatch {
 public:
  ChildWatch(pid_t parent, uint64_t limit, std::function<void(pid_t, uint64_t)> exceeded);
  ~ChildWatch();

  uint64_t peak_bytes() const { return peak_; }  // of the largest child seen

 private:
  void Loop();

  const pid_t parent_;
  const uint64_t limit_;
  const std::function<void(pid_t, uint64_t)> exceeded_;
  std::atomic<uint64_t> peak_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace hone
