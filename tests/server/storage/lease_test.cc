// Of every Store implementation: leases are claimed, renewed, lost, completed once.
#include "gmock/gmock.h"
#include "tests/server/storage/store_test.h"

namespace hone {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

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
  const LeaseGrant grant = ClaimOf(2);
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
  const std::vector<LostLease> lost = *store_->ExpireLeases();
  ASSERT_THAT(lost, SizeIs(1));
  EXPECT_EQ(lost[0].lease_id, late.lease_id);
  EXPECT_EQ(lost[0].worker, "w1");
  EXPECT_EQ(lost[0].job, "j1");
  const LeaseGrant second = Claim("w2");
  EXPECT_NE(second.lease_id, late.lease_id);
  EXPECT_EQ(second.trials.at(0).attempts, 2u);
  EXPECT_TRUE(absl::IsNotFound(store_->CompleteLease(Complete(late))));
  EXPECT_THAT(LogOf("j1"), IsEmpty());
  EXPECT_TRUE(store_->CompleteLease(Complete(second)).ok());
  EXPECT_EQ(store_->ListLog("j1", 0)->at(0).attempts, 2u);
}

TEST_P(StoreTest, LostCandidatesAreLeasedSinglyAndDeadLetteredAfterThreeAttempts) {
  EXPECT_THAT(ClaimOf(2).trials, SizeIs(2));
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
  const LeaseGrant grant = ClaimOf(3);
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
  const std::string lease = ClaimOf(1).lease_id;  // may run 100 s
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

}  // namespace
}  // namespace hone
