// search_bench MODEL.onnx [TRIALS [TARGET [INPUT=1,3,224,224 ...]]]
//
// What the tuner itself takes, in seconds of CPU, without compiling and measuring: the passes and the cut
// with prices, the searches of all tasks, the first batch, all batches. Times are made up from the prior, the
// same in every run. The digest is that of all that was proposed: a change that makes the tuner faster, and
// nothing else, keeps it.
#include <cmath>
#include <cstdio>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "proto/values/sha256.h"
#include "tests/performance/bench_model.h"
#include "tests/performance/task_bench.h"
#include "tuner/cost_model/booster.h"
#include "tuner/prior_costs.h"
#include "tuner/tuning_session.h"
#include "worker/device_detection.h"

namespace hone {
namespace {

// CPU time of this process: other programs beside it do not count.
class Stopwatch {
 public:
  double Seconds() const { return static_cast<double>(std::clock() - begin_) / CLOCKS_PER_SEC; }

 private:
  const std::clock_t begin_ = std::clock();
};

// The prior's time, wrong by up to a third in a way of the schedule's own.
Measurement MadeUp(const CostSample& sample, const std::string& trace) {
  const double error =
      static_cast<double>(std::stoul(Sha256Hex(trace).substr(0, 4), nullptr, 16)) / 65536 - 0.5;
  Measurement measurement;
  measurement.outcome = Outcome::kOk;
  measurement.p20_seconds = std::exp(sample.log_prior + 0.6 * error);
  return measurement;
}

void Measure(const Batch& batch, TuningSession* session) {
  const auto observe = [&](const std::string& name, const Trace& trace) {
    const CostSample sample = Must(session->tasks()[static_cast<size_t>(batch.task)].SampleOf(trace));
    TuningRecord record{.batch = batch.number, .measurement = MadeUp(sample, trace.ToString())};
    record.trial_id = absl::StrCat("b", batch.number, ".", name);
    session->Observe(record);
  };
  observe("incumbent", batch.incumbent);
  for (size_t i = 0; i < batch.drafts.size(); ++i) observe(absl::StrCat(i), batch.drafts[i].trace);
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: search_bench MODEL.onnx [TRIALS [TARGET [INPUT=dims ...]]]\n");
    return 2;
  }
  const auto trials = static_cast<uint32_t>(argc > 2 ? std::atoi(argv[2]) : 100);
  auto [options, graph] = ReadBenchModel(argv[1], argc, argv, 3);
  const Roofline roofline = Roofline::Of(DetectDevice(), options.target);
  const Stopwatch cutting;
  const CutGraph cut = Must(CutIntoTasks(std::move(graph), options, PriorCosts(roofline)));
  std::printf("cut %.3f s, %zu tasks; ", cutting.Seconds(), cut.tasks.size());
  const Stopwatch making;
  std::vector<TaskSearch> tasks;
  for (size_t i = 0; i < cut.tasks.size(); ++i) {
    tasks.push_back(Must(TaskSearch::Make(cut.tasks[i], Must(LowerTask(cut.tasks[i])),
                                          cut.WeightOf(static_cast<int>(i)), roofline)));
  }
  std::printf("searches %.3f s; ", making.Seconds());
  TuningSession session(std::move(tasks), {.budget = {.trials = trials}});
  Booster model(1);
  std::string proposed;
  double proposing = 0, learning = 0;
  for (;;) {
    const Stopwatch next;
    const std::optional<Batch> batch = Must(session.Next(0, &model));
    proposing += next.Seconds();
    if (!batch) break;
    if (batch->number == 1) std::printf("first batch %.3f s; ", proposing);
    for (const Draft& draft : batch->drafts)
      absl::StrAppend(&proposed, batch->task, " ", draft.trace.ToString(), "\n");
    const Stopwatch learn;
    Measure(*batch, &session);
    learning += learn.Seconds();
  }
  std::printf("%u trials: proposing %.3f s, learning %.3f s; digest %s\n", session.trials_done(), proposing,
              learning, Sha256Hex(proposed).substr(0, 16).c_str());
  return 0;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { return hone::Main(argc, argv); }
