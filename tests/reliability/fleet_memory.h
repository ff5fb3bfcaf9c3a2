#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <string>

namespace hone {

// What the processes of a fleet share: a file in memory, zero at first. Every run of a lease has a number,
// and the time it reports names that number: a record tells which run it is of.
struct FleetMemory {
  static constexpr uint32_t kMaxRuns = 1 << 17;

  struct Run {
    char lease_id[40];
    std::atomic<bool> finished;
  };
  std::atomic<uint32_t> begun;
  Run runs[kMaxRuns];

  static double SecondsOf(uint32_t run) { return 1e-3 + 1e-9 * run; }
  static uint32_t RunOf(double seconds) { return static_cast<uint32_t>((seconds - 1e-3) * 1e9 + 0.5); }

  static FleetMemory* Map(const std::string& path) {  // nullptr if it cannot
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof(FleetMemory)) != 0) return nullptr;
    void* memory = mmap(nullptr, sizeof(FleetMemory), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return memory == MAP_FAILED ? nullptr : static_cast<FleetMemory*>(memory);
  }
};

}  // namespace hone
