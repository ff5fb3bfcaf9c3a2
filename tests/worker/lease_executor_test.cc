#include "worker/lease_executor.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "absl/strings/match.h"
#include "proto/sandbox/sandbox.h"
#include "proto/values/tensor_values.h"
#include "tests/worker/test_objects.h"
#include "worker/device_detection.h"

namespace hone {
namespace {

constexpr int64_t kElements = 1000;

class LeaseExecutorTest : public testing::Test {
 protected:
  LeaseExecutorTest() {
    executor_ = std::make_unique<LeaseExecutor>(LeaseExecutorOptions{
        .runner_path = HONE_RUNNER,
        .allow_unsandboxed = true,   // the other tests are about measuring
        .device = DetectDevice(),
        .host_lock_path = folder_.path() + "/lock",
        .open_blob = [this](const BlobId& blob) { return OpenBlob(blob); },
    });
  }

  absl::StatusOr<FileDescriptor> OpenBlob(const BlobId& blob) {
    auto found = blobs_.find(blob.sha256);
    if (found == blobs_.end()) return absl::NotFoundError("no such blob");
    absl::StatusOr<FileDescriptor> file = MakeMemfd("test", 0);
    EXPECT_EQ(write(file->get(), found->second.data(), found->second.size()),
              static_cast<ssize_t>(found->second.size()));
    EXPECT_TRUE(SealContents(file->get()).ok());
    return file;
  }

  BlobId Add(const std::string& object) {
    const std::string bytes = TestObject(object);
    blobs_[BlobIdOf(bytes).sha256] = bytes;
    return BlobIdOf(bytes);
  }

  Lease CandidatesLease(const std::vector<std::string>& objects) {
    Lease lease{.lease_id = "l1", .task_key = "multiply", .seed = 5};
    const TensorSpec spec{.dtype = DType::kF32, .dims = {kElements}};
    lease.inputs = lease.constants = lease.outputs = {spec};
    for (const std::string& object : objects) lease.trials.push_back({object, Add(object)});
    lease.incumbent = LeaseTrial{"", Add("good")};
    lease.oracle = Add("good");
    lease.windows = 6;
    lease.run_limit_seconds = 2;
    OracleSample sample{.output = 0};
    std::vector<float> x(kElements), w(kElements);
    GenerateTensor(spec, lease.seed, 0, x.data());
    GenerateTensor(spec, lease.seed, 1, w.data());
    for (uint64_t i : {0, 1, 500, 999}) {
      sample.elements.push_back(i);
      sample.values.push_back(static_cast<double>(x[i]) * static_cast<double>(w[i]));
    }
    lease.oracle_samples = {sample};
    return lease;
  }

  LeaseResult Execute(const Lease& lease) { return executor_->Execute(lease, never_); }

