// The conformance suite of every Store implementation: a new one adds a row to the instantiation at the end.
#include "server/storage/store.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/storage/migrations.h"
#include "server/storage/sqlite_connection.h"
#include "server/storage/sqlite_store.h"
#include "tests/server/temporary_folder.h"

namespace hone {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

RecordRow LostRecord(const LeaseGrant& lease, const TrialRow& trial) {
  return {.job = lease.batch.job,
          .batch = lease.batch.number,
          .trial_id = trial.trial_id,
          .counted = true,
          .status = "infrastructure"};
}

struct Backend {
  const char* name;
  absl::StatusOr<std::unique_ptr<Store>> (*open)(const std::string& folder, Clock clock);
};

absl::StatusOr<std::unique_ptr<Store>> OpenSqlite(const std::string& folder, Clock clock) {
  auto store = SqliteStore::Open(
      {.path = folder + "/hone.db", .clock = std::move(clock), .make_lost_record = LostRecord});
  if (!store.ok()) return store.status();
  return std::unique_ptr<Store>(*std::move(store));
}

class StoreTest : public testing::TestWithParam<Backend> {
 protected:
  StoreTest() { Reopen(); }

  void Reopen() {
    store_.reset();
    auto store = GetParam().open(folder_.path(), [this] { return now_; });
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  void AddModel() {
    ModelRow model{.id = "m1",
                   .display_name = "net",
                   .main_file = "a.onnx",
                   .files = {{"a.onnx", {std::string(64, 'a'), 10}}}};
    ASSERT_TRUE(store_->CreateModel(model, {}).ok());
  }
  // A running job with a device class.
  void AddJob(const std::string& id, const std::string& device_class = "class") {
    ASSERT_TRUE(
        store_->CreateJob({.id = id, .model = "m1", .model_display_name = "net", .spec_bytes = "spec"}, {})
            .ok());
    ASSERT_TRUE(store_->StartJob(id).ok());
    ASSERT_TRUE(store_->ChooseDevice(id, device_class, "device").ok());
  }
  void AddBatch(const std::string& job, uint32_t number, int trials,
                BatchKind kind = BatchKind::kCandidates) {
    std::vector<TrialRow> rows;
    for (int i = 0; i < trials; ++i) {
      rows.push_back({.trial_id = absl::StrCat("b", number, ".", i),
                      .trace = absl::StrCat("trace ", i),
                      .object = {std::string(64, 'b'), 5}});
    }
    ASSERT_TRUE(store_
                    ->StoreBatch({.job = job,
                                  .number = number,
                                  .kind = kind,
                                  .objects = {"object of " + job},
                                  .proposal_bytes = "proposal",
                                  .run_seconds = 100},
                                 rows, {})
                    .ok());
  }
  void AddWorker(const std::string& id, const std::string& request_id = "") {
    RequestKey key{"enrol:owner", "Enrol", request_id, "digest"};
    ASSERT_TRUE(store_->Enrol({.id = id, .display_name = id}, key).ok());
  }
  LeaseGrant Claim(const std::string& worker, const std::string& device_class = "class") {
    auto grant = store_->ClaimLease(worker, device_class, 30);
    EXPECT_TRUE(grant.ok()) << grant.status();
    return grant.ok() && *grant ? **grant : LeaseGrant{};
  }
  static RecordRow Result(const LeaseGrant& lease, const std::string& trial, double latency = 1e-3) {
    return {.job = lease.batch.job,
            .batch = lease.batch.number,
            .trial_id = trial,
            .counted = true,
            .model = "net",
            .task_id = "t",
            .target = "x86-64-v3",
            .worker = lease.worker,
            .status = "ok",
            .latency_seconds = latency,
            .trace = "trace",
            .record_bytes = "record"};
  }
  LeaseCompletion Complete(const LeaseGrant& lease) {
    LeaseCompletion completion{.lease_id = lease.lease_id, .worker = lease.worker};
    for (const TrialRow& trial : lease.trials) completion.ended.push_back(Result(lease, trial.trial_id));
    return completion;
  }
  std::vector<std::string> LogOf(const std::string& job) {
    std::vector<std::string> ids;
    const std::vector<RecordRow> log = *store_->ListLog(job, 0);
    for (const RecordRow& record : log) {
      ids.push_back(record.trial_id);
      EXPECT_EQ(record.sequence, ids.size());
    }
    return ids;
  }

  TemporaryFolder folder_;
  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  std::unique_ptr<Store> store_;
};

TEST_P(StoreTest, MutationsHappenOncePerRequestId) {
  AddModel();
  const RequestKey key{"user:x", "CreateJob", "r1", "digest"};
  const auto first = store_->CreateJob({.id = "j1", .model = "m1"}, key);
  ASSERT_TRUE(first.ok());
  Reopen();
  const auto again = store_->CreateJob({.id = "j2", .model = "m1"}, key);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->id, "j1");
  RequestKey other = key;
  other.digest = "another";
  EXPECT_TRUE(absl::IsInvalidArgument(store_->CreateJob({.id = "j3", .model = "m1"}, other).status()));
  other.principal = "user:y";
  EXPECT_EQ(store_->CreateJob({.id = "j4", .model = "m1"}, other)->id, "j4");
  EXPECT_THAT(*store_->ListJobs(kDefaultProject, {}), SizeIs(2));
}

TEST_P(StoreTest, JobsMoveForwardOnly) {
  AddModel();
  AddJob("j1");
  EXPECT_TRUE(absl::IsFailedPrecondition(store_->StartJob("j1")));
  EXPECT_TRUE(absl::IsNotFound(store_->StartJob("none")));
  const uint64_t revision = store_->GetJob("j1")->revision;
  ASSERT_TRUE(store_->SetProgress("j1", "half").ok());
  EXPECT_GT(store_->GetJob("j1")->revision, revision);
  ModuleRow module{.id = "j1",
                   .job = "j1",
                   .model = "m1",
                   .target = "x",
                   .files = {{"net.so", {std::string(64, 'c'), 3}}}};
  ASSERT_TRUE(store_->EndJob("j1", JobState::kSucceeded, "", module).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(store_->SetProgress("j1", "more")));
  EXPECT_TRUE(absl::IsFailedPrecondition(store_->EndJob("j1", JobState::kFailed, "", std::nullopt)));
  Reopen();
  const JobRow job = *store_->GetJob("j1");
  EXPECT_EQ(job.state, JobState::kSucceeded);
  EXPECT_EQ(job.progress_bytes, "half");
  EXPECT_EQ(job.end_time, absl::ToUnixMicros(now_));
  EXPECT_EQ(store_->GetModule(job.module)->files.at(0).name, "net.so");
  EXPECT_THAT(*store_->ListModules(kDefaultProject, "j1", {}), SizeIs(1));
  EXPECT_THAT(*store_->ListModules(kDefaultProject, "j2", {}), IsEmpty());
}

TEST_P(StoreTest, AnEndedJobIsResumedFromItsRecords) {
  AddModel();
  AddWorker("w1");
  AddJob("j1");
  const RequestKey key{"user:x", "ResumeJob", "r1", "digest"};
  int extended = 0;
  const ExtendJob extend = [&](JobRow& job) {
    ++extended;
    job.spec_bytes = "more";
    job.progress_bytes = "queued";
    return absl::OkStatus();
  };
  EXPECT_TRUE(absl::IsFailedPrecondition(store_->ResumeJob("j1", extend, key).status()));
  EXPECT_TRUE(absl::IsNotFound(store_->ResumeJob("none", extend, key).status()));
  AddBatch("j1", 1, 3);
  LeaseCompletion completion = Complete(Claim("w1"));
  completion.ended.pop_back();
  ASSERT_TRUE(store_->CompleteLease(completion).ok());  // the third is queued again
  AddBatch("j1", 2, 2);
  const LeaseGrant late = Claim("w1");
  ModuleRow module{.id = "j1", .job = "j1", .model = "m1", .files = {{"a.so", {std::string(64, 'c'), 3}}}};
  ASSERT_TRUE(store_->RequestCancel("j1").ok());
  ASSERT_TRUE(store_->EndJob("j1", JobState::kCancelled, "stopped", module).ok());
  const uint64_t revision = store_->GetJob("j1")->revision;
  EXPECT_TRUE(absl::IsInvalidArgument(
      store_->ResumeJob("j1", [](JobRow&) { return absl::InvalidArgumentError("no"); }, {}).status()));
  EXPECT_EQ(store_->GetJob("j1")->revision, revision);
  EXPECT_EQ(extended, 0);

  ASSERT_TRUE(store_->ResumeJob("j1", extend, key).ok());
  Reopen();
  ASSERT_TRUE(store_->ResumeJob("j1", extend, key).ok());  // the answer was lost
  EXPECT_EQ(extended, 1);
  JobRow job = *store_->GetJob("j1");
  EXPECT_EQ(job.state, JobState::kQueued);
  EXPECT_GT(job.revision, revision);
  EXPECT_EQ(job.spec_bytes + job.progress_bytes + job.error, "morequeued");
  EXPECT_FALSE(job.cancel_requested);
  EXPECT_EQ(job.end_time, 0);
  EXPECT_EQ(job.trials_done, 2u);
  EXPECT_EQ(job.device_class, "class");
  EXPECT_EQ(job.resumed_after, 2u);
  EXPECT_EQ(store_->GetModule(job.module)->files.at(0).name, "a.so");
  ASSERT_TRUE(store_->StartJob("j1").ok());
  EXPECT_TRUE(absl::IsNotFound(store_->CompleteLease(Complete(late))));
  EXPECT_EQ(Claim("w1").lease_id, "");
  const std::vector<StoredBatchRow> batches = *store_->ListBatches("j1");
  ASSERT_THAT(batches, SizeIs(2));
  EXPECT_THAT(batches[0].trials, SizeIs(2));
  EXPECT_THAT(batches[1].trials, IsEmpty());
  EXPECT_THAT(*store_->ListReferencedBlobs(), Not(Contains("object of j1")));
  AddBatch("j1", 3, 1);
  ASSERT_TRUE(store_->CompleteLease(Complete(Claim("w1"))).ok());
  EXPECT_THAT(LogOf("j1"), ElementsAre("b1.0", "b1.1", "b3.0"));

  now_ += absl::Seconds(1);
  module.files = {{"b.so", {std::string(64, 'd'), 3}}};
  ASSERT_TRUE(store_->EndJob("j1", JobState::kSucceeded, "", module).ok());
  EXPECT_EQ(store_->ListModules(kDefaultProject, "j1", {})->at(0).files.at(0).name, "b.so");
  EXPECT_FALSE(*store_->HasClaim(kDefaultProject, std::string(64, 'c')));
  EXPECT_TRUE(*store_->HasClaim(kDefaultProject, std::string(64, 'd')));
  ASSERT_TRUE(store_->ResumeJob("j1", extend, {}).ok());
  ASSERT_TRUE(store_->StartJob("j1").ok());
  ASSERT_TRUE(store_->EndJob("j1", JobState::kFailed, "the machine", std::nullopt).ok());
  job = *store_->GetJob("j1");
  EXPECT_EQ(job.error, "the machine");
  EXPECT_EQ(store_->GetModule(job.module)->files.at(0).name, "b.so");  // that of before

  ASSERT_TRUE(store_->UpdateProject(kDefaultProject, {.max_jobs = 1}).ok());
  AddJob("j2");
  EXPECT_TRUE(absl::IsResourceExhausted(store_->ResumeJob("j1", extend, {}).status()));
  ASSERT_TRUE(store_->EndJob("j2", JobState::kFailed, "", std::nullopt).ok());
  ASSERT_TRUE(store_->DeleteModel("m1", {}).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(store_->ResumeJob("j1", extend, {}).status()));
}

TEST_P(StoreTest, CancelEndsQueuedJobsAndAsksRunningOnes) {
  AddModel();
  ASSERT_TRUE(store_->CreateJob({.id = "queued", .model = "m1"}, {}).ok());
  AddJob("running");
  EXPECT_EQ(store_->RequestCancel("queued")->state, JobState::kCancelled);
  const JobRow running = *store_->RequestCancel("running");
  EXPECT_EQ(running.state, JobState::kRunning);
  EXPECT_TRUE(running.cancel_requested);
  EXPECT_EQ(store_->RequestCancel("running")->revision, running.revision);
  EXPECT_THAT(*store_->ListJobIds(JobState::kRunning), ElementsAre("running"));
}

TEST_P(StoreTest, ModelsInUseAreNotDeleted) {
  AddModel();
  AddJob("j1");
  EXPECT_TRUE(absl::IsFailedPrecondition(store_->DeleteModel("m1", {})));
  ASSERT_TRUE(store_->EndJob("j1", JobState::kFailed, "x", std::nullopt).ok());
  ASSERT_TRUE(store_->DeleteModel("m1", {"u", "DeleteModel", "d1", "d"}).ok());
  EXPECT_TRUE(store_->DeleteModel("m1", {"u", "DeleteModel", "d1", "d"}).ok());  // the same request
  EXPECT_TRUE(absl::IsNotFound(store_->DeleteModel("m1", {})));
  EXPECT_TRUE(absl::IsNotFound(store_->GetModel("m1").status()));
  EXPECT_TRUE(absl::IsNotFound(store_->CreateJob({.id = "j2", .model = "m1"}, {}).status()));
  AddModel();
  EXPECT_EQ(store_->GetModel("m1")->files.size(), 1u);
}

TEST_P(StoreTest, BatchesAreNumberedWithoutGaps) {
  AddModel();
  AddJob("j1");
  EXPECT_TRUE(absl::IsFailedPrecondition(store_->StoreBatch({.job = "j1", .number = 2}, {}, {})));
  AddBatch("j1", 1, 2);
  EXPECT_TRUE(absl::IsFailedPrecondition(store_->StoreBatch({.job = "j1", .number = 1}, {}, {})));
  const std::vector<StoredBatchRow> batches = *store_->ListBatches("j1");
  ASSERT_THAT(batches, SizeIs(1));
  EXPECT_EQ(batches[0].batch.proposal_bytes, "proposal");
  EXPECT_EQ(batches[0].trials.at(1).trace, "trace 1");
}

TEST_P(StoreTest, TrialsThatEndedAtOnceAreRecordedAndNeverLeased) {
  AddModel();
  AddJob("j1");
  RecordRow rejected{.job = "j1", .batch = 1, .trial_id = "b1.0", .counted = true, .status = "rejected"};
  ASSERT_TRUE(store_->StoreBatch({.job = "j1", .number = 1}, {{.trial_id = "b1.0"}}, {rejected}).ok());
  EXPECT_THAT(LogOf("j1"), ElementsAre("b1.0"));
  EXPECT_EQ(Claim("w1").lease_id, "");
  EXPECT_EQ(store_->GetJob("j1")->trials_done, 1u);
}

TEST_P(StoreTest, LeasesGoToTheirDeviceClassOldestFirst) {
  AddModel();
  AddWorker("w1");
  AddJob("j1", "other");
  AddBatch("j1", 1, 1);
  AddJob("j2");
  AddBatch("j2", 1, 3);
  const LeaseGrant grant = Claim("w1");
  EXPECT_EQ(grant.batch.job, "j2");
  EXPECT_EQ(grant.model_display_name, "net");
  EXPECT_EQ(grant.spec_bytes, "spec");
  ASSERT_THAT(grant.trials, SizeIs(3));
  EXPECT_EQ(grant.trials[2].trial_id, "b1.2");
  EXPECT_EQ(grant.trials[2].attempts, 1u);
  EXPECT_TRUE(store_->GetWorker("w1")->busy);
  EXPECT_EQ(Claim("w2").lease_id, "");
  EXPECT_EQ(Claim("w2", "other").batch.job, "j1");
}

TEST_P(StoreTest, CompletionIsFencedByTheLease) {
  AddModel();
  AddWorker("w1");
  AddJob("j1");
  AddBatch("j1", 1, 2);
  const LeaseGrant grant = Claim("w1");
  LeaseCompletion stranger = Complete(grant);
  stranger.worker = "w2";
  EXPECT_TRUE(absl::IsNotFound(store_->CompleteLease(stranger)));
  LeaseCompletion completion = Complete(grant);
  completion.incumbent = Result(grant, "b1.incumbent");
  completion.incumbent->counted = false;
  completion.incumbent->trace = "";
  completion.incumbent_trial = "b1.1";
  ASSERT_TRUE(store_->CompleteLease(completion).ok());
  EXPECT_TRUE(absl::IsNotFound(store_->CompleteLease(completion)));
  EXPECT_THAT(LogOf("j1"), ElementsAre("b1.0", "b1.1", "b1.incumbent"));
  EXPECT_EQ(store_->ListLog("j1", 2)->at(0).trace, "trace 1");
  EXPECT_EQ(store_->GetJob("j1")->trials_done, 2u);
  EXPECT_EQ(store_->GetWorker("w1")->trials_done, 2u);
  EXPECT_FALSE(store_->GetWorker("w1")->busy);
}

TEST_P(StoreTest, AWorkerThatWokeLateCannotCompleteItsSuccessorsAttempt) {
  AddModel();
  AddWorker("w1");
  AddWorker("w2");
  AddJob("j1");
  AddBatch("j1", 1, 1);
  const LeaseGrant late = Claim("w1");
  now_ += absl::Seconds(31);
  EXPECT_THAT(*store_->ExpireLeases(), ElementsAre("j1"));
  const LeaseGrant second = Claim("w2");
  EXPECT_NE(second.lease_id, late.lease_id);
  EXPECT_EQ(second.trials.at(0).attempts, 2u);
  EXPECT_TRUE(absl::IsNotFound(store_->CompleteLease(Complete(late))));
  EXPECT_THAT(LogOf("j1"), IsEmpty());
  EXPECT_TRUE(store_->CompleteLease(Complete(second)).ok());
  EXPECT_EQ(store_->ListLog("j1", 0)->at(0).attempts, 2u);
}

TEST_P(StoreTest, LostCandidatesAreLeasedSinglyAndDeadLetteredAfterThreeAttempts) {
  AddModel();
  AddWorker("w1");
  AddJob("j1");
  AddBatch("j1", 1, 2);
  EXPECT_THAT(Claim("w1").trials, SizeIs(2));
  for (int attempt = 2; attempt <= 3; ++attempt) {
    now_ += absl::Seconds(31);
    ASSERT_TRUE(store_->ExpireLeases().ok());
    for (int i = 0; i < 2; ++i) {
      const LeaseGrant single = Claim("w1");
      ASSERT_THAT(single.trials, SizeIs(1));
      EXPECT_EQ(single.trials[0].attempts, static_cast<uint32_t>(attempt));
    }
  }
  EXPECT_THAT(LogOf("j1"), IsEmpty());
  now_ += absl::Seconds(31);
  ASSERT_TRUE(store_->ExpireLeases().ok());
  EXPECT_EQ(Claim("w1").lease_id, "");
  EXPECT_THAT(LogOf("j1"), ElementsAre("b1.0", "b1.1"));
  EXPECT_EQ(store_->ListLog("j1", 0)->at(0).status, "infrastructure");
  EXPECT_EQ(store_->GetJob("j1")->trials_done, 2u);
}

TEST_P(StoreTest, ModuleLeasesStayWholeWhenLost) {
  AddModel();
  AddJob("j1");
  AddBatch("j1", 1, 2, BatchKind::kModule);
  Claim("w1");
  now_ += absl::Seconds(31);
  ASSERT_TRUE(store_->ExpireLeases().ok());
  EXPECT_THAT(Claim("w1").trials, SizeIs(2));
}

TEST_P(StoreTest, TrialsMissingInAResultGoOnAlone) {
  AddModel();
  AddWorker("w1");
  AddJob("j1");
  AddBatch("j1", 1, 3);
  const LeaseGrant grant = Claim("w1");
  LeaseCompletion completion = Complete(grant);
  completion.ended.erase(completion.ended.begin() + 1);
  completion.ended.push_back(Result(grant, "b9.9"));  // not of this lease
  ASSERT_TRUE(store_->CompleteLease(completion).ok());
  EXPECT_THAT(LogOf("j1"), ElementsAre("b1.0", "b1.2"));
  const LeaseGrant rest = Claim("w1");
  ASSERT_THAT(rest.trials, SizeIs(1));
  EXPECT_EQ(rest.trials[0].trial_id, "b1.1");
}

TEST_P(StoreTest, HeartbeatsRenewUpToTheRunLimit) {
  AddModel();
  AddWorker("w1");
  AddJob("j1");
  AddBatch("j1", 1, 1);  // may run 100 s
  const std::string lease = Claim("w1").lease_id;
  for (int i = 0; i < 4; ++i) {
    now_ += absl::Seconds(20);
    EXPECT_THAT(store_->RecordHeartbeat({.worker = "w1", .running_leases = {lease}})->abandon, IsEmpty());
    EXPECT_THAT(*store_->ExpireLeases(), IsEmpty());
  }
  now_ += absl::Seconds(21);
  EXPECT_THAT(*store_->ExpireLeases(), SizeIs(1));
  EXPECT_THAT(store_->RecordHeartbeat({.worker = "w1", .running_leases = {lease}})->abandon,
              ElementsAre(lease));
}

TEST_P(StoreTest, LeasesAWorkerForgotAreQueuedAgain) {
  AddModel();
  AddWorker("w1");
  AddJob("j1");
  AddBatch("j1", 1, 1);
  AddBatch("j1", 2, 1);
  const std::string kept = Claim("w1").lease_id;
  Claim("w1");
  const HeartbeatAnswer answer =
      *store_->RecordHeartbeat({.worker = "w1", .running_leases = {kept}, .drop_unlisted = true});
  EXPECT_THAT(answer.jobs, ElementsAre("j1"));
  EXPECT_THAT(answer.abandon, IsEmpty());
  EXPECT_EQ(Claim("w1").batch.number, 2u);
}

TEST_P(StoreTest, TheEndOfAJobDropsItsLeases) {
  AddModel();
  AddWorker("w1");
  AddJob("j1");
  AddBatch("j1", 1, 1);
  AddBatch("j1", 2, 1);
  const LeaseGrant grant = Claim("w1");
  ASSERT_TRUE(store_->EndJob("j1", JobState::kCancelled, "", std::nullopt).ok());
  EXPECT_TRUE(absl::IsNotFound(store_->CompleteLease(Complete(grant))));
  EXPECT_THAT(store_->RecordHeartbeat({.worker = "w1", .running_leases = {grant.lease_id}})->abandon,
              SizeIs(1));
  EXPECT_EQ(Claim("w1").lease_id, "");
}

TEST_P(StoreTest, BlobsAreNeededByModelsModulesAndUnfinishedJobs) {
  const std::string graph(64, 'a'), library(64, 'c');
  AddModel();
  AddJob("j1");
  AddBatch("j1", 1, 1);
  EXPECT_THAT(*store_->ListReferencedBlobs(), testing::UnorderedElementsAre(graph, "object of j1"));
  ModuleRow module{.id = "j1", .job = "j1", .model = "m1", .files = {{"net.so", {library, 3}}}};
  ASSERT_TRUE(store_->EndJob("j1", JobState::kSucceeded, "", module).ok());
  EXPECT_THAT(*store_->ListReferencedBlobs(), testing::UnorderedElementsAre(graph, library));
  EXPECT_THAT(*store_->ListEndedObjects(now_ - absl::Seconds(1)), ElementsAre("object of j1"));
  EXPECT_THAT(*store_->ListEndedObjects(now_ + absl::Seconds(1)), IsEmpty());
  ASSERT_TRUE(store_->DeleteModel("m1", {}).ok());
  EXPECT_THAT(*store_->ListReferencedBlobs(), ElementsAre(library));
}

TEST_P(StoreTest, EnrollingAgainIsTheSameWorker) {
  AddWorker("w1", "once");
  const auto again = store_->Enrol({.id = "w2"}, {"enrol:owner", "Enrol", "once", "digest"});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->id, "w1");
}

