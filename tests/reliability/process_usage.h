#pragma once

#include <sys/types.h>

#include <cstdint>

namespace hone {

// What a process uses; 0 if it has gone.
uint64_t PeakBytes(pid_t pid);      // resident, so far
uint64_t ResidentBytes(pid_t pid);  // now
int OpenDescriptors(pid_t pid);
int Threads(pid_t pid);
int GrpcPoolThreads(pid_t pid);  // of them: as many as the load asked for once, at most a few per core

}  // namespace hone
