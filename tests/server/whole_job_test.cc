// The path of a job through a real hone-server process: fake hone-job, fake worker, real everything else.
#include <signal.h>
#include <sys/wait.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/values/sha256.h"
#include "tests/server/fake_worker.h"
#include "tests/server/server_process.h"

namespace hone {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class WholeJobTest : public testing::Test {
 protected:
  WholeJobTest() : server_(folder_.path() + "/data", {"--lease-seconds", "1"}) { server_.Start(); }

  Caller Admin() { return Caller(server_.Channel(server_.AdminToken())); }

  // Every trial of the job once in the log and in what the child saw; returns the trial ids of the module's
  // log.
  void CheckLog(Caller& caller, const v1::Job& job, int batches, int trials) {
    std::set<std::string> ids;
    for (const v1::TuningRecord& record : caller.Records(absl::StrCat("job = \"", job.name(), "\""))) {
      EXPECT_TRUE(ids.insert(record.trial_id()).second) << record.trial_id() << " is there twice";
      EXPECT_EQ(record.sequence(), ids.size());
    }
    for (int batch = 1; batch <= batches; ++batch) {
      for (int trial = 0; trial < trials; ++trial)
        EXPECT_EQ(ids.count(absl::StrCat("b", batch, ".", trial)), 1u);
    }
    EXPECT_EQ(job.progress().trials_done(), static_cast<uint32_t>(batches * trials));
    v1::GetModuleRequest request;
    request.set_name(job.module());
    v1::Module module;
    const grpc::Status status = caller.modules->GetModule(Caller::Context().get(), request, &module);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(module.files_size(), 1);
    const std::string content = caller.Download(module.files(0).blob().sha256());
    EXPECT_EQ(Sha256Hex(content), module.files(0).blob().sha256());
    const std::vector<std::string> seen = absl::StrSplit(content, '\n');
    EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()), ids);
    EXPECT_EQ(seen.size(), ids.size());
  }

  TemporaryFolder folder_;
  ServerProcess server_;
};

TEST_F(WholeJobTest, FromUploadToModule) {
  Caller caller = Admin();
  FakeWorker worker(server_);
  worker.Start();
  const v1::Model model = caller.CreateModel("batches=3 trials=4 rejected=1");
  const v1::Job created = caller.CreateJob(model.name(), "once");
  EXPECT_EQ(caller.CreateJob(model.name(), "once").name(), created.name());
  const v1::Job job = caller.WaitForEnd(created.name());
  EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED) << job.error();
  EXPECT_EQ(job.child_restarts(), 0u);
  CheckLog(caller, job, 3, 4);
  EXPECT_EQ(caller.Records("status = rejected").size(), 3u);
  const std::vector<v1::TuningRecord> incumbents = caller.Records("trial:incumbent");
  ASSERT_EQ(incumbents.size(), 3u);
  EXPECT_EQ(incumbents[2].trial_id(), "b3.incumbent");
  EXPECT_EQ(incumbents[2].trace(), "trace 1; fake 1 0");
  EXPECT_EQ(incumbents[2].worker(), worker.name);
}

TEST_F(WholeJobTest, KillingTheServerLosesAndRepeatsNothing) {
  server_.Stop(SIGKILL);
  ServerProcess server(folder_.path() + "/data");  // long leases: what is in flight stays the worker's
  server.Start();
  FakeWorker worker(server);
  std::string name;
  {
    Caller caller(server.Channel(server.AdminToken()));
    name = caller.CreateJob(caller.CreateModel("batches=30 trials=3").name()).name();
  }
  worker.Start();
  for (int leases : {5, 12, 20}) {
    ASSERT_TRUE(worker.WaitForLeases(leases));
    server.Stop(SIGKILL);
    server.Start();
  }
  Caller caller(server.Channel(server.AdminToken()));
  const v1::Job job = caller.WaitForEnd(name);
  EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED) << job.error();
  EXPECT_EQ(worker.repeated(), 0);
  CheckLog(caller, job, 30, 3);
}

