#include "tuner/measured_costs.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/compile.h"
#include "tests/compiler/graph_passes/small_networks.h"
#include "tuner/prior_costs.h"

namespace hone {
namespace {

const Target kV4 = FindTarget("x86-64-v4").value();

CutGraph CutOf(const std::string& network, const TaskCosts& costs) {
  return CutIntoTasks(FindSmallNetwork(network), {.target = kV4}, costs).value();
}

// A search of each task, whose default schedule took `factor(task)` times as long as the prior says.
template <typename Factor>
std::vector<TaskSearch> Measured(const std::vector<Task>& tasks, const TaskCosts& prior,
                                 const Factor& factor) {
  std::vector<TaskSearch> searches;
  for (const Task& task : tasks) {
    searches.push_back(
        TaskSearch::Make(task, LowerTask(task).value(), 1, Roofline::Of(Device(), kV4)).value());
    Measurement measurement;
    measurement.p20_seconds = factor(task) * prior.SecondsFor(task);
    searches.back().ObserveIncumbent(searches.back().default_trace(), measurement);
  }
  return searches;
}

double SecondsOf(const CutGraph& cut, const TaskCosts& costs) {
  double sum = 0;
  for (const TaskCall& call : cut.calls) sum += costs.SecondsFor(cut.tasks[static_cast<size_t>(call.task)]);
  return sum;
}

AnchorKind KindOf(const Task& task) { return FindAnchor(LowerTask(task).value())->kind; }

TEST(MeasuredCostsTest, WhatWasMeasuredCountsAndTheRestIsScaledLikeItsKind) {
  const PriorCosts prior(Roofline::Of(Device(), kV4));
  std::vector<Task> tasks = CutOf("narrow", prior).tasks;
  const Task unknown = tasks.front();  // a convolution, as others are
  tasks.erase(tasks.begin());
  const auto factor = [&](const Task& task) { return KindOf(task) == KindOf(unknown) ? 3 : 5; };
  const std::vector<TaskSearch> searches = Measured(tasks, prior, factor);
  const MeasuredCosts costs(searches, prior);
  for (const Task& task : tasks)
    EXPECT_DOUBLE_EQ(costs.SecondsFor(task), factor(task) * prior.SecondsFor(task));
  EXPECT_NEAR(costs.SecondsFor(unknown) / prior.SecondsFor(unknown), 3, 1e-9);
  EXPECT_DOUBLE_EQ(MeasuredCosts({}, prior).SecondsFor(unknown), prior.SecondsFor(unknown));
}

TEST(MeasuredCostsTest, TimesAsThePriorExpectsThemKeepTheCut) {
  const PriorCosts prior(Roofline::Of(Device(), kV4));
  for (const SmallNetwork& network : SmallNetworks()) {
    const CutGraph cut = CutOf(network.name, prior);
    const std::vector<TaskSearch> searches = Measured(cut.tasks, prior, [](const Task&) { return 3; });
    EXPECT_EQ(CutOf(network.name, MeasuredCosts(searches, prior)).ToString(), cut.ToString()) << network.name;
  }
}

TEST(MeasuredCostsTest, TimesThatContradictThePriorChangeTheCut) {
  const PriorCosts prior(Roofline::Of(Device(), kV4));
  int changed = 0;
  const CutGraph cut = CutOf("narrow", prior);
  for (const Task& slow : cut.tasks) {
    const std::string key = slow.Key();
    const auto factor = [&](const Task& task) { return task.Key() == key ? 1e3 : 1; };
    const std::vector<TaskSearch> searches = Measured(cut.tasks, prior, factor);
    const MeasuredCosts costs(searches, prior);
    const CutGraph again = CutOf("narrow", costs);
    EXPECT_LE(SecondsOf(again, costs), SecondsOf(cut, costs));
    if (again.ToString() == cut.ToString()) continue;
    ++changed;
    EXPECT_TRUE(std::none_of(again.tasks.begin(), again.tasks.end(), [&](const Task& task) {
      return task.Key() == key;
    })) << slow.Label();
  }
  EXPECT_GT(changed, 0);
}

}  // namespace
}  // namespace hone
