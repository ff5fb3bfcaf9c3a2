// A job whose measurements contradict the prior: it cuts the model again, and tunes what is new.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "compiler/compile.h"
#include "compiler/runtime/hone.h"
#include "compiler/task/evaluate.h"
#include "tests/compiler/frontend/onnx/onnx_model.h"
#include "tests/tuner/job_harness.h"

namespace hone {
namespace {

// Convolutions of 24 channels, which fill three blocks of 8, and one and a half of 16.
OnnxModel NarrowNetwork() {
  OnnxModel m;
  m.Input("x", {1, 3, 12, 12});
  const auto conv = [&](const std::string& x, const std::string& y, int64_t in, int64_t out, int64_t taps) {
    std::vector<float> weights(static_cast<size_t>(in * out * taps * taps));
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = 0.1f * std::sin(static_cast<float>(i));
    m.Floats("w_" + y, {out, in, taps, taps}, weights);
    OnnxModel::Ints(m.Node("Conv", {x, "w_" + y}, {"conv_" + y}), "pads", std::vector<int64_t>(4, taps / 2));
    m.Node("Relu", {"conv_" + y}, {y});
  };
  conv("x", "a", 3, 24, 3);
  conv("a", "b", 24, 24, 3);
  conv("b", "c", 24, 32, 1);
  conv("c", "y", 32, 24, 1);
  m.Output("y");
  return m;
}

v1::StartJob StartWith(uint32_t trials) {
  v1::StartJob start;
  start.set_job("jobs/1");
  start.set_model_display_name("narrow");
  start.mutable_spec()->set_target("host");
  start.mutable_spec()->set_threads(1);
  start.mutable_spec()->set_seed(3);
  start.mutable_spec()->mutable_budget()->set_trials(trials);
  return start;
}

constexpr uint32_t kTrials = 64;

constexpr size_t kFirstCut = kTrials / 16;  // batches: half of the trials

std::set<std::string> TasksOfFirstCut(const JobHarness& job) {
  std::set<std::string> keys;
  for (size_t i = 0; i < job.proposals.size() && i < kFirstCut; ++i) keys.insert(job.proposals[i].task_key());
  return keys;
}

// Seconds, of the module that was handed over.
double SlowestTask(const JobHarness& job) {
  double slowest = 0;
  const nlohmann::json report = nlohmann::json::parse(job.end->module().report_json());
  for (const nlohmann::json& task : report["tasks"])
    slowest = std::max(slowest, task["best_seconds"].get<double>());
  return slowest;
}

// A job one of whose tasks is so slow that it cuts again, and the number of its proposals before the first of
// a new task.
struct Recut {
  std::unique_ptr<JobHarness> job;
  size_t before = 0;
};
Recut FindRecut(const std::string& model) {
  JobHarness plain;
  plain.slow_task = "none";
  plain.Start(StartWith(kTrials), model);
  plain.Serve(kFirstCut);
  const std::set<std::string> first = TasksOfFirstCut(plain);
  for (const std::string& key : first) {
    Recut recut{std::make_unique<JobHarness>(), kFirstCut};
    recut.job->slow_task = key;
    recut.job->Start(StartWith(kTrials), model);
    recut.job->Serve();
    if (!recut.job->end || !recut.job->end->has_module() || SlowestTask(*recut.job) > 1e-4) continue;
    while (first.contains(recut.job->proposals[recut.before].task_key())) ++recut.before;
    if (!recut.job->proposals[recut.before].task_key().empty()) return recut;
  }
  return {};
}

// The job as the server would start it again, had it been killed when it had proposed and measured so many
// batches.
v1::StartJob After(const JobHarness& job, size_t batches, uint32_t trials) {
  v1::StartJob start = StartWith(trials);
  for (size_t i = 0; i < batches; ++i) {
    const v1::ProposeBatch& batch = job.proposals[i];
    v1::StoredBatch& stored = *start.add_batches();
    stored.set_number(batch.number());
    stored.set_task_key(batch.task_key());
    stored.set_kind(batch.lease().kind());
    for (const v1::ProposedTrial& trial : batch.trials()) {
      stored.add_trial_ids(trial.trial_id());
      stored.add_traces(trial.trace());
    }
  }
  for (const v1::TuningRecord& record : job.log) {
    if (record.batch() <= batches) *start.add_log() = record;
  }
  return start;
}

// The module's outputs for these inputs.
std::vector<float> RunModule(const JobHarness& job, const HostTensor& x, size_t outputs) {
  const std::string path = absl::StrCat(testing::TempDir(), "/recut_", getpid(), ".so");
  std::ofstream(path, std::ios::binary) << job.module_files.at("narrow.so");
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  unlink(path.c_str());
  std::vector<float> y(outputs + 16);
  if (library == nullptr) return y;
  const HoneModuleV1* module = reinterpret_cast<const HoneModuleV1* (*)()>(dlsym(library, "hone_module"))();
  HoneSession* session = nullptr;
  const HoneOptions options{.struct_size = sizeof(HoneOptions), .threads = 1};
  EXPECT_EQ(module->open(&options, &session), HONE_OK);
  int64_t x_shape[4] = {1, 3, 12, 12}, y_shape[4] = {1, 24, 12, 12};
  std::vector<float> in(reinterpret_cast<const float*>(x.bytes.data()),
                        reinterpret_cast<const float*>(x.bytes.data() + x.bytes.size()));
  const DLTensor input{in.data(), {kDLCPU, 0}, 4, {kDLFloat, 32, 1}, x_shape, nullptr, 0};
  DLTensor output{y.data(), {kDLCPU, 0}, 4, {kDLFloat, 32, 1}, y_shape, nullptr, 0};
  EXPECT_EQ(module->run(session, &input, 1, &output, 1), HONE_OK);
  module->close(session);
  dlclose(library);
  y.resize(outputs);
  return y;
}

TEST(RecutTest, TheModuleOfTheNewCutIsRightAndAKilledJobEndsWithTheSame) {
  OnnxModel network = NarrowNetwork();
  const std::string model = network.proto().SerializeAsString();
  const Recut recut = FindRecut(model);
  ASSERT_TRUE(recut.job) << "no task's slowness changes the cut";
  const JobHarness& whole = *recut.job;
  ASSERT_TRUE(whole.end && whole.end->has_module()) << (whole.end ? whole.end->failed().message() : "");
  EXPECT_TRUE(whole.wrong.empty()) << whole.wrong.front();
  const nlohmann::json report = nlohmann::json::parse(whole.end->module().report_json());
  EXPECT_EQ(report["verdict"], "faster");

  HostTensor x = HostTensor::Zeros(DType::kF32, {1, 3, 12, 12});
  auto* inputs = reinterpret_cast<float*>(x.bytes.data());
  for (size_t i = 0; i < x.bytes.size() / sizeof(float); ++i) inputs[i] = std::cos(static_cast<float>(i));
  const Graph graph = ImportModel(network.Files(), {}).value();
  const std::vector<HostTensor> expected = EvaluateGraph(graph, std::vector<HostTensor>{x}).value();
  const auto* values = reinterpret_cast<const float*>(expected[0].bytes.data());
  const std::vector<float> actual = RunModule(whole, x, expected[0].bytes.size() / sizeof(float));
  for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], values[i], 1e-3) << i;