TEST_F(WholeJobTest, KillingTheChildLosesAndRepeatsNothing) {
  FakeWorker worker(server_);
  worker.Start();
  Caller caller = Admin();
  const v1::Job job =
      caller.WaitForEnd(caller.CreateJob(caller.CreateModel("batches=4 trials=3 die_at=2").name()).name());
  EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED) << job.error();
  EXPECT_EQ(job.child_restarts(), 1u);
  EXPECT_EQ(worker.repeated(), 0);
  CheckLog(caller, job, 4, 3);
}

TEST_F(WholeJobTest, AWorkerThatDiedLosesOnlyItsLease) {
  Caller caller = Admin();
  FakeWorker worker(server_);
  // A first life that takes a lease and is never heard of again.
  Caller doomed(server_.Channel(worker.identity));
  const v1::Job created = caller.CreateJob(caller.CreateModel("batches=2 trials=3").name());
  v1::SynchronizeRequest request;
  request.set_worker(worker.name);
  *request.mutable_device() = FakeWorker::Device("test-class");
  request.set_accepts_lease(true);
  request.set_wait_seconds(10);
  v1::SynchronizeResponse response;
  const grpc::Status status = doomed.workers->Synchronize(Caller::Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.leases_size(), 1);
  EXPECT_EQ(response.leases(0).trials_size(), 3);
  EXPECT_EQ(response.leases(0).task_key(), "fake task");
  worker.Start();
  const v1::Job job = caller.WaitForEnd(created.name());
  EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED) << job.error();
  CheckLog(caller, job, 2, 3);
  EXPECT_EQ(caller.Records("attempts = 2 AND batch = 1").size(), 3u);
}

TEST_F(WholeJobTest, AWorkerThatLiesIsQuarantinedAndItsRecordsTrainNothing) {
  Caller caller = Admin();
  const v1::Job created = caller.CreateJob(caller.CreateModel("batches=2 trials=4").name());
  FakeWorker liar(server_);
  Caller mouth(server_.Channel(liar.identity));
  v1::SynchronizeRequest request;
  request.set_worker(liar.name);
  *request.mutable_device() = FakeWorker::Device("test-class");
  request.set_accepts_lease(true);
  request.set_wait_seconds(10);
  v1::SynchronizeResponse response;
  ASSERT_TRUE(mouth.workers->Synchronize(Caller::Context().get(), request, &response).ok());
  ASSERT_EQ(response.leases_size(), 1);
  v1::LeaseResult result = FakeWorker::Measure(response.leases(0));
  for (int i = 1; i < 4; ++i)
    *result.mutable_trials(i)->mutable_measurement() = result.trials(0).measurement();
  *request.add_results() = result;
  request.set_accepts_lease(false);
  ASSERT_TRUE(mouth.workers->Synchronize(Caller::Context().get(), request, &response).ok());
  request.clear_results();
  request.set_accepts_lease(true);
  request.set_wait_seconds(0);
  ASSERT_TRUE(mouth.workers->Synchronize(Caller::Context().get(), request, &response).ok());
  EXPECT_EQ(response.leases_size(), 0);

  FakeWorker honest(server_);
  honest.Start();
  const v1::Job job = caller.WaitForEnd(created.name());
  EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED) << job.error();
  CheckLog(caller, job, 2, 4);
  EXPECT_EQ(job.child_restarts(), 1u);  // it began again without the record that it had been shown
  for (const v1::TuningRecord& record : caller.Records(""))
    EXPECT_EQ(record.suspect(), record.worker() == liar.name) << record.trial_id();
  v1::DeleteJobRequest forget;
  forget.set_name(job.name());
  v1::DeleteJobResponse forgotten;
  EXPECT_TRUE(caller.jobs->DeleteJob(Caller::Context().get(), forget, &forgotten).ok());
  v1::GetJobRequest gone;
  gone.set_name(job.name());
  v1::Job none;
  EXPECT_EQ(caller.jobs->GetJob(Caller::Context().get(), gone, &none).error_code(), grpc::NOT_FOUND);
  EXPECT_FALSE(caller.Records("status=ok").empty());
  v1::ControlWorkerRequest control;
  control.set_name(liar.name);
  control.set_action(v1::WORKER_ACTION_DRAIN);
  v1::Worker worker;
  ASSERT_TRUE(caller.workers->ControlWorker(Caller::Context().get(), control, &worker).ok());
  EXPECT_EQ(worker.lies(), 3u);
  EXPECT_EQ(worker.hold(), "quarantined");  // a drain does not take the reason away
  EXPECT_THAT(worker.hold_reason(), testing::HasSubstr("it told one measurement for two trials"));
  control.set_action(v1::WORKER_ACTION_RELEASE);
  ASSERT_TRUE(caller.workers->ControlWorker(Caller::Context().get(), control, &worker).ok());
  EXPECT_EQ(worker.hold() + worker.hold_reason(), "");
  control.set_action(v1::WORKER_ACTION_REMOVE);
  ASSERT_TRUE(caller.workers->ControlWorker(Caller::Context().get(), control, &worker).ok());
  EXPECT_EQ(mouth.workers->Synchronize(Caller::Context().get(), request, &response).error_code(),
            grpc::PERMISSION_DENIED);
}