TEST_P(StoreTest, ARemovedWorkerIsRememberedAndNotHeard) {
  AddWorker("w1");
  AddWorker("w2");
  ASSERT_TRUE(store_->PutToken({std::string(64, 'a'), "enrol", "workers/w1"}).ok());
  ASSERT_TRUE(store_->SetWorkerHold("w1", WorkerHold::kRemoved, "").ok());
  EXPECT_EQ(*store_->ListWorkerHolds(),
            (std::map<std::string, WorkerHold>{{"w1", WorkerHold::kRemoved}, {"w2", WorkerHold::kNone}}));
  EXPECT_TRUE(absl::IsNotFound(store_->RecordHeartbeat({.worker = "w1"}).status()));
  EXPECT_TRUE(store_->RecordHeartbeat({.worker = "w2"}).ok());
  EXPECT_THAT(*store_->ListTokens({0, 10}), IsEmpty());
}

TEST_P(StoreTest, OnlyAReleaseEndsAHold) {
  AddWorker("w1");
  const auto hold = [this](WorkerHold wanted, const std::string& reason) {
    const WorkerRow row = store_->SetWorkerHold("w1", wanted, reason).value();
    return std::string(WorkerHoldName(row.hold)) + ": " + row.hold_reason;
  };
  EXPECT_EQ(hold(WorkerHold::kDraining, "by ann"), "draining: by ann");
  EXPECT_EQ(hold(WorkerHold::kDraining, "by bob"), "draining: by ann");
  EXPECT_EQ(hold(WorkerHold::kQuarantined, "lied"), "quarantined: lied");
  EXPECT_EQ(hold(WorkerHold::kDraining, "by bob"), "quarantined: lied");
  EXPECT_EQ(hold(WorkerHold::kNone, ""), ": ");
  EXPECT_EQ(hold(WorkerHold::kDraining, "by bob"), "draining: by bob");
  EXPECT_TRUE(absl::IsNotFound(store_->SetWorkerHold("w2", WorkerHold::kDraining, "").status()));
}

