#include "tuner/prior.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "compiler/schedule/schedule.h"
#include "tests/tuner/tuning_tasks.h"
#include "tuner/zero_trial.h"

namespace hone {
namespace {

// 100 GFLOP/s, caches at 400, 200, 50 and 10 GB/s.
Roofline SomeMachine() {
  return {.gflops = 100, .cycle_seconds = 1e-9, .l1_gbps = 400, .l2_gbps = 200, .l3_gbps = 50, .dram_gbps = 10,
          .l1_bytes = 1 << 15, .l2_bytes = 1 << 20, .l3_bytes = 1 << 25, .fork_join_seconds = 1e-6};
}

TEST(PriorTest, TheBusiestThreadCounts) {
  NestStatistics s{.flops = 1e9, .executed_flops = 1e9};
  const auto seconds = [&](double pieces, int threads) {
    s.parallel_pieces = pieces;
    return PriorSeconds(s, SomeMachine(), threads);
  };
  const double one = seconds(1, 1);
  EXPECT_NEAR(seconds(1, 2), one, one * 1e-3);
  EXPECT_NEAR(seconds(2, 2), one / 2, one * 1e-3);
  EXPECT_NEAR(seconds(5, 2), one * 3 / 5, one * 1e-3);
  EXPECT_NEAR(seconds(7, 3), one * 3 / 7, one * 1e-3);
}

TEST(PriorTest, ThreadsReadWholeWhatIsNotSharedOut) {
  NestStatistics s{.input_bytes = 4e6, .constant_bytes = 4e6, .parallel_pieces = 8};
  const auto seconds = [&](double input_parts, double constant_parts, int threads) {
    s.input_parts = input_parts;
    s.constant_parts = constant_parts;
    return PriorSeconds(s, SomeMachine(), threads);
  };
  const double one = seconds(1, 1, 1);
  EXPECT_NEAR(seconds(8, 1, 2), one * 3 / 4, one * 0.01);   // half of the inputs, all constants
  EXPECT_NEAR(seconds(1, 8, 2), one * 3 / 4, one * 0.01);
  EXPECT_NEAR(seconds(2, 4, 4), one / 2, one * 0.01);
  EXPECT_NEAR(seconds(1, 1, 2), one, one * 0.01);
}

// 8 MB of constants of a small model, and of one that has left the third-level cache.
TEST(PriorTest, WhatComesFromMemoryIsLessHidden) {
  NestStatistics s{.flops = 2e8, .executed_flops = 2e8, .constant_bytes = 8e6};
  const auto added = [&](double model_bytes) {
    Roofline machine = SomeMachine();
    machine.model_constant_bytes = model_bytes;
    const double constants = s.constant_bytes / (machine.BandwidthFor(std::max(s.constant_bytes, model_bytes)) * 1e9);
    return (PriorSeconds(s, machine, 1) - 2e8 / 97e9) / constants;   // the part of reading that is waited for
  };
  EXPECT_NEAR(added(0), 0.2, 0.01);
  EXPECT_NEAR(added(1e9), 0.52, 0.02);
}

TEST(PriorTest, ALongPanelIsEvictedBeforeItsUses) {
  NestStatistics s{.flops = 2e8, .executed_flops = 2e8, .constant_bytes = 8e6, .leaf_calls = 1};
  const auto seconds = [&](double panel_bytes) {
    s.b_panel_bytes = panel_bytes;
    return PriorSeconds(s, SomeMachine(), 1);
  };
  EXPECT_NEAR(seconds(1 << 16), seconds(1 << 12), 1e-6);
  EXPECT_GT(seconds(1 << 19), seconds(1 << 16) + 5e-5);
}

// Each of two blocks of tiles reads all constants again, unless the other thread has it.
TEST(PriorTest, BlocksReadConstantsAgain) {
  NestStatistics s{.flops = 2e8, .executed_flops = 2e8, .constant_bytes = 4e6, .leaf_calls = 1, .b_reads = 2,
                   .parallel_pieces = 2, .transform_footprint = 1e6};
  const double alone = PriorSeconds(s, SomeMachine(), 1), shared = PriorSeconds(s, SomeMachine(), 2);
  s.b_reads = 1;
  EXPECT_GT(alone, PriorSeconds(s, SomeMachine(), 1) + 5e-5);
  EXPECT_EQ(shared, PriorSeconds(s, SomeMachine(), 2));
}

TEST(PriorTest, TemporariesStayInTheSecondLevelCache) {
  NestStatistics s{.flops = 2e8, .executed_flops = 2e8, .transform_bytes = 4e6};
  const auto seconds = [&](double footprint) {
    s.transform_footprint = footprint;
    return PriorSeconds(s, SomeMachine(), 1);
  };
  EXPECT_GT(seconds(3 << 20), seconds(1 << 20) + 2e-4);   // two thirds of 4 MB, four times, at 50 GB/s
}

TEST(DirectTracesTest, AreSchedulesThatShareOutRowsOrPanels) {
  const Target target = FindTarget("x86-64-v4").value();
  Task task = ConvTask(960, 160, 28, 1, target);
  EXPECT_TRUE(DirectTraces(task, LowerTask(task).value()).empty());
  task = ConvTask(960, 160, 7, 1, target);
  const std::vector<Trace> alone = DirectTraces(task, LowerTask(task).value());
  EXPECT_FALSE(alone.empty());
  for (const Trace& trace : alone) EXPECT_EQ(trace.Find("leaf")->Option("rows"), "table") << trace.ToString();
  task.threads = 2;
  const TensorProgram program = LowerTask(task).value();
  std::set<double> constant_parts;
  for (const Trace& trace : DirectTraces(task, program)) {
    const auto scheduled = Schedule(task, program, trace);
    ASSERT_TRUE(std::holds_alternative<Scheduled>(scheduled)) << trace.ToString();
    constant_parts.insert(std::get<Scheduled>(scheduled).statistics.constant_parts);
  }
  EXPECT_EQ(constant_parts, (std::set<double>{1, 4, 5, 10}));
}

TEST(PriorTest, InAModelRowsLieWithTheThreadThatComputedThem) {
  NestStatistics s{.input_bytes = 4e5, .output_bytes = 4e5, .parallel_pieces = 8, .constant_parts = 8};
  const auto added = [&](double input_parts, int threads) {
    s.input_parts = input_parts;
    return ModelSeconds(s, SomeMachine(), threads) - PriorSeconds(s, SomeMachine(), threads);
  };
  EXPECT_EQ(added(8, 2), 0);
  EXPECT_EQ(added(1, 1), 0);
  EXPECT_NEAR(added(1, 2), 1.8e-5, 1e-9);  // half of the inputs at 12.5 GB/s, a quarter of the outputs at 50
  EXPECT_GT(added(1, 4), added(1, 2));
}

// Panels that come from beyond the second-level cache are cut into passes, short enough to wait there for their uses.
TEST(DefaultTraceTest, PanelsFromAfarAreShort) {
  const Target target = FindTarget("x86-64-v4").value();
  const auto panel_bytes = [&](int64_t channels, int64_t size) {
    const Task task = ConvTask(channels, channels, size, 3, target);
    const TensorProgram program = LowerTask(task).value();
    const auto scheduled = Schedule(task, program, DefaultTrace(task, program));
    return std::get<Scheduled>(scheduled).statistics.b_panel_bytes;
  };
  const auto l2 = static_cast<double>(target.row->l2_bytes);
  EXPECT_LE(panel_bytes(512, 7), l2 / 8);
  EXPECT_LE(panel_bytes(256, 14), l2 / 8);
  EXPECT_EQ(panel_bytes(112, 28), 9 * 112 * 32 * 4);   // all of them lie near
}

// Five panels of two vectors are no two equal parts.
TEST(ZeroTrialTest, PicksPiecesThatThreadsDivide) {
  const Target target = FindTarget("x86-64-v4").value();
  Task task = ConvTask(960, 160, 7, 1, target);
  task.threads = 2;
  const TensorProgram program = LowerTask(task).value();
  const Roofline xeon = {.gflops = 236, .cycle_seconds = 64 / 236e9, .l1_gbps = 280, .l2_gbps = 181, .l3_gbps = 29, .dram_gbps = 11,
                         .l1_bytes = 3 << 14, .l2_bytes = 1 << 21, .l3_bytes = 1 << 26, .model_constant_bytes = 14e6,
                         .fork_join_seconds = 6e-7};
  const auto scheduled = Schedule(task, program, PickZeroTrial(task, program, *FindAnchor(program), xeon).trace);
  ASSERT_TRUE(std::holds_alternative<Scheduled>(scheduled));
  const double pieces = std::get<Scheduled>(scheduled).statistics.parallel_pieces;
  EXPECT_EQ(std::ceil(pieces / 2) / pieces, 0.5) << pieces;
}

// Each part of the task by Strassen's algorithm, in one parallel loop.
TEST(ZeroTrialTest, ConsidersStrassenForThreads) {
  const Target target = FindTarget("x86-64-v4").value();
  for (const int threads : {1, 2}) {
    Task task = ConvTask(256, 1024, 14, 1, target);
    task.threads = threads;
    const TensorProgram program = LowerTask(task).value();
    std::set<double> parts;
    for (const Trace& trace : StrassenTraces(task, program)) {
      const auto scheduled = Schedule(task, program, trace);
      ASSERT_TRUE(std::holds_alternative<Scheduled>(scheduled)) << trace.ToString();
      EXPECT_EQ(std::get<Scheduled>(scheduled).nest.kernels.size(), 1u);
      parts.insert(std::get<Scheduled>(scheduled).statistics.constant_parts);
    }
    EXPECT_EQ(parts, threads == 1 ? std::set<double>{1} : (std::set<double>{1, 2}));
  }
}

}  // namespace
}  // namespace hone
