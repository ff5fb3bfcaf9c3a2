#include "tuner/tuning_session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "proto/values/sha256.h"
#include "tests/tuner/tuning_tasks.h"
#include "tuner/cost_model/booster.h"

namespace hone {
namespace {

// A made-up device: a schedule's time is its prior, bent by what its trace says, plus noise.
class FakeDevice {
 public:
  explicit FakeDevice(uint64_t seed) : random_(seed) {}

  double TrueSeconds(const TaskSearch& search, const Trace& trace) const {
    const auto scheduled = Schedule(search.task(), search.program(), trace);
    const NestStatistics& statistics = std::get<Scheduled>(scheduled).statistics;
    double seconds = 1.5 * PriorSeconds(statistics, Roofline::Of(Device(), search.task().target), search.task().threads);
    const Primitive* leaf = trace.Find("leaf");
    if (leaf->Option("hold") == "a") seconds *= 1.3;
    if (leaf->IntOption("ku", 1) == 4) seconds *= 0.9;
    if (leaf->IntOption("nv", 1) > 3) seconds *= 1.2;
    if (trace.Find("split") != nullptr) seconds *= 0.93;
    return seconds;
  }

  std::vector<TuningRecord> Measure(const TuningSession& session, const Batch& batch) {
    const TaskSearch& search = session.tasks()[static_cast<size_t>(batch.task)];
    std::vector<TuningRecord> records;
    const double incumbent = Noisy(TrueSeconds(search, batch.incumbent));
    for (size_t i = 0; i < batch.drafts.size(); ++i) {
      TuningRecord record{.batch = batch.number, .trial_id = absl::StrCat("b", batch.number, ".", i)};
      record.measurement.p20_seconds = Noisy(TrueSeconds(search, batch.drafts[i].trace));
      record.measurement.ratio_to_incumbent = record.measurement.p20_seconds / incumbent;
      records.push_back(record);
    }
    records.push_back({.batch = batch.number, .trial_id = absl::StrCat("b", batch.number, ".incumbent")});
    records.back().measurement.p20_seconds = incumbent;
    return records;   // in the order of the server's log
  }