TEST_P(StoreTest, TokensSpeakForUsers) {
  EXPECT_EQ(store_->GetUser(kOwner)->role, "admin");
  ASSERT_TRUE(store_->CreateUser({.id = "ann", .role = "user"}).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(store_->CreateUser({.id = "ann", .role = "admin"}).status()));
  EXPECT_THAT(*store_->ListUsers({0, 10}), SizeIs(2));
  const int64_t expiry = absl::ToUnixMicros(now_ + absl::Hours(1));
  TokenRow token = *store_->PutToken({std::string(64, 'a'), "user", "ann", "laptop", expiry});
  EXPECT_EQ(token.user_role, "user");
  EXPECT_EQ(token.expire_time, expiry);
  ASSERT_TRUE(store_->UpdateUser("ann", "viewer", std::nullopt).ok());
  ASSERT_TRUE(store_->UpdateUser("ann", std::nullopt, true).ok());
  ASSERT_TRUE(store_->RevokeToken(token.Id()).ok());
  Reopen();
  token = *store_->PutToken(token);  // as a start of the server does: it stays revoked
  EXPECT_NE(token.revoke_time, 0);
  EXPECT_EQ(token.user_role, "viewer");
  EXPECT_TRUE(token.user_disabled);
  EXPECT_EQ(store_->PutToken({std::string(64, 'b'), "user", "nobody"})->user_role, "");
  EXPECT_THAT(*store_->ListTokens({token.number, 10}), SizeIs(1));
  EXPECT_TRUE(absl::IsNotFound(store_->RevokeToken("cc").status()));
  now_ += absl::Hours(31 * 24);
  ASSERT_TRUE(store_->PutToken({std::string(64, 'c'), "user", "ann"}).ok());
  EXPECT_THAT(*store_->ListTokens({0, 10}), SizeIs(2)) << "the one that expired a month ago is forgotten";
  EXPECT_TRUE(absl::IsNotFound(store_->UpdateUser("bob", "user", false).status()));
}