  // Killed when it had cut again but stored nothing of it, and when the first new task was measured.
  for (const size_t batches : {recut.before, recut.before + 1}) {
    JobHarness again;
    again.slow_task = whole.slow_task;
    again.Start(After(whole, batches, kTrials), model);
    again.Serve();
    ASSERT_TRUE(again.end && again.end->has_module()) << (again.end ? again.end->failed().message() : "");
    ASSERT_EQ(again.proposals.size() + batches, whole.proposals.size());
    for (size_t i = 0; i < again.proposals.size(); ++i) {
      EXPECT_EQ(again.proposals[i].task_key(), whole.proposals[i + batches].task_key());
    }
    EXPECT_EQ(again.module_files.at("narrow.so"), whole.module_files.at("narrow.so"));
  }

  // With a budget by which it would not have cut again yet, a stored batch tells that it had.
  JobHarness more;
  more.slow_task = whole.slow_task;
  more.Start(After(whole, recut.before + 1, 8 * kTrials), model);
  more.Serve(1);
  if (!more.end) more.Cancel();
  more.Serve();
  ASSERT_TRUE(more.end && more.end->has_module()) << (more.end ? more.end->failed().message() : "");
  EXPECT_EQ(more.proposals.front().number(), recut.before + 2);
}

}  // namespace
}  // namespace hone