  TestFolder folder_;
  std::map<std::string, std::string> blobs_;
  Cancellation never_;
  std::unique_ptr<LeaseExecutor> executor_;
};

struct Behaviour {
  const char* object;
  Outcome outcome;
  const char* message;  // part of it
};
constexpr Behaviour kBehaviours[] = {
    {"good", Outcome::kOk, ""},
    {"slow", Outcome::kOk, ""},
    {"threaded", Outcome::kOk, ""},
    {"crash", Outcome::kCrash, "signal 11"},
    {"hang", Outcome::kTimeout, "no answer"},
    {"stops_itself", Outcome::kTimeout, "no answer"},
    {"wrong_output", Outcome::kWrongOutput, "element 777"},
    {"nan_output", Outcome::kWrongOutput, "element 0"},
    {"wrong_later", Outcome::kWrongOutput, "element 3"},
    {"memory_hog", Outcome::kCrash, "signal 11"},
    {"huge_scratch", Outcome::kCrash, "out of memory"},
    {"out_of_bounds", Outcome::kCrash, "signal 11"},
    {"slack_write", Outcome::kCrash, "outside its outputs"},
    {"writes_inputs", Outcome::kCrash, "signal 11"},
    {"forks", Outcome::kCrash, "signal 31"},
    {"early_exit", Outcome::kCrash, "exited with status 0"},
    {"fails", Outcome::kCrash, "run returned 7"},
    {"closes_socket", Outcome::kCrash, ""},
    {"crash_on_load", Outcome::kCrash, "signal 6"},
    {"null_table", Outcome::kCrash, "NULL"},
    // What no kernel has a use for ends it; what is merely refused leaves it measured as if it had not tried.
    {"executes", Outcome::kCrash, "signal 31"},
    {"connects", Outcome::kCrash, "signal 31"},
    {"traces_parent", Outcome::kCrash, "signal 31"},
    {"kills_parent", Outcome::kCrash, "signal 31"},
    {"asks_for_privileges", Outcome::kCrash, "signal 31"},
    {"reads_file", Outcome::kOk, ""},
    {"reads_file_on_load", Outcome::kOk, ""},
    {"writes_file", Outcome::kOk, ""},
    {"floods_stdout", Outcome::kOk, ""},
    {"maps_code", Outcome::kOk, ""},
    {"starts_thread", Outcome::kOk, ""},
};

// All in one lease: each has its own outcome and disturbs nobody else's.
TEST_F(LeaseExecutorTest, EveryBehaviourHasItsOutcome) {
  const HoneSandboxFaults faults = HoneSandboxProbe();
  if (faults.namespaces || faults.files || faults.calls) GTEST_SKIP() << "this machine lacks a layer of the sandbox";
  std::vector<std::string> objects;
  for (const Behaviour& behaviour : kBehaviours) objects.push_back(behaviour.object);
  const LeaseResult result = Execute(CandidatesLease(objects));
  ASSERT_EQ(result.outcome, Outcome::kOk) << result.message;
  ASSERT_EQ(result.trials.size(), std::size(kBehaviours));
  for (size_t i = 0; i < std::size(kBehaviours); ++i) {
    const Measurement& m = result.trials[i].measurement;
    EXPECT_EQ(result.trials[i].trial_id, kBehaviours[i].object);
    EXPECT_EQ(OutcomeName(m.outcome), OutcomeName(kBehaviours[i].outcome))
        << kBehaviours[i].object << ": " << m.message;
    EXPECT_TRUE(absl::StrContains(m.message, kBehaviours[i].message))
        << kBehaviours[i].object << ": " << m.message;
    if (m.outcome == Outcome::kOk) {
      EXPECT_GT(m.p20_seconds, 0);
      EXPECT_GE(m.windows.size(), 1u);
    }
  }
  const Measurement &good = result.trials[0].measurement, &slow = result.trials[1].measurement;
  EXPECT_GT(slow.ratio_low, 2);
  EXPECT_LT(slow.windows.size(), 6u);
  EXPECT_LE(good.ratio_low, good.ratio_to_incumbent);
  EXPECT_LE(good.ratio_to_incumbent, good.ratio_high);
  EXPECT_GT(good.probe_gflops_before, 1);
  EXPECT_GT(good.probe_read_gbps_after, 0.1);
  ASSERT_TRUE(result.incumbent.has_value());
  EXPECT_EQ(result.incumbent->outcome, Outcome::kOk) << result.incumbent->message;

  const absl::Time begin = absl::Now();
  const LeaseResult next = Execute(CandidatesLease({"good"}));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
  EXPECT_EQ(next.trials.at(0).measurement.outcome, Outcome::kOk) << next.trials[0].measurement.message;
}

TEST_F(LeaseExecutorTest, ColdConstantsAndThreads) {
  Lease lease = CandidatesLease({"good", "threaded"});
  lease.model_constant_bytes = uint64_t{1} << 40;
  lease.threads = 2;
  const LeaseResult result = Execute(lease);
  ASSERT_EQ(result.trials.size(), 2u) << result.message;
  for (const TrialResult& trial : result.trials) {
    EXPECT_EQ(trial.measurement.outcome, Outcome::kOk) << trial.measurement.message;
    EXPECT_TRUE(trial.measurement.cold);
    double most = 0;
    for (const Window& window : trial.measurement.windows) most = std::max(most, window.cpu_fraction);
    EXPECT_GT(most, 0.2);
  }
}

TEST_F(LeaseExecutorTest, ConstantsOfASmallModelStayInTheLastLevelCache) {
  Lease lease = CandidatesLease({"good"});
  lease.model_constant_bytes = uint64_t{1} << 20;
  const LeaseResult result = Execute(lease);
  ASSERT_EQ(result.trials.size(), 1u) << result.message;
  EXPECT_EQ(result.trials[0].measurement.outcome, Outcome::kOk) << result.trials[0].measurement.message;
  EXPECT_FALSE(result.trials[0].measurement.cold);
}

TEST_F(LeaseExecutorTest, BadOracleFailsTheLeaseNotTheTrials) {
  Lease lease = CandidatesLease({"good"});
  lease.oracle = Add("wrong_output");
  lease.oracle_samples[0].elements.push_back(777);
  lease.oracle_samples[0].values.push_back(0.25);
  const LeaseResult result = Execute(lease);
  EXPECT_EQ(result.outcome, Outcome::kInfrastructure);
  EXPECT_TRUE(absl::StrContains(result.message, "disagrees with the interpreter")) << result.message;
  EXPECT_TRUE(result.trials.empty());

  lease = CandidatesLease({"good"});
  lease.oracle = Add("crash");
  EXPECT_TRUE(absl::StrContains(Execute(lease).message, "the oracle failed: crash"));
}

TEST_F(LeaseExecutorTest, MissingBlobAndRunnerFailTheLease) {
  Lease lease = CandidatesLease({"good"});
  lease.trials[0].object.sha256[0] ^= 1;
  EXPECT_EQ(Execute(lease).outcome, Outcome::kInfrastructure);

  LeaseExecutor without_runner({.runner_path = "/nonexistent/runner",
                                .host_lock_path = folder_.path() + "/lock",
                                .open_blob = [this](const BlobId& blob) { return OpenBlob(blob); }});
  const LeaseResult result = without_runner.Execute(CandidatesLease({"good"}), never_);
  EXPECT_EQ(result.outcome, Outcome::kInfrastructure);
  EXPECT_TRUE(absl::StrContains(result.message, "/nonexistent/runner")) << result.message;
}

TEST_F(LeaseExecutorTest, CancellationEndsALeaseUnderWay) {
  Lease lease = CandidatesLease({"hang"});
  lease.run_limit_seconds = 1000;
  lease.incumbent.reset();  // whose speed would bound the wait
  Cancellation cancellation;
  std::thread canceller([&] { cancellation.Cancel(); });
  const LeaseResult result = executor_->Execute(lease, cancellation);
  canceller.join();
  EXPECT_EQ(result.outcome, Outcome::kInfrastructure);
  EXPECT_EQ(result.message, "cancelled");
}

TEST_F(LeaseExecutorTest, ModulesAreInterleavedAndCompared) {
  Lease lease{.lease_id = "l2", .kind = LeaseKind::kModule, .seed = 3, .tolerance = 1e-4, .windows = 5};
  lease.inputs = lease.outputs = {TensorSpec{.dtype = DType::kF32, .dims = {1, 64}}};
  lease.incumbent = LeaseTrial{"default", Add("module_default")};
  lease.trials = {{"tuned", Add("module_tuned")}, {"wrong", Add("module_wrong")}, {"candidate", Add("good")}};
  const LeaseResult result = Execute(lease);
  ASSERT_EQ(result.trials.size(), 3u) << result.message;
  EXPECT_EQ(result.incumbent->outcome, Outcome::kOk) << result.incumbent->message;
  const Measurement& tuned = result.trials[0].measurement;
  EXPECT_EQ(tuned.outcome, Outcome::kOk) << tuned.message;
  EXPECT_GT(tuned.median_seconds, 0);
  EXPECT_GE(tuned.p95_seconds, tuned.median_seconds);
  EXPECT_EQ(tuned.max_error, 0);
  EXPECT_EQ(result.trials[1].measurement.outcome, Outcome::kWrongOutput);
  EXPECT_TRUE(absl::StrContains(result.trials[2].measurement.message, "exports no hone_module"));
}

}  // namespace
}  // namespace hone