TEST_P(StoreTest, DeviceMinutesOfAProjectAreCountedAndEndItsJobs) {
  ASSERT_TRUE(store_->CreateProject({.id = "p", .max_device_minutes = 2}).ok());
  const FileRow file{"a.onnx", {std::string(64, 'a'), 10}};
  ASSERT_TRUE(
      store_->CreateModel({.id = "m2", .main_file = "a.onnx", .files = {file}, .project = "p"}, {}).ok());
  AddWorker("w1");
  for (const char* id : {"j1", "j2"}) {
    ASSERT_TRUE(store_->CreateJob({.id = id, .model = "m2", .project = "p"}, {}).ok());
    ASSERT_TRUE(store_->StartJob(id).ok());
    ASSERT_TRUE(store_->ChooseDevice(id, "class", "device").ok());
  }
  for (uint32_t minute = 1; minute <= 2; ++minute) {
    AddBatch("j1", minute, 1);
    const auto lease = store_->ClaimLease("w1", "class", 100);
    ASSERT_TRUE(lease.ok() && lease->has_value());
    now_ += absl::Minutes(1);
    RecordRow record{
        .job = "j1", .batch = minute, .trial_id = absl::StrCat("b", minute, ".0"), .status = "ok"};
    ASSERT_TRUE(
        store_->CompleteLease({.lease_id = (*lease)->lease_id, .worker = "w1", .ended = {record}}).ok());
    EXPECT_EQ(store_->GetJob("j2")->cancel_requested, minute == 2);
  }
  const ProjectRow project = store_->ListProjects("p", "", {})->at(0);
  EXPECT_DOUBLE_EQ(project.device_minutes, 2);
  EXPECT_EQ(project.jobs, 2u);
  EXPECT_DOUBLE_EQ(store_->ListProjects("p", "2001-01", {})->at(0).device_minutes, 0);
  EXPECT_TRUE(absl::IsInvalidArgument(store_->ListProjects("p", "May", {}).status()));
  ASSERT_TRUE(store_->EndJob("j2", JobState::kCancelled, "", std::nullopt).ok());
  EXPECT_NE(store_->GetJob("j2")->error, "");
  EXPECT_TRUE(
      absl::IsResourceExhausted(store_->CreateJob({.id = "j3", .model = "m2", .project = "p"}, {}).status()));
  EXPECT_TRUE(absl::IsNotFound(store_->CreateJob({.id = "j3", .model = "m2"}, {}).status()));
  now_ += absl::Hours(31 * 24);
  EXPECT_TRUE(store_->CreateJob({.id = "j3", .model = "m2", .project = "p"}, {}).ok());
}

