// hone-job itself over a socketpair, with this process as server and worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "proto/sandbox/sandbox.h"
#include "tests/compiler/frontend/onnx/onnx_model.h"
#include "tests/tuner/job_harness.h"
#include "tests/tuner/tuning_tasks.h"
#include "tuner/features.h"
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

TEST(JobTest, WorksShutIn) {
  const HoneSandboxFaults faults = HoneSandboxProbe();
  if (faults.namespaces || faults.files || faults.calls)
    GTEST_SKIP() << "this machine lacks a layer of the sandbox";
  JobHarness job;
  job.Start(StartWith(4), Classifier());
  job.Serve(1);
  std::ifstream in(absl::StrCat("/proc/", job.pid(), "/status"));
  const std::string status{std::istreambuf_iterator<char>(in), {}};
  EXPECT_THAT(status, testing::HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, testing::HasSubstr("Seccomp:\t2"));
  EXPECT_THAT(status, testing::HasSubstr("CapPrm:\t0000000000000000"));
  std::ifstream users(absl::StrCat("/proc/", job.pid(), "/uid_map"));
  uint64_t inside = 0, outside = 0, count = 0;
  users >> inside >> outside >> count;
  EXPECT_EQ(count, 1u) << "not in a user namespace of its own";
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

// What the server has stored of a job's batches, in the first `count` of its proposals.
void AddStored(const JobHarness& job, size_t count, v1::StartJob* start) {
  for (size_t i = 0; i < count; ++i) {
    v1::StoredBatch& stored = *start->add_batches();
    stored.set_number(job.proposals[i].number());
    stored.set_task_key(job.proposals[i].task_key());
    stored.set_kind(job.proposals[i].lease().kind());
    for (const v1::ProposedTrial& trial : job.proposals[i].trials()) {
      stored.add_trial_ids(trial.trial_id());
      stored.add_traces(trial.trace());
    }
  }
  for (const v1::TuningRecord& record : job.log) *start->add_log() = record;
}

TEST(JobTest, AResumedJobTunesOnBehindItsModule) {
  JobHarness first;
  first.Start(StartWith(12), Classifier());
  first.Serve();
  ASSERT_TRUE(first.end && first.end->has_module());
  v1::StartJob again = StartWith(20);
  AddStored(first, first.proposals.size(), &again);
  again.set_resumed_after(first.proposals.back().number());
  // A batch of which nothing was measured before the job ended.
  v1::StoredBatch& dropped = *again.add_batches();
  dropped.set_number(again.resumed_after() + 1);
  dropped.set_task_key(first.proposals.front().task_key());
  dropped.set_kind(v1::LEASE_KIND_CANDIDATES);
  again.set_resumed_after(dropped.number());
  JobHarness second;
  second.Start(again, Classifier());
  second.Serve();
  ASSERT_TRUE(second.end && second.end->has_module()) << (second.end ? second.end->failed().message() : "");
  EXPECT_EQ(Trials(second), 8);
  EXPECT_EQ(second.progress.trials_done(), 20u);
  EXPECT_EQ(second.proposals.front().number(), dropped.number() + 1);
  EXPECT_EQ(second.proposals.back().lease().kind(), v1::LEASE_KIND_MODULE);
  std::set<std::string> traces;
  for (const JobHarness* job : {&first, &second}) {
    for (const v1::ProposeBatch& batch : job->proposals) {
      if (batch.task_key().empty()) continue;
      for (const v1::ProposedTrial& trial : batch.trials()) {
        EXPECT_TRUE(traces.insert(batch.task_key() + trial.trace()).second) << trial.trace();
      }
    }
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
      AddStored(first, measured, &again);
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

// Each trial of a job, explained by what the job knew when it proposed it: the very prediction, and its
// parts.
TEST(JobTest, ExplainsThePredictionsItMade) {
  JobHarness tuned;
  tuned.Start(StartWith(24), Classifier());
  tuned.Serve();
  ASSERT_TRUE(tuned.end && tuned.end->has_module());
  v1::Device device;
  device.set_device_class("test");
  device.set_target(tuned.proposals.front().target());
  device.set_cores(1);
  int learnt = 0;
  for (size_t b = 0; b < tuned.proposals.size(); ++b) {
    const v1::ProposeBatch& batch = tuned.proposals[b];
    if (batch.lease().kind() != v1::LEASE_KIND_CANDIDATES) continue;
    v1::ExplainTrial question;
    *question.mutable_start() = StartWith(24);
    *question.mutable_start()->mutable_device() = device;
    AddStored(tuned, b, question.mutable_start());
    question.mutable_start()->clear_log();
    for (const v1::TuningRecord& record : tuned.log) {
      if (record.batch() < batch.number()) *question.mutable_start()->add_log() = record;
    }
    question.set_task_key(batch.task_key());
    question.set_trace(batch.trials(0).trace());
    JobHarness asked;
    asked.Explain(question, Classifier());
    asked.Serve();
    ASSERT_TRUE(asked.end && asked.end->has_explained()) << (asked.end ? asked.end->failed().message() : "");
    EXPECT_EQ(asked.CloseAndWait(), 0);
    const v1::RecordExplanation& explanation = asked.end->explained();
    EXPECT_DOUBLE_EQ(explanation.predicted_seconds(), batch.trials(0).predicted_seconds());
    EXPECT_EQ(explanation.features_size(), static_cast<int>(FeatureTable().size()));
    double sum = std::log(explanation.prior_seconds()) + explanation.bias();
    for (const v1::FeatureEffect& feature : explanation.features()) sum += feature.effect();
    EXPECT_NEAR(sum, std::log(explanation.predicted_seconds()), 1e-4);
    EXPECT_EQ(explanation.learnt_from() == 0, b == 0);
    learnt += explanation.features(0).effect() != 0;
  }
  EXPECT_GT(learnt, 0);
}

TEST(JobTest, WhatCannotBeExplainedIsRefused) {
  v1::ExplainTrial question;
  *question.mutable_start() = StartWith(4);
  question.mutable_start()->mutable_device()->set_device_class("test");
  question.mutable_start()->mutable_device()->set_cores(1);
  question.mutable_start()->mutable_spec()->set_target("x86-64-v3");
  question.set_task_key("no such task");
  question.set_trace("trace 1; algorithm direct");
  JobHarness asked;
  asked.Explain(question, Classifier());
  asked.Serve();
  ASSERT_TRUE(asked.end && asked.end->has_failed());
  EXPECT_EQ(asked.end->failed().code(), static_cast<int>(absl::StatusCode::kFailedPrecondition));
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