TEST_F(WholeJobTest, AResultThatComesAfterItsLeaseIsRefused) {
  Caller caller = Admin();
  const v1::Job created = caller.CreateJob(caller.CreateModel("batches=1 trials=2").name());
  FakeWorker late(server_), other(server_);
  Caller sleeper(server_.Channel(late.identity));
  v1::SynchronizeRequest request;
  request.set_worker(late.name);
  *request.mutable_device() = FakeWorker::Device("test-class");
  request.set_accepts_lease(true);
  request.set_wait_seconds(10);
  v1::SynchronizeResponse response;
  ASSERT_TRUE(sleeper.workers->Synchronize(Caller::Context().get(), request, &response).ok());
  ASSERT_EQ(response.leases_size(), 1);
  other.Start();  // gets the trials singly once the lease of 1 s is over
  const v1::Job job = caller.WaitForEnd(created.name());
  const v1::Lease lease = response.leases(0);
  request.set_accepts_lease(false);
  request.add_running_leases(lease.lease_id());
  *request.add_results() = FakeWorker::Measure(lease);
  ASSERT_TRUE(sleeper.workers->Synchronize(Caller::Context().get(), request, &response).ok());
  ASSERT_EQ(response.acknowledged_size(), 1);  // it need not be sent again
  ASSERT_EQ(response.abandon_size(), 1);
  CheckLog(caller, job, 1, 2);
  for (const v1::TuningRecord& record : caller.Records("")) EXPECT_EQ(record.worker(), other.name);
}

TEST_F(WholeJobTest, ImpossibleTimesAreNobodysBest) {
  Caller caller = Admin();
  const v1::Job created = caller.CreateJob(caller.CreateModel("batches=1 trials=1").name());
  const FakeWorker liar(server_);
  Caller worker(server_.Channel(liar.identity));
  v1::SynchronizeRequest request;
  request.set_worker(liar.name);
  *request.mutable_device() = FakeWorker::Device("test-class");
  request.set_accepts_lease(true);
  request.set_wait_seconds(10);
  for (int attempt = 0; attempt < 3; ++attempt) {
    v1::SynchronizeResponse response;
    ASSERT_TRUE(worker.workers->Synchronize(Caller::Context().get(), request, &response).ok());
    request.clear_results();
    if (response.leases_size() == 0) {  // the answer to the last lie came first
      --attempt;
      continue;
    }
    v1::LeaseResult& result = *request.add_results();
    result = FakeWorker::Measure(response.leases(0));
    result.mutable_trials(0)->mutable_measurement()->set_p20_seconds(attempt == 0   ? -1
                                                                     : attempt == 1 ? 0
                                                                                    : std::nan(""));
  }
  v1::SynchronizeResponse response;
  ASSERT_TRUE(worker.workers->Synchronize(Caller::Context().get(), request, &response).ok());
  const v1::Job job = caller.WaitForEnd(created.name());
  EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED) << job.error();
  const std::vector<v1::TuningRecord> records = caller.Records("trial = b1.0");
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].measurement().outcome(), v1::OUTCOME_INFRASTRUCTURE);
  EXPECT_EQ(records[0].attempts(), 3u);
}

