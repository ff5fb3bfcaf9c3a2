#include "compiler/plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using testing::HasSubstr;

Plan TwoBuffers(int64_t second_offset) {
  Plan plan;
  plan.buffers = {{"a", BufferKind::kArena, 100, 0, 0, 1}, {"b", BufferKind::kArena, 100, second_offset, 1, 2}};
  plan.steps = {CallTask{0, {0}}, CallTask{1, {0, 1}}, CallTask{2, {1}}};
  plan.arena_bytes = 320;
  plan.scratch_bytes = 64;
  return plan;
}

TEST(PlanTest, VerifyFindsOverlapsAndWrongPlaces) {
  EXPECT_TRUE(TwoBuffers(128).Verify().ok()) << TwoBuffers(128).Verify();
  EXPECT_THAT(std::string(TwoBuffers(64).Verify().message()), HasSubstr("%0 and %1 overlap"));
  EXPECT_THAT(std::string(TwoBuffers(130).Verify().message()), HasSubstr("no proper place"));
  EXPECT_THAT(std::string(TwoBuffers(192).Verify().message()), HasSubstr("no proper place"));   // in the scratch area
}

TEST(PlanTest, VerifyFindsUsesOutsideTheLifetime) {
  Plan plan = TwoBuffers(128);
  plan.steps.push_back(CallRuntime{"copy", {0, 1}});
  EXPECT_THAT(std::string(plan.Verify().message()), HasSubstr("outside its lifetime"));
  plan = TwoBuffers(128);
  plan.steps[0] = CallTask{0, {7}};
  EXPECT_THAT(std::string(plan.Verify().message()), HasSubstr("names buffer 7"));
}

TEST(PlanTest, ViewsShareMemoryAndStayInside) {
  Plan plan = TwoBuffers(0);
  plan.steps[1] = Alias{1, 0};
  plan.buffers[0].last_step = 2;
  EXPECT_TRUE(plan.Verify().ok()) << plan.Verify();
  plan.buffers[0].last_step = 1;
  EXPECT_THAT(std::string(plan.Verify().message()), HasSubstr("outlives"));
  plan.buffers[0].last_step = 2;
  plan.buffers[1].bytes = 120;
  EXPECT_THAT(std::string(plan.Verify().message()), HasSubstr("does not lie in"));
}

// A tensor of 200 bytes, written in two parts.
TEST(PlanTest, PartsOfABufferAreWrittenOnce) {
  Plan plan;
  plan.buffers = {{"whole", BufferKind::kArena, 200, 0, 0, 4}, {"a", BufferKind::kArena, 100, 0, 0, 2},
                  {"b", BufferKind::kArena, 72, 128, 1, 3}};
  plan.steps = {Alias{1, 0}, Alias{2, 0, 128}, CallTask{0, {1}, 1}, CallTask{1, {2}, 1}, CallTask{2, {0}}};
  plan.arena_bytes = 256;
  EXPECT_TRUE(plan.Verify().ok()) << plan.Verify();
  EXPECT_THAT(plan.ToString(), HasSubstr("1: %2 views %0 from byte 128\n"));
  plan.buffers[2].offset = 64;
  EXPECT_THAT(std::string(plan.Verify().message()), HasSubstr("%2 does not lie in %0"));
  plan.steps[1] = Alias{2, 0, 64};
  EXPECT_THAT(std::string(plan.Verify().message()), HasSubstr("%2 overwrites %1"));
}

TEST(PlanTest, NestedPlansAreVerifiedAndPrinted) {
  Plan plan = TwoBuffers(128);
  plan.steps.push_back(If{1, {TwoBuffers(128), TwoBuffers(64)}});
  plan.steps.push_back(SelectBucket{0, {16, 32}, {TwoBuffers(128), TwoBuffers(128)}});
  plan.steps.push_back(EvaluateShape{3, DimExpr(7)});
  plan.buffers[1].last_step = 3;
  EXPECT_THAT(std::string(plan.Verify().message()), HasSubstr("%0 and %1 overlap"));
  EXPECT_THAT(plan.ToString(), HasSubstr("3: if %1\n    plan: arena 320 (scratch 64), constants 0 bytes\n"));
  EXPECT_THAT(plan.ToString(), HasSubstr("select size 0 <= [16, 32]"));
  EXPECT_THAT(plan.ToString(), HasSubstr("size 3 = 7"));
}

TEST(PlanTest, PrintsBuffersAndSteps) {
  EXPECT_EQ(TwoBuffers(128).ToString(),
            "plan: arena 320 (scratch 64), constants 0 bytes\n"
            "  %0 = arena 0, 100 bytes, live 0..1  # a\n"
            "  %1 = arena 128, 100 bytes, live 1..2  # b\n"
            "  0: call task 0 (%0)\n"
            "  1: call task 1 (%0, %1)\n"
            "  2: call task 2 (%1)\n");
}

}  // namespace
}  // namespace hone
