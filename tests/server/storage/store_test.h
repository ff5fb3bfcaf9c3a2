#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/execution/clock.h"
#include "server/storage/store.h"
#include "tests/server/temporary_folder.h"

namespace hone {

struct Backend {
  const char* name;
  absl::StatusOr<std::unique_ptr<Store>> (*open)(const std::string& folder, Clock clock);
};

// A store of each implementation (store_test.cc has them), with a clock that tests set.
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
  // Of w1, which is new, for a batch of so many trials of j1, which is running.
  LeaseGrant ClaimOf(int trials) {
    AddModel();
    AddWorker("w1");
    AddJob("j1");
    AddBatch("j1", 1, trials);
    return Claim("w1");
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

}  // namespace hone
