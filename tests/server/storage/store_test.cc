// The conformance suite of every Store implementation: a new one adds a row to the instantiation at the end.
#include "server/storage/store.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/storage/sqlite_store.h"
#include "tests/server/storage/store_test.h"

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

absl::StatusOr<std::unique_ptr<Store>> OpenSqlite(const std::string& folder, Clock clock) {
  auto store = SqliteStore::Open(
      {.path = folder + "/hone.db", .clock = std::move(clock), .make_lost_record = LostRecord});
  if (!store.ok()) return store.status();
  return std::unique_ptr<Store>(*std::move(store));
}

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

TEST_P(StoreTest, FiltersSelectRecords) {
  const LeaseGrant grant = ClaimOf(4);
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