 private:
  double Noisy(double seconds) { return seconds * (1 + 0.01 * static_cast<double>(random_() % 100) / 100); }
  std::mt19937_64 random_;
};

std::vector<TaskSearch> Tasks() {
  const Target target = *FindTarget("x86-64-v4");
  std::vector<TaskSearch> tasks;
  tasks.push_back(SearchOf(ConvTask(64, 64, 56, 3, target), 3));
  tasks.push_back(SearchOf(ConvTask(256, 64, 56, 1, target), 2));
  tasks.push_back(SearchOf(ConvTask(512, 512, 7, 3, target), 2));
  return tasks;
}

std::string Text(const Batch& batch) {
  std::string text = absl::StrCat(batch.number, " ", batch.task, " ", batch.incumbent.ToString(), "\n");
  for (const Draft& draft : batch.drafts) absl::StrAppend(&text, draft.trace.ToString(), "\n");
  return text;
}

TEST(TaskSearchTest, AnIncumbentLosesTheLuckThatChoseIt) {
  TaskSearch search = SearchOf(ConvTask(64, 64, 56, 1, *FindTarget("x86-64-v4")), 1);
  const Trace first = search.default_trace();
  Measurement measured;
  measured.p20_seconds = 1e-3;
  search.ObserveIncumbent(first, measured);
  Booster model(1);
  std::mt19937_64 random(1);
  const auto drafts = search.Propose(1, SearchStrategy::kRandom, model, random);
  ASSERT_TRUE(drafts.ok() && drafts->size() == 1) << drafts.status();
  Measurement lucky;
  lucky.p20_seconds = 6e-4, lucky.ratio_to_incumbent = 0.6, lucky.ratio_high = 0.62;
  search.Observe(drafts->front().trace, first, lucky);
  EXPECT_DOUBLE_EQ(search.best_seconds(), 6e-4);
  for (const auto& [again, best] : {std::pair(9e-4, 9e-4), {1.1e-3, 9e-4}, {8e-4, 8e-4}}) {
    measured.p20_seconds = again;
    search.ObserveIncumbent(drafts->front().trace, measured);
    EXPECT_DOUBLE_EQ(search.best_seconds(), best);
  }
  EXPECT_DOUBLE_EQ(search.default_seconds(), 1e-3);
}

TEST(TuningSessionTest, SpendsTheBudgetExactlyAndImproves) {
  SessionOptions options{.seed = 3, .budget = {.trials = 61}};
  TuningSession session(Tasks(), options);
  Booster model(3);
  FakeDevice device(5);
  for (;;) {
    const auto batch = session.Next(0, &model);
    ASSERT_TRUE(batch.ok()) << batch.status();
    if (!batch->has_value()) break;
    EXPECT_FALSE(session.BatchComplete());
    for (const TuningRecord& record : device.Measure(session, **batch)) session.Observe(record);
    EXPECT_TRUE(session.BatchComplete());
  }
  EXPECT_EQ(session.trials_done(), 61u);
  EXPECT_LE(session.PredictedSeconds(), session.DefaultPredictedSeconds());
}

TEST(TuningSessionTest, ReplayingAnyPrefixLeadsToTheSameNextBatch) {
  const SessionOptions options{.seed = 11, .budget = {.trials = 40}};
  struct Stored {
    std::string key;
    std::vector<std::string> ids, traces;
    std::vector<TuningRecord> records;
    std::string text;
  };
  std::vector<Stored> stored;
  {
    TuningSession session(Tasks(), options);
    Booster model(11);
    FakeDevice device(1);
    for (;;) {
      const auto batch = session.Next(0, &model);
      ASSERT_TRUE(batch.ok());
      if (!batch->has_value()) break;
      Stored& kept = stored.emplace_back();
      kept.key = session.tasks()[static_cast<size_t>((*batch)->task)].task().Key();
      kept.text = Text(**batch);
      for (size_t i = 0; i < (*batch)->drafts.size(); ++i) {
        kept.ids.push_back(absl::StrCat("b", (*batch)->number, ".", i));
        kept.traces.push_back((*batch)->drafts[i].trace.ToString());
      }
      kept.records = device.Measure(session, **batch);
      for (const TuningRecord& record : kept.records) session.Observe(record);
    }
  }
  ASSERT_EQ(stored.size(), 5u);
  for (size_t prefix = 0; prefix < stored.size(); ++prefix) {
    TuningSession session(Tasks(), options);
    Booster model(11);
    for (size_t b = 0; b < prefix; ++b) {
      ASSERT_TRUE(session.ReplayBatch(static_cast<uint32_t>(b + 1), stored[b].key, stored[b].ids, stored[b].traces).ok());
      for (const TuningRecord& record : stored[b].records) session.Observe(record);
    }
    const auto batch = session.Next(0, &model);
    ASSERT_TRUE(batch.ok() && batch->has_value());
    EXPECT_EQ(Text(**batch), stored[prefix].text) << "after " << prefix << " batches";
  }
}

// Retried trials come late, the incumbent's record may come first: what is proposed next does not depend on it.
TEST(TuningSessionTest, TheOrderOfABatchsRecordsDoesNotMatter) {
  std::set<std::string> next;
  for (uint64_t order = 0; order < 4; ++order) {
    TuningSession session(Tasks(), {.seed = 2, .budget = {.trials = 24}});
    Booster model(2);
    FakeDevice device(9);
    const auto batch = session.Next(0, &model);
    ASSERT_TRUE(batch.ok() && batch->has_value());
    std::vector<TuningRecord> records = device.Measure(session, **batch);
    std::mt19937_64 random(order);
    if (order > 0) std::shuffle(records.begin(), records.end(), random);
    for (size_t i = 0; i < records.size(); ++i) {
      EXPECT_FALSE(session.BatchComplete());
      session.Observe(records[i]);
    }
    ASSERT_TRUE(session.BatchComplete());
    const auto second = session.Next(0, &model);
    ASSERT_TRUE(second.ok() && second->has_value());
    next.insert(Text(**second));
  }
  EXPECT_EQ(next.size(), 1u);
}

TEST(TuningSessionTest, SlowerThanTheDefaultNeverWins) {
  TuningSession session(Tasks(), {.seed = 1, .budget = {.trials = 32}});
  Booster model(1);
  for (;;) {
    const auto batch = session.Next(0, &model);
    ASSERT_TRUE(batch.ok());
    if (!batch->has_value()) break;
    EXPECT_EQ((*batch)->incumbent, session.tasks()[static_cast<size_t>((*batch)->task)].default_trace());
    for (size_t i = 0; i <= (*batch)->drafts.size(); ++i) {
      const bool trial = i < (*batch)->drafts.size();
      TuningRecord record{.batch = (*batch)->number};
      record.trial_id = absl::StrCat("b", record.batch, ".", trial ? absl::StrCat(i) : "incumbent");
      record.measurement.p20_seconds = trial ? 1.2e-2 : 1e-2;
      if (trial) record.measurement.ratio_to_incumbent = 1.2;
      session.Observe(record);
    }
  }
  EXPECT_EQ(session.trials_done(), 32u);
  for (const TaskSearch& task : session.tasks()) EXPECT_EQ(task.best_trace(), task.default_trace());
  EXPECT_EQ(session.PredictedSeconds(), session.DefaultPredictedSeconds());
}

TEST(TuningSessionTest, FailedTrialsCountAndNeverWin) {
  TuningSession session(Tasks(), {.seed = 1, .budget = {.trials = 16}});
  Booster model(1);
  const double before = session.DefaultPredictedSeconds();
  for (;;) {
    const auto batch = session.Next(0, &model);
    ASSERT_TRUE(batch.ok());
    if (!batch->has_value()) break;
    for (size_t i = 0; i < (*batch)->drafts.size(); ++i) {
      TuningRecord record{.batch = (*batch)->number, .trial_id = absl::StrCat("b", (*batch)->number, ".", i)};
      const Outcome outcomes[] = {Outcome::kCrash, Outcome::kWrongOutput, Outcome::kTimeout, Outcome::kCompileError, Outcome::kDeviceLost};
      record.measurement.outcome = outcomes[i % 5];
      record.measurement.p20_seconds = 1e-9;
      record.measurement.ratio_to_incumbent = 0.001;
      session.Observe(record);
      session.Observe(record);   // a second time changes nothing that counts
    }
  }
  EXPECT_EQ(session.PredictedSeconds(), before);
}

TEST(TuningSessionTest, ZeroTrialsAndSpentSecondsProposeNothing) {
  Booster model(1);
  TuningSession zero(Tasks(), {.budget = {.zero_trials = true}});
  EXPECT_FALSE((*zero.Next(0, &model)).has_value());
  TuningSession late(Tasks(), {.budget = {.seconds = 10}});
  EXPECT_FALSE((*late.Next(10.5, &model)).has_value());
}

// After 32 trials of each of three tasks, over five seeds: nearer to the best than random search, in geometric mean.
TEST(TuningSessionTest, BeatsRandomSearch) {
  double log_ratio = 0;
  int count = 0;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    double seconds[2];
    for (const SearchStrategy strategy : {SearchStrategy::kEvolutionary, SearchStrategy::kRandom}) {
      TuningSession session(Tasks(), {.seed = seed, .strategy = strategy, .budget = {.trials = 96}});
      Booster model(seed);
      FakeDevice device(seed);
      for (;;) {
        const auto batch = session.Next(0, &model);
        ASSERT_TRUE(batch.ok());
        if (!batch->has_value()) break;
        for (const TuningRecord& record : device.Measure(session, **batch)) session.Observe(record);
      }
      double total = 0;
      for (const TaskSearch& task : session.tasks()) total += task.weight() * device.TrueSeconds(task, task.best_trace());
      seconds[static_cast<int>(strategy)] = total;
    }
    log_ratio += std::log(seconds[0] / seconds[1]);
    ++count;
  }
  EXPECT_LT(std::exp(log_ratio / count), 1.0);
}

}  // namespace
}  // namespace hone