TEST_P(StoreTest, ClaimsLastAsLongAsTheirProjectNeedsThem) {
  AddModel();
  const BlobId blob{std::string(64, 'a'), 10};
  EXPECT_TRUE(absl::IsNotFound(store_->ClaimBlob("p", blob)));
  ASSERT_TRUE(store_->CreateProject({.id = "p", .max_storage_bytes = 15}).ok());
  for (const char* project : {kDefaultProject, "p"}) ASSERT_TRUE(store_->ClaimBlob(project, blob).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(store_->CheckStorage("p", {std::string(64, 'b'), 6})));
  EXPECT_TRUE(store_->CheckStorage("p", blob).ok());
  now_ += absl::Hours(1);
  ASSERT_TRUE(store_->DropClaims(now_).ok());
  EXPECT_TRUE(*store_->HasClaim(kDefaultProject, blob.sha256)) << "of a model";
  EXPECT_FALSE(*store_->HasClaim("p", blob.sha256)) << "of no model";
  now_ += absl::Hours(1);
  ASSERT_TRUE(store_->DeleteModel("m1", {}).ok());
  EXPECT_FALSE(*store_->HasClaim(kDefaultProject, blob.sha256));
}

TEST(MigrationTest, TokensOfTheFirstSchemaAreTheOwners) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/old.db";
  {
    auto db = Connection::Open(path, Connection::Mode::kWriter);
    ASSERT_TRUE(db.ok()) << db.status();
    for (const Migration& migration : Migrations().first(3)) ASSERT_TRUE((*db)->Execute(migration.sql).ok());
    ASSERT_TRUE(
        (*db)->Execute("INSERT INTO tokens VALUES('h', 'admin', 'owner', 5); PRAGMA user_version=3").ok());
  }
  auto store = SqliteStore::Open({.path = path, .clock = absl::Now, .make_lost_record = {}, .readers = 1});
  ASSERT_TRUE(store.ok()) << store.status();
  const std::vector<TokenRow> tokens = *(*store)->ListTokens({0, 10});
  ASSERT_THAT(tokens, SizeIs(1));
  EXPECT_EQ(tokens[0].hash, "h");
  EXPECT_EQ(tokens[0].create_time, 5);
  EXPECT_EQ(tokens[0].user_role, "admin");
}