TEST_F(WholeJobTest, CancelKeepsTheBestSoFar) {
  FakeWorker worker(server_);
  Caller caller = Admin();
  const v1::Job created = caller.CreateJob(caller.CreateModel("batches=100000 trials=1").name());
  worker.Start();
  ASSERT_TRUE(worker.WaitForLeases(3));
  v1::CancelJobRequest request;
  request.set_name(created.name());
  v1::Job job;
  ASSERT_TRUE(caller.jobs->CancelJob(Caller::Context().get(), request, &job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_CANCELLED);
  job = caller.WaitForEnd(created.name());
  EXPECT_EQ(job.state(), v1::JOB_STATE_CANCELLED);
  EXPECT_FALSE(job.module().empty());
}

TEST_F(WholeJobTest, AResumedJobGoesOnFromItsRecords) {
  FakeWorker worker(server_);
  const v1::Model model = Admin().CreateModel("batches=100000 trials=2 more=3");
  const v1::Job created = Admin().CreateJob(model.name());
  worker.Start();
  ASSERT_TRUE(worker.WaitForLeases(3));
  v1::ResumeJobRequest resume;
  resume.set_name(created.name());
  resume.set_request_id("once");
  const auto resumed = [&](v1::Job* job) {
    return Admin().jobs->ResumeJob(Caller::Context().get(), resume, job);
  };
  v1::Job job;
  EXPECT_EQ(resumed(&job).error_code(), grpc::FAILED_PRECONDITION);  // it runs
  v1::CancelJobRequest cancel;
  cancel.set_name(created.name());
  ASSERT_TRUE(Admin().jobs->CancelJob(Caller::Context().get(), cancel, &job).ok());
  const v1::Job cancelled = Admin().WaitForEnd(created.name());
  const uint32_t trials = cancelled.progress().trials_done();

  ASSERT_TRUE(resumed(&job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_QUEUED);
  EXPECT_GT(job.revision(), cancelled.revision());
  EXPECT_EQ(job.end_time_micros(), 0);
  EXPECT_EQ(job.module(), cancelled.module());
  server_.Stop(SIGKILL);  // what was acknowledged holds
  server_.Start();
  ASSERT_TRUE(resumed(&job).ok());  // as if the answer had been lost
  job = Admin().WaitForEnd(created.name());
  EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED) << job.error();
  Caller caller = Admin();
  CheckLog(caller, job, static_cast<int>(trials) / 2 + 3, 2);
  EXPECT_EQ(worker.repeated(), 0);

  resume.set_request_id("more");
  EXPECT_EQ(resumed(&job).error_code(), grpc::FAILED_PRECONDITION);  // it has spent its budget
  resume.mutable_budget()->set_trials(4);
  resume.mutable_budget()->set_seconds(-1);
  EXPECT_EQ(resumed(&job).error_code(), grpc::INVALID_ARGUMENT);
  resume.mutable_budget()->set_seconds(60);
  ASSERT_TRUE(resumed(&job).ok());
  EXPECT_EQ(job.spec().budget().trials(), trials + 6 + 4);
  EXPECT_EQ(job.spec().budget().seconds(), 60 + job.progress().seconds_spent());
  CheckLog(caller, Admin().WaitForEnd(created.name()), static_cast<int>(trials) / 2 + 6, 2);
}

TEST_F(WholeJobTest, ARecordIsExplainedByWhatCameBeforeIt) {
  Caller caller = Admin();
  FakeWorker worker(server_);
  worker.Start();
  const v1::Job job =
      caller.WaitForEnd(caller.CreateJob(caller.CreateModel("batches=3 trials=2").name()).name());
  const auto explain = [&](const std::string& name, v1::RecordExplanation* explanation) {
    v1::ExplainRecordRequest request;
    request.set_name(name);
    return caller.records->ExplainRecord(Caller::Context().get(), request, explanation);
  };
  v1::RecordExplanation explanation;
  const v1::TuningRecord record = caller.Records("trial=b3.1").at(0);
  const grpc::Status status = explain(record.name(), &explanation);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(explanation.record().trial_id(), "b3.1");
  EXPECT_EQ(explanation.learnt_from(), 6u);  // two batches of two trials and an incumbent
  EXPECT_EQ(explanation.predicted_seconds(), 2);
  EXPECT_EQ(explanation.features(0).feature(), "fake task, trace 1; fake 3 1");
  EXPECT_EQ(explain("records/999", &explanation).error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(explain("records/x", &explanation).error_code(), grpc::INVALID_ARGUMENT);
  v1::DeleteJobRequest request;
  request.set_name(job.name());
  v1::DeleteJobResponse deleted;
  ASSERT_TRUE(caller.jobs->DeleteJob(Caller::Context().get(), request, &deleted).ok());
  EXPECT_EQ(explain(record.name(), &explanation).error_code(), grpc::NOT_FOUND);
}

TEST_F(WholeJobTest, AChildThatAlwaysDiesFailsTheJobWithTheReason) {
  Caller caller = Admin();
  const v1::Job job = caller.WaitForEnd(caller.CreateJob(caller.CreateModel("always_die=1").name()).name());
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job.error(), HasSubstr("killed by signal 9"));
  EXPECT_EQ(job.child_restarts(), 5u);
}

TEST_F(WholeJobTest, WhatTheChildSaysOfTheModelIsTheJobsError) {
  Caller caller = Admin();
  const v1::Job job = caller.WaitForEnd(caller.CreateJob(caller.CreateModel("fail=truncated").name()).name());
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job.error(), "INVALID_ARGUMENT: truncated");
  EXPECT_EQ(job.child_restarts(), 0u);
}

