// hone-job itself over a socketpair, with this process as server and worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "absl/status/status.h"
#include "tests/compiler/frontend/onnx/onnx_model.h"
#include "tests/tuner/job_harness.h"
#include "tests/tuner/tuning_tasks.h"
#include "tuner/job/module_reference.h"

namespace hone {
namespace {

std::string Classifier() { return SmallClassifier().proto().SerializeAsString(); }

v1::StartJob StartWith(uint32_t trials) {
  v1::StartJob start;
  start.set_job("jobs/1");
  start.set_model_display_name("classifier");
  start.mutable_spec()->set_target("host");
  start.mutable_spec()->set_threads(1);
  start.mutable_spec()->set_seed(3);
  start.mutable_spec()->mutable_budget()->set_trials(trials);
  v1::ShapeBinding& binding = *start.mutable_spec()->add_shapes();
  binding.set_input("x");
  for (const int64_t dim : {1, 3, 8, 8}) binding.add_dims(dim);
  return start;
}

std::string TextOf(const v1::ProposeBatch& batch) {
  std::string text = batch.task_key() + batch.lease().incumbent().object().sha256();
  for (const v1::ProposedTrial& trial : batch.trials()) text += "\n" + trial.trial_id() + " " + trial.trace();
  return text;
}

int Trials(const JobHarness& job) {
  int trials = 0;
  for (const v1::ProposeBatch& batch : job.proposals) {
    if (batch.lease().kind() == v1::LEASE_KIND_CANDIDATES) trials += batch.trials_size();
  }
  return trials;
}

TEST(JobTest, TunesWithinItsBudgetAndHandsOverTheFasterModule) {
  JobHarness job;
  job.Start(StartWith(12), Classifier());
  job.Serve();
  ASSERT_TRUE(job.end && job.end->has_module()) << (job.end ? job.end->failed().message() : "");
  EXPECT_TRUE(job.wrong.empty()) << job.wrong.front();
  EXPECT_EQ(Trials(job), 12);
  EXPECT_EQ(job.progress.trials_done(), 12u);
  EXPECT_EQ(job.proposals.back().lease().kind(), v1::LEASE_KIND_MODULE);
  const std::vector<std::string> phases = {"importing", "waiting for a worker", "tuning", "compiling", "verifying"};
  EXPECT_EQ(job.phases, phases);
  const nlohmann::json report = nlohmann::json::parse(job.end->module().report_json());
  EXPECT_EQ(report["verdict"], "faster");
  EXPECT_EQ(report["trials"], 12);
  EXPECT_DOUBLE_EQ(report["tuned"]["ratio"], 0.8);
  EXPECT_EQ(report["tasks"].size(), static_cast<size_t>(job.progress.tasks_size()));
  for (const char* file : {"classifier.so", "classifier.a", "classifier.h", "hone.h", "describe.json", "report.json"}) {
    EXPECT_TRUE(job.module_files.contains(file)) << file;
  }
  EXPECT_EQ(job.CloseAndWait(), 0);
}

TEST(JobTest, NoGainIsAnAnswer) {
  JobHarness job;
  job.module_ratio = 0.99;   // its interval reaches 1
  job.Start(StartWith(4), Classifier());
  job.Serve();
  ASSERT_TRUE(job.end && job.end->has_module());
  const nlohmann::json report = nlohmann::json::parse(job.end->module().report_json());
  EXPECT_EQ(report["verdict"], "no gain");
  EXPECT_DOUBLE_EQ(report["tuned"]["ratio"], 0.99);   // what was measured is told
  const nlohmann::json described = nlohmann::json::parse(job.module_files.at("describe.json"));
  for (const nlohmann::json& task : report["tasks"]) {
    EXPECT_EQ(task["seconds"], task["default_seconds"]);
    EXPECT_LE(task["best_seconds"], task["default_seconds"]);
    EXPECT_THAT(described.dump(), testing::HasSubstr(task["trace"].get<std::string>()));
  }
}

TEST(JobTest, AKilledJobGoesOnWhereItsLogEnds) {
  JobHarness whole;
  whole.Start(StartWith(24), Classifier());
  whole.Serve();
  ASSERT_TRUE(whole.end && whole.end->has_module());
  for (const size_t measured : {size_t{1}, size_t{2}}) {
    v1::StartJob again = StartWith(24);
    {
      JobHarness first;
      first.Start(StartWith(24), Classifier());
      first.Serve(measured);
      ASSERT_GT(first.proposals.size(), measured);
      for (size_t i = 0; i < measured; ++i) {
        v1::StoredBatch& stored = *again.add_batches();
        stored.set_number(first.proposals[i].number());
        stored.set_task_key(first.proposals[i].task_key());
        stored.set_kind(first.proposals[i].lease().kind());
        for (const v1::ProposedTrial& trial : first.proposals[i].trials()) {
          stored.add_trial_ids(trial.trial_id());
          stored.add_traces(trial.trace());
        }
      }
      for (const v1::TuningRecord& record : first.log) *again.add_log() = record;
      first.Kill();
    }
    JobHarness second;
    second.Start(again, Classifier());
    second.Serve();
    ASSERT_TRUE(second.end && second.end->has_module());
    ASSERT_EQ(second.proposals.size() + measured, whole.proposals.size());
    for (size_t i = 0; i < second.proposals.size(); ++i) {
      EXPECT_EQ(second.proposals[i].number(), i + measured + 1);
      EXPECT_EQ(TextOf(second.proposals[i]), TextOf(whole.proposals[i + measured]));
    }
  }
}

TEST(JobTest, CancelledItHandsOverWhatItHas) {
  JobHarness job;
  job.Start(StartWith(1000), Classifier());
  job.Serve(1);
  job.Cancel();
  job.Serve();
  ASSERT_TRUE(job.end && job.end->has_module());
  EXPECT_LE(job.proposals.size(), 2u);
}

TEST(JobTest, AnUnsupportedModelIsItsOwnFault) {
  OnnxModel model;
  model.Input("x", {1, 4});
  model.Node("NonMaxSuppressionOfTomorrow", {"x"}, {"y"}).set_name("head");
  model.Output("y");
  JobHarness job;
  v1::StartJob start = StartWith(4);
  start.mutable_spec()->clear_shapes();
  job.Start(start, model.proto().SerializeAsString());
  job.Serve();
  ASSERT_TRUE(job.end && job.end->has_failed());
  EXPECT_EQ(job.end->failed().code(), static_cast<int>(absl::StatusCode::kUnimplemented));
  EXPECT_NE(job.end->failed().message().find("head"), std::string::npos) << job.end->failed().message();
}

TEST(JobTest, InspectsAndExits) {
  JobHarness job;
  v1::InspectModelRequest request;
  request.set_model_display_name("classifier");
  *request.mutable_shapes() = StartWith(1).spec().shapes();
  job.Inspect(request, Classifier());
  job.Serve();
  ASSERT_TRUE(job.end && job.end->has_inspected()) << (job.end ? job.end->failed().message() : "");
  EXPECT_TRUE(nlohmann::json::parse(job.end->inspected().report_json()).contains("operators"));
  EXPECT_EQ(job.CloseAndWait(), 0);
}

TEST(JobTest, EndsWithItsServer) {
  JobHarness job;
  job.Start(StartWith(100), Classifier());
  job.Serve(0);
  EXPECT_NE(job.CloseAndWait(), 0);
}

TEST(ModuleReferenceTest, ReferenceSchedulesWhereTheyEndInTimeElseTheDirectOnes) {
  const Target target = FindTarget("x86-64-v4").value();
  const auto reference = [](Task task, int calls) {
    std::vector<TaskSearch> tasks;
    tasks.push_back(SearchOf(std::move(task), calls));
    return ReferenceOf(TuningSession(std::move(tasks), {}));
  };
  const Task conv = ConvTask(64, 64, 56, 3, target);   // 0.23 GFLOP, Winograd by default
  EXPECT_EQ(reference(conv, 1).name, "reference");
  EXPECT_EQ(reference(conv, 1).traces[0], ReferenceTrace());
  EXPECT_EQ(reference(conv, 1000).name, "direct");
  EXPECT_EQ(reference(conv, 1000).traces[0], DefaultTrace(conv, LowerTask(conv).value()));
  EXPECT_EQ(reference(ConvTask(64, 64, 56, 1, target), 10000).name, "default");
}

}  // namespace
}  // namespace hone
