#include "tuner/search_space.h"

#include <gtest/gtest.h>

#include "tests/performance/stage_subjects.h"
#include "tests/tuner/tuning_tasks.h"
#include "tuner/features.h"

namespace hone {
namespace {

TEST(SearchSpaceTest, PointsAndTracesConvertBothWays) {
  const Target target = *FindTarget("x86-64-v3");
  for (const Task& task : {ConvTask(64, 128, 14, 3, target), StripTask(24, 144, 28, target)}) {
    const TensorProgram program = *LowerTask(task);
    const SearchSpace space(task, *FindAnchor(program));
    EXPECT_GT(space.size(), 1000);
    std::mt19937_64 random(1);
    int legal = 0;
    for (int i = 0; i < 600; ++i) {
      const Trace trace = space.TraceOf(space.Random(random));
      EXPECT_EQ(*Trace::Parse(trace.ToString()), trace);
      EXPECT_EQ(space.TraceOf(space.PointOf(trace)), trace);
      legal += std::holds_alternative<Scheduled>(Schedule(task, program, trace)) ? 1 : 0;
    }
    EXPECT_GT(legal, 15);
    const Trace by_default = DefaultTrace(task, program);
    EXPECT_EQ(space.TraceOf(space.PointOf(by_default)).Find("leaf")->operands, by_default.Find("leaf")->operands);
  }
}

// The passes of default schedules are halves of halves.
TEST(SearchSpaceTest, PassesOfTheDefaultAreInTheSpace) {
  const Task task = ConvTask(512, 512, 7, 3, FindTarget("x86-64-v4").value());
  const TensorProgram program = LowerTask(task).value();
  const Trace trace = DefaultTrace(task, program);
  ASSERT_NE(trace.Find("split"), nullptr) << trace.ToString();
  const SearchSpace space(task, FindAnchor(program).value());
  EXPECT_EQ(space.TraceOf(space.PointOf(trace)).Find("split")->operands, trace.Find("split")->operands);
}

TEST(SearchSpaceTest, NeighboursDifferInOneDecision) {
  const Task task = ConvTask(64, 64, 7, 1, *FindTarget("x86-64-v4"));
  const SearchSpace space(task, *FindAnchor(*LowerTask(task)));
  std::mt19937_64 random(2);
  const SearchSpace::Point point = space.Random(random);
  for (const SearchSpace::Point& neighbour : space.Neighbours(point)) {
    int different = 0;
    for (size_t d = 0; d < point.size(); ++d) different += point[d] != neighbour[d] ? 1 : 0;
    EXPECT_EQ(different, 1);
  }
}

TEST(SearchSpaceTest, TheDefaultIsLegalAndInTheSpaceForEveryTarget) {
  for (const TargetRow& row : TargetTable()) {
    for (const int64_t size : {56, 28, 14, 7, 1}) {
      const Task task = ConvTask(64, 256, size, 1, Target{&row});
      const TensorProgram program = *LowerTask(task);
      const Trace trace = DefaultTrace(task, program);
      EXPECT_TRUE(std::holds_alternative<Scheduled>(Schedule(task, program, trace)));
      EXPECT_EQ(trace.Find("leaf")->operands[0], "contract");
      EXPECT_FALSE(SearchSpace(task, *FindAnchor(program)).PointOf(trace).empty());
    }
  }
}

TEST(SearchSpaceTest, AlgorithmsAreProposedWhereTheyApplyAndMayBe) {
  const Target target = *FindTarget("x86-64-v4");
  const auto algorithms = [&](Task task) {
    std::set<std::string> names;
    const SearchSpace space(task, *FindAnchor(*LowerTask(task)));
    for (const SearchSpace::Decision& decision : space.decisions()) {
      if (decision.name == "algorithm") names.insert(decision.values.begin(), decision.values.end());
    }
    EXPECT_EQ(space.Saving() > 1, !names.empty());
    return names;
  };
  EXPECT_EQ(algorithms(ConvTask(64, 64, 56, 3, target)),
            (std::set<std::string>{"direct", "winograd m=2", "winograd m=4", "winograd m=5", "winograd m=6"}));
  EXPECT_EQ(algorithms(ConvTask(64, 64, 56, 5, target, 1, 2)), algorithms(ConvTask(64, 64, 56, 3, target)));   // three taps a phase
  EXPECT_TRUE(algorithms(ConvTask(64, 64, 56, 1, target)).empty());
  EXPECT_TRUE(algorithms(ConvTask(64, 64, 56, 1, target, 1, 2)).empty());
  EXPECT_EQ(algorithms(ConvTask(256, 512, 14, 1, target)), (std::set<std::string>{"direct", "strassen levels=1", "strassen levels=2"}));
  Task exact_product = ConvTask(256, 512, 14, 1, target);
  exact_product.policy = AlgorithmPolicy::kExact;
  EXPECT_TRUE(algorithms(exact_product).empty());
  Task exact = ConvTask(64, 64, 56, 3, target);
  exact.policy = AlgorithmPolicy::kExact;
  EXPECT_TRUE(algorithms(exact).empty());
}

TEST(FeaturesTest, EveryRowHasAFiniteValueAndAnOwnName) {
  std::set<std::string_view> names;
  for (const FeatureRow& row : FeatureTable()) EXPECT_TRUE(names.insert(row.name).second) << row.name;
  const Target target = *FindTarget("x86-64-v4");
  for (const Task& task : {ConvTask(64, 64, 14, 3, target), StripTask(24, 144, 28, target)}) {
    const TaskSearch search = SearchOf(task);
    const auto scheduled = Schedule(search.task(), search.program(), search.default_trace());
    const Roofline roofline = Roofline::Of(Device(), search.task().target);
    const Anchor anchor = *FindAnchor(search.program());
    const std::vector<float> values = FeaturesOf({anchor, std::get<Scheduled>(scheduled).statistics, search.default_trace(), roofline, 1});
    ASSERT_EQ(values.size(), FeatureTable().size());
    for (const float value : values) EXPECT_TRUE(std::isfinite(value));
  }
  EXPECT_EQ(FeatureVersion().size(), 16u);
}

TEST(PriorTest, IsAboveTheFloorAndPrefersEnoughAccumulators) {
  const Task task = ConvTask(256, 256, 14, 1, *FindTarget("x86-64-v4"));
  const TensorProgram program = *LowerTask(task);
  const Roofline roofline = Roofline::Of(Device(), task.target);
  const auto prior = [&](const std::string& leaf) {
    const auto scheduled = Schedule(task, program, *Trace::Parse("trace 1; algorithm direct; " + leaf + "; order m,n; block m 4; parallel m"));
    const NestStatistics& statistics = std::get<Scheduled>(scheduled).statistics;
    const double seconds = PriorSeconds(statistics, roofline, 1);
    EXPECT_GT(seconds, FloorSeconds(statistics, roofline, 1));
    return seconds;
  };
  EXPECT_LT(prior("leaf contract mr=14 nv=2 vw=16 hold=b ku=2 rows=affine"), prior("leaf contract mr=2 nv=2 vw=16 hold=b ku=2 rows=affine"));
}

// The expanded image of 9.6 MB would leave the second-level cache, that of 0.6 MB stays.
TEST(PriorTest, SeesWhatStripsSave) {
  const Target target = *FindTarget("x86-64-v4");
  Device device;
  device.l1d_bytes = 48 << 10;
  device.l2_bytes = 2 << 20;
  device.l3_bytes = 64 << 20;
  device.calibration = {.fma_gflops = {{"x86-64-v4", 220}}, .l1_read_gbps = 250, .l2_read_gbps = 180, .l3_read_gbps = 28, .dram_read_gbps = 10};
  const Roofline roofline = Roofline::Of(device, target);
  const auto prior = [&](const Task& task) {
    const TensorProgram program = *LowerTask(task);
    const auto scheduled = Schedule(task, program, DefaultTrace(task, program));
    return PriorSeconds(std::get<Scheduled>(scheduled).statistics, roofline, 1);
  };
  const auto ratio = [&](int64_t size) {
    const Task depthwise = OneOperator(target, "depthwise_conv2d", {{{1, 192, size, size}}, {{192, 1, 3, 3}, true}}, WindowAttrs(1, 1), true);
    return prior(StripTask(32, 192, size, target)) /
           (prior(ConvTask(32, 192, size, 1, target)) + prior(depthwise) + prior(ConvTask(192, 32, size, 1, target)));
  };
  EXPECT_LT(ratio(112), 0.85);
  EXPECT_GT(ratio(28), 0.95);
}

TEST(PriorTest, SeesWhatWinogradSaves) {
  const Task task = ConvTask(128, 128, 28, 3, *FindTarget("x86-64-v4")), strided = ConvTask(128, 128, 56, 3, task.target, 1, 2);
  const Roofline roofline = Roofline::Of(Device(), task.target);
  const auto prior = [&](const Task& task, const std::string& algorithm) {
    const TensorProgram program = *LowerTask(task);
    const auto scheduled = Schedule(task, program, *Trace::Parse("trace 1; algorithm " + algorithm +
        "; leaf contract mr=14 nv=2 vw=16 hold=b ku=4 rows=affine; order n,m; parallel m"));
    const NestStatistics& statistics = std::get<Scheduled>(scheduled).statistics;
    EXPECT_GT(PriorSeconds(statistics, roofline, 1), FloorSeconds(statistics, roofline, 1, SearchSpace(task, *FindAnchor(program)).Saving()));
    return PriorSeconds(statistics, roofline, 1);
  };
  const double four = prior(task, "winograd m=4 tiles=28");
  EXPECT_LT(four, prior(task, "direct") / 2);
  EXPECT_LT(four, prior(task, "winograd m=2 tiles=28"));
  const double of_phases = prior(strided, "winograd m=4 tiles=28");
  EXPECT_LT(of_phases, prior(strided, "direct") / 1.2);
  EXPECT_GT(of_phases, four);
}

// Kernels that are transformed when they are used cost sums, and a quarter of the reading.
TEST(PriorTest, SeesWhatGivenKernelsSave) {
  const Task task = ConvTask(512, 512, 7, 3, *FindTarget("x86-64-v4"));
  const TensorProgram program = *LowerTask(task);
  const auto prior = [&](double dram_gbps, const std::string& kernels) {
    Device device;
    device.l2_bytes = 1 << 20;
    device.calibration = {.fma_gflops = {{"x86-64-v4", 220}},
                          .l1_read_gbps = 250,
                          .l2_read_gbps = 180,
                          .dram_read_gbps = dram_gbps};
    const auto scheduled = Schedule(
        task, program,
        *Trace::Parse("trace 1; algorithm winograd m=4 tiles=4" + kernels +
                      "; leaf contract mr=4 nv=2 vw=16 hold=b ku=4 rows=affine; order n,m; parallel m"));
    const NestStatistics& statistics = std::get<Scheduled>(scheduled).statistics;
    EXPECT_EQ(statistics.constant_bytes, 4.0 * 512 * 512 * (kernels.empty() ? 36 : 9));
    return PriorSeconds(statistics, Roofline::Of(device, task.target), 1);
  };
  EXPECT_LT(prior(2, " kernels=given"), prior(2, "") / 2);
  EXPECT_LT(prior(5, " kernels=given"), prior(5, "") * 0.7);
  EXPECT_GT(prior(100, " kernels=given"), prior(100, ""));
}

TEST(ZeroTrialTest, TilesGoAcrossTheRowsOfSmallImages) {
  const Target target = FindTarget("x86-64-v4").value();
  const auto rows = [](const TaskSearch& search) {
    return search.default_trace().Find("leaf")->Option("rows");
  };
  EXPECT_EQ(rows(SearchOf(ConvTask(2048, 512, 7, 1, target))), "table");
  EXPECT_EQ(rows(SearchOf(ConvTask(256, 64, 56, 1, target))), "affine");
}

TEST(ZeroTrialTest, WinogradWhereThePriorSeesAClearGain) {
  const Target target = FindTarget("x86-64-v4").value();
  const auto algorithm = [](const TaskSearch& search) { return search.default_trace().Find("algorithm")->operands[0]; };
  EXPECT_EQ(algorithm(SearchOf(ConvTask(64, 64, 56, 3, target))), "winograd");
  EXPECT_EQ(algorithm(SearchOf(ConvTask(64, 64, 56, 3, target, /*threads=*/2))), "winograd");
  EXPECT_EQ(algorithm(SearchOf(ConvTask(256, 64, 56, 1, target))), "direct");
  EXPECT_EQ(algorithm(SearchOf(ConvTask(512, 512, 14, 3, target, 1, /*stride=*/2))), "direct");   // too many weights to read
}

TEST(ZeroTrialTest, ExactTasksStayDirect) {
  Task task = ConvTask(64, 64, 56, 3, FindTarget("x86-64-v4").value());
  EXPECT_FALSE(WinogradTraces(task, LowerTask(task).value()).empty());
  task.policy = AlgorithmPolicy::kExact;
  EXPECT_TRUE(WinogradTraces(task, LowerTask(task).value()).empty());
  EXPECT_EQ(SearchOf(std::move(task)).default_trace().Find("algorithm")->operands[0], "direct");
}

}  // namespace
}  // namespace hone