// A child ends with its last word, while something is on its way to it: no death, and nothing is begun again.
TEST_F(WholeJobTest, TheLastWordOfAChildThatHearsNothingCounts) {
  Caller caller = Admin();
  FakeWorker worker(server_);
  worker.Start();
  const v1::Job job =
      caller.WaitForEnd(caller.CreateJob(caller.CreateModel("deaf=1 fail=truncated").name()).name());
  EXPECT_EQ(job.error(), "INVALID_ARGUMENT: truncated");
  EXPECT_EQ(job.child_restarts(), 0u);
}

TEST_F(WholeJobTest, ObjectsOfEndedJobsGoOnceTheyAreOldButNothingThatIsNamed) {
  FakeWorker worker(server_);
  worker.Start();
  Caller caller = Admin();
  const v1::Job ended =
      caller.WaitForEnd(caller.CreateJob(caller.CreateModel("batches=3 trials=4").name()).name());
  server_.Stop(SIGKILL);
  const auto blobs = [&] {
    int count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path() + "/data/blobs")) {
      if (!entry.is_regular_file()) continue;
      ++count;
      std::filesystem::last_write_time(entry, entry.last_write_time() - std::chrono::hours(2));
    }
    return count;
  };
  const int before = blobs();
  server_.Start();  // sweeps
  const auto swept = [&] {
    std::ifstream log(folder_.path() + "/data.log");
    const std::string text{std::istreambuf_iterator<char>(log), {}};
    return text.find("blobs_removed") != std::string::npos;
  };
  for (const absl::Time deadline = absl::Now() + absl::Seconds(20); !swept() && absl::Now() < deadline;)
    std::this_thread::yield();
  EXPECT_EQ(blobs(), 2) << "of " << before;  // the model and the module
  Caller again = Admin();
  CheckLog(again, ended, 3, 4);  // downloads the module
}

TEST_F(WholeJobTest, AGracefulStopIsQuickAndTheJobGoesOn) {
  Caller caller = Admin();
  const v1::Job created = caller.CreateJob(caller.CreateModel("batches=1 trials=2").name());
  const int status = server_.Stop(SIGTERM);  // while the child waits for a device
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_THAT(server_.Read("endpoint.json"), IsEmpty());
  server_.Start();
  FakeWorker worker(server_);
  worker.Start();
  Caller again = Admin();
  EXPECT_EQ(again.WaitForEnd(created.name()).state(), v1::JOB_STATE_SUCCEEDED);
}

}  // namespace
}  // namespace hone
