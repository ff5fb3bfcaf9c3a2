#include "compiler/plan/memory_planner.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace hone {
namespace {

bool LifetimesMeet(const MemoryRequest& a, const MemoryRequest& b) { return a.first <= b.last && b.first <= a.last; }

struct Block {
  int64_t begin, end;
};

// The start of the smallest gap between `taken` (sorted by begin, may overlap) that holds `bytes`; else their end.
int64_t BestFit(const std::vector<Block>& taken, int64_t bytes) {
  int64_t best = -1, best_gap = std::numeric_limits<int64_t>::max(), free_from = 0;
  for (const Block& block : taken) {
    const int64_t gap = block.begin - free_from;
    if (gap >= bytes && gap < best_gap) {
      best = free_from;
      best_gap = gap;
    }
    free_from = std::max(free_from, block.end);
  }
  return best >= 0 ? best : free_from;
}

}  // namespace

MemoryLayout PlanMemory(std::span<const MemoryRequest> requests) {
  MemoryLayout layout;
  layout.offsets.assign(requests.size(), 0);
  std::vector<size_t> order(requests.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return requests[a].bytes > requests[b].bytes; });
  std::vector<size_t> placed;
  for (const size_t index : order) {
    const int64_t bytes = AlignBuffer(requests[index].bytes);
    std::vector<Block> taken;
    for (const size_t other : placed) {
      if (!LifetimesMeet(requests[index], requests[other])) continue;
      taken.push_back({layout.offsets[other], layout.offsets[other] + AlignBuffer(requests[other].bytes)});
    }
    std::sort(taken.begin(), taken.end(), [](const Block& a, const Block& b) { return a.begin < b.begin; });
    layout.offsets[index] = BestFit(taken, bytes);
    layout.bytes = std::max(layout.bytes, layout.offsets[index] + bytes);
    placed.push_back(index);
  }
  return layout;
}

}  // namespace hone
