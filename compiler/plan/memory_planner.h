#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hone {

constexpr int64_t kBufferAlignment = 64;

constexpr int64_t AlignBuffer(int64_t bytes) { return (bytes + kBufferAlignment - 1) & -kBufferAlignment; }

// A block of memory that is needed during the steps first..last, both included.
struct MemoryRequest {
  int64_t bytes = 0;
  int first = 0, last = 0;
};

struct MemoryLayout {
  std::vector<int64_t> offsets;   // one per request, aligned to kBufferAlignment
  int64_t bytes = 0;              // of the whole, aligned likewise
};

// Gives requests whose lifetimes meet disjoint places. Greedy by size, best fit: the largest request first, each into
// the smallest gap that holds it (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
MemoryLayout PlanMemory(std::span<const MemoryRequest> requests);

}  // namespace hone
