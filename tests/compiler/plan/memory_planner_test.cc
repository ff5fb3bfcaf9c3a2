#include "compiler/plan/memory_planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace hone {
namespace {

TEST(MemoryPlannerTest, BuffersThatLiveTogetherNeverOverlap) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<MemoryRequest> requests(random() % 60);
    int64_t total = 0, largest = 0;
    for (MemoryRequest& r : requests) {
      r.bytes = random() % 3 == 0 ? random() % 100 : random() % 100000;
      r.first = static_cast<int>(random() % 40);
      r.last = r.first + static_cast<int>(random() % 10);
      total += AlignBuffer(r.bytes);
      largest = std::max(largest, AlignBuffer(r.bytes));
    }
    const MemoryLayout layout = PlanMemory(requests);
    ASSERT_EQ(layout.offsets.size(), requests.size());
    EXPECT_LE(layout.bytes, total);
    EXPECT_GE(layout.bytes, largest);
    for (size_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ(layout.offsets[i] % kBufferAlignment, 0);
      EXPECT_GE(layout.offsets[i], 0);
      EXPECT_LE(layout.offsets[i] + requests[i].bytes, layout.bytes);
      for (size_t j = i + 1; j < requests.size(); ++j) {
        if (requests[i].first > requests[j].last || requests[j].first > requests[i].last) continue;
        const bool apart = layout.offsets[i] + requests[i].bytes <= layout.offsets[j] ||
                           layout.offsets[j] + requests[j].bytes <= layout.offsets[i];
        EXPECT_TRUE(apart) << i << " and " << j << " in round " << round;
      }
    }
  }
}

TEST(MemoryPlannerTest, AChainNeedsItsTwoLargestNeighbours) {
  // Buffer i lives during the steps i and i + 1, as in a chain of layers.
  const std::vector<MemoryRequest> requests = {{640, 0, 1}, {6400, 1, 2}, {1280, 2, 3}, {640, 3, 4}, {128, 4, 5}};
  EXPECT_EQ(PlanMemory(requests).bytes, 6400 + 1280);
}

TEST(MemoryPlannerTest, TheSmallestGapThatFitsIsTaken) {
  // 0, 1 and 2 stack up; at step 5 only 1 still lives, so a gap of 512 lies below it and one of 256 above.
  const std::vector<MemoryRequest> requests = {{512, 0, 4}, {384, 0, 9}, {256, 0, 4}, {256, 5, 5}, {192, 5, 5}};
  const MemoryLayout layout = PlanMemory(requests);
  EXPECT_EQ(layout.bytes, 512 + 384 + 256);
  EXPECT_EQ(layout.offsets[3], 0);
  EXPECT_EQ(layout.offsets[4], 256);
}

TEST(MemoryPlannerTest, NothingNeedsNothing) { EXPECT_EQ(PlanMemory({}).bytes, 0); }

}  // namespace
}  // namespace hone