TEST_P(StoreTest, FiltersSelectRecords) {
  AddModel();
  AddWorker("w1");
  AddJob("j1");
  AddBatch("j1", 1, 4);
  const LeaseGrant grant = Claim("w1");
  LeaseCompletion completion = Complete(grant);
  for (size_t i = 0; i < 4; ++i) completion.ended[i].latency_seconds = 1e-3 * static_cast<double>(i + 1);
  completion.ended[3].latency_seconds.reset();
  completion.ended[3].status = "crash";
  completion.ended[2].trace = "tile \"x\" 100%_";
  ASSERT_TRUE(store_->CompleteLease(completion).ok());
  const struct {
    const char* filter;
    size_t count;
  } kCases[] = {{"", 4},
                {"status=ok", 3},
                {"status!=ok", 1},
                {"latency<=2ms", 2},
                {"NOT latency<=2ms", 2},
                {"latency>0", 3},
                {"model=net job=jobs/j1", 4},
                {"job=j1", 4},
                {"job=jobs/j2", 0},
                {"worker=workers/w1", 4},
                {"worker:w", 4},
                {"trace:\"%_\"", 1},
                {"trace:\"\\\"x\\\"\"", 1},
                {"trace='x'", 0},
                {"target=x86-64-v3 AND latency<1500us OR status=crash", 2},
                {"time>=2020-01-01T00:00:00Z", 4},
                {"time<2020-01-01T00:00:00Z", 0},
                {"attempts=1", 4},
                {"batch>1", 0},
                {"trial:\"'; DROP TABLE records; --\"", 0}};
  for (const auto& [text, count] : kCases) {
    const auto filter = ParseRecordFilter(text);
    ASSERT_TRUE(filter.ok()) << text << ": " << filter.status();
    EXPECT_THAT(*store_->QueryRecords(kDefaultProject, *filter, {}), SizeIs(count)) << text;
  }
  const auto page = *store_->QueryRecords(kDefaultProject, {}, {.after = 2, .limit = 1});
  ASSERT_THAT(page, SizeIs(1));
  EXPECT_EQ(page[0].id, 3);
}

INSTANTIATE_TEST_SUITE_P(Backends, StoreTest, testing::Values(Backend{"Sqlite", OpenSqlite}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace hone
