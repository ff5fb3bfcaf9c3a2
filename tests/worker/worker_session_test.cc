// The real hone-worker program against a fake server: what is on the wire, what survives.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/worker/fake_server.h"
#include "tests/worker/test_objects.h"

namespace hone {
namespace {

class WorkerSessionTest : public testing::Test {
 protected:
  WorkerSessionTest() { std::ofstream(folder_.path() + "/ca.pem") << server_.ca_pem(); }
  ~WorkerSessionTest() override {
    if (pid_ > 0) Signal(SIGKILL), WaitForExit();
  }

  void StartWorker(const std::string& token = FakeServer::kEnrolToken,
                   const std::vector<std::string>& more_arguments = {}) {
    std::ofstream(folder_.path() + "/token") << token << "\n";
    std::vector<std::string> arguments = {HONE_WORKER,
                                          "join",
                                          "--server",
                                          server_.address(),
                                          "--ca",
                                          folder_.path() + "/ca.pem",
                                          "--data-dir",
                                          data_dir(),
                                          "--enrol-token-file",
                                          folder_.path() + "/token",
                                          "--runner",
                                          HONE_RUNNER,
                                          "--host-lock",
                                          folder_.path() + "/lock"};
    arguments.insert(arguments.end(), more_arguments.begin(), more_arguments.end());
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const std::string log = log_path();
    const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_ = fork();
    if (pid_ == 0) {
      // Only system calls between fork and exec. The worker must not outlive a test that is killed.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(file, 2);
      execv(HONE_WORKER, argv.data());
      _exit(127);
    }
    close(file);
  }
  void Signal(int signal) { kill(pid_, signal); }
  int WaitForExit() {  // exit status, or -signal
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::string data_dir() const { return folder_.path() + "/data"; }
  std::string log_path() const { return folder_.path() + "/log"; }
  std::string LogText() const { return ReadWholeFile(log_path()).value_or(""); }
  size_t ResultsOnDisk() const {
    const std::filesystem::directory_iterator files(data_dir() + "/results");
    return std::distance(begin(files), end(files));
  }

  v1::BlobRef Blob(const std::string& object) {
    const std::string bytes = TestObject(object);
    server_.AddBlob(bytes);
    v1::BlobRef ref;
    ref.set_sha256(BlobIdOf(bytes).sha256);
    ref.set_size(bytes.size());
    return ref;
  }

  v1::Lease MakeLease(const std::string& id, const std::vector<std::string>& objects) {
    v1::Lease lease;
    lease.set_lease_id(id);
    lease.set_kind(v1::LEASE_KIND_CANDIDATES);
    lease.set_task_key("multiply");
    lease.set_threads(1);
    v1::TensorSpec spec;
    spec.set_dtype("f32");
    spec.add_dims(1000);
    spec.set_low(-1);
    spec.set_high(1);
    *lease.add_inputs() = *lease.add_constants() = *lease.add_outputs() = spec;
    for (const std::string& object : objects) {
      v1::LeaseTrial* trial = lease.add_trials();
      trial->set_trial_id(object);
      *trial->mutable_object() = Blob(object);
    }
    *lease.mutable_incumbent()->mutable_object() = Blob("good");
    *lease.mutable_oracle_object() = Blob("good");
    lease.set_windows(4);
    lease.set_run_limit_seconds(1);
    return lease;
  }
  bool AwaitResult(const std::string& lease_id, size_t times = 1) {
    return server_.Await([&](FakeServer& s) { return s.results[lease_id].size() >= times; });
  }
  v1::LeaseResult Result(const std::string& lease_id) {
    v1::LeaseResult result;
    server_.Order([&](FakeServer& s) {
      if (!s.results[lease_id].empty()) result = s.results[lease_id].back();
    });
    return result;
  }

  TestFolder folder_;
  FakeServer server_;
  pid_t pid_ = 0;
};

TEST_F(WorkerSessionTest, JoinsMeasuresAndLeavesNothingBehind) {
  server_.AddLease(MakeLease("l1", {"good", "crash", "wrong_output"}));
  StartWorker();
  ASSERT_TRUE(AwaitResult("l1")) << LogText();
  const v1::LeaseResult result = Result("l1");
  EXPECT_EQ(result.outcome(), v1::OUTCOME_OK) << result.message();
  ASSERT_EQ(result.trials_size(), 3);
  EXPECT_EQ(result.trials(0).measurement().outcome(), v1::OUTCOME_OK)
      << result.trials(0).measurement().message();
  EXPECT_EQ(result.trials(1).measurement().outcome(), v1::OUTCOME_CRASH);
  EXPECT_EQ(result.trials(2).measurement().outcome(), v1::OUTCOME_WRONG_OUTPUT);
  EXPECT_GT(result.incumbent().p20_seconds(), 0);
  server_.Order([](FakeServer& s) {
    EXPECT_FALSE(s.device.device_class().empty());
    EXPECT_GT(s.device.calibration().fma_gflops().at(s.device.target()), 0);
    EXPECT_EQ(s.enrolled.size(), 1u);
  });
  // A second lease shows that the first one's acknowledgement arrived.
  server_.AddLease(MakeLease("l2", {"good"}));
  ASSERT_TRUE(AwaitResult("l2")) << LogText();
  Signal(SIGTERM);
  EXPECT_EQ(WaitForExit(), 0) << LogText();
  EXPECT_EQ(ResultsOnDisk(), 0u);
  server_.Order([](FakeServer& s) {
    EXPECT_EQ(s.results["l1"].size(), 1u);
    EXPECT_EQ(s.workers_seen.size(), 1u);
  });
}

TEST_F(WorkerSessionTest, ResultsAreSentUntilAcknowledged) {
  server_.Order([](FakeServer& s) { s.lose_acks = 2; });
  server_.AddLease(MakeLease("l1", {"good"}));
  StartWorker();
  ASSERT_TRUE(AwaitResult("l1", 3)) << LogText();
  server_.Order([](FakeServer& s) {
    EXPECT_EQ(s.results["l1"][0].SerializeAsString(), s.results["l1"][2].SerializeAsString());
  });
  Signal(SIGTERM);
  EXPECT_EQ(WaitForExit(), 0);
  EXPECT_EQ(ResultsOnDisk(), 0u);
}

TEST_F(WorkerSessionTest, KilledWorkerHandsInWhatItHadFinished) {
  server_.Order([](FakeServer& s) { s.lose_acks = 1000; });
  server_.AddLease(MakeLease("l1", {"good"}));
  StartWorker();
  ASSERT_TRUE(AwaitResult("l1")) << LogText();
  Signal(SIGKILL);
  EXPECT_EQ(WaitForExit(), -SIGKILL);
  EXPECT_EQ(ResultsOnDisk(), 1u);
  size_t before = 0;
  server_.Order([&](FakeServer& s) {
    s.lose_acks = 0;
    before = s.results["l1"].size();
  });
  StartWorker();
  ASSERT_TRUE(AwaitResult("l1", before + 1)) << LogText();
  server_.AddLease(MakeLease("l2", {"good"}));
  ASSERT_TRUE(AwaitResult("l2")) << LogText();
  Signal(SIGTERM);
  EXPECT_EQ(WaitForExit(), 0);
  EXPECT_EQ(ResultsOnDisk(), 0u);
  server_.Order([](FakeServer& s) {
    EXPECT_EQ(s.enrolled.size(), 1u) << "it still has its certificate";
    EXPECT_EQ(s.workers_seen.size(), 1u);
    EXPECT_EQ(s.results["l1"].front().SerializeAsString(), s.results["l1"].back().SerializeAsString());
  });
}

TEST_F(WorkerSessionTest, CutConnectionsAndDownloadsAreResumed) {
  server_.Order([](FakeServer& s) { s.cut_blobs_at = 6000; });
  server_.AddLease(MakeLease("l1", {"good", "slow"}));
  StartWorker();
  ASSERT_TRUE(AwaitResult("l1")) << LogText();
  EXPECT_EQ(Result("l1").outcome(), v1::OUTCOME_OK) << Result("l1").message();
  server_.Order([](FakeServer& s) { EXPECT_GT(s.downloads, 2); });
  for (const std::string id : {"l2", "l3"}) {
    server_.Shutdown();
    server_.AddLease(MakeLease(id, {"good"}));
    server_.Start();
    ASSERT_TRUE(AwaitResult(id)) << LogText();
  }
  server_.Order([](FakeServer& s) { EXPECT_EQ(s.enrolled.size(), 1u); });
}

TEST_F(WorkerSessionTest, StoppedWorkerDropsALeaseItLost) {
  v1::Lease stuck = MakeLease("stuck", {"hang"});
  stuck.set_run_limit_seconds(1000);
  stuck.clear_incumbent();  // whose speed would bound the wait
  server_.AddLease(stuck);
  StartWorker();
  ASSERT_TRUE(server_.Await([](FakeServer& s) { return s.running.contains("stuck"); })) << LogText();
  Signal(SIGSTOP);
  server_.Abandon("stuck");  // the heartbeat limit passed
  server_.AddLease(MakeLease("next", {"good"}));
  Signal(SIGCONT);
  ASSERT_TRUE(AwaitResult("next")) << LogText();
  EXPECT_EQ(Result("next").outcome(), v1::OUTCOME_OK);
  server_.Order([](FakeServer& s) { EXPECT_TRUE(s.results["stuck"].empty()); });
}

// The kernel takes the runners down with a killed worker: nothing goes on using the machine.
TEST_F(WorkerSessionTest, KilledWorkerLeavesNoRunner) {
  v1::Lease stuck = MakeLease("stuck", {"hang"});
  stuck.set_run_limit_seconds(1000);
  stuck.clear_incumbent();  // whose speed would bound the wait
  stuck.set_lease_seconds(0.3);  // a heartbeat each 0.1 s, at which the runner is looked for
  server_.AddLease(stuck);
  StartWorker();
  const std::string children = absl::StrCat("/proc/", pid_, "/task/", pid_, "/children");
  std::string runner;
  const auto has_runner = [&](FakeServer& s) {
    runner = ReadWholeFile(children).value_or("");
    return s.running.contains("stuck") && !runner.empty();
  };
  ASSERT_TRUE(server_.Await(has_runner)) << LogText();
  const pid_t pid = std::stoi(runner);
  const int watch = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  ASSERT_GE(watch, 0) << "the runner was there a moment ago";
  Signal(SIGKILL);
  WaitForExit();
  pollfd gone{watch, POLLIN, 0};
  EXPECT_EQ(poll(&gone, 1, 10000), 1);
  close(watch);
}

TEST_F(WorkerSessionTest, SigtermCancelsALeaseThatWouldNotEnd) {
  v1::Lease stuck = MakeLease("stuck", {"hang"});
  stuck.set_run_limit_seconds(1000);
  stuck.clear_incumbent();  // whose speed would bound the wait
  server_.AddLease(stuck);
  StartWorker();
  ASSERT_TRUE(server_.Await([](FakeServer& s) { return s.running.contains("stuck"); })) << LogText();
  Signal(SIGTERM);
  EXPECT_EQ(WaitForExit(), 0) << LogText();
  EXPECT_EQ(Result("stuck").outcome(), v1::OUTCOME_INFRASTRUCTURE);
}

TEST_F(WorkerSessionTest, RenewsItsCertificateWhenAskedAndWorksOn) {
  server_.Order([](FakeServer& s) { s.replacements = 3; });
  server_.AddLease(MakeLease("l1", {"good"}));
  StartWorker();
  ASSERT_TRUE(AwaitResult("l1")) << LogText();
  ASSERT_TRUE(server_.Await([](FakeServer& s) { return s.certificates_seen.size() == 4; })) << LogText();
  server_.AddLease(MakeLease("l2", {"good"}));
  ASSERT_TRUE(AwaitResult("l2")) << LogText();
  server_.Order([](FakeServer& s) {
    EXPECT_EQ(s.renewals, 3);
    EXPECT_EQ(s.enrolled.size(), 1u);
    EXPECT_EQ(s.workers_seen.size(), 1u);
  });
  struct stat info;
  ASSERT_EQ(stat((data_dir() + "/identity.pem").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_FALSE(std::filesystem::exists(data_dir() + "/enrolment.pem"));
}

// As after a sleep: refused, but not too late to renew.
TEST_F(WorkerSessionTest, ExpiredCertificateIsRenewed) {
  StartWorker();
  ASSERT_TRUE(server_.Await([](FakeServer& s) { return s.workers_seen.size() == 1; })) << LogText();
  server_.Order([](FakeServer& s) { s.refuse_identity = 1; });
  server_.Shutdown();  // ends the long poll
  server_.Start();
  ASSERT_TRUE(server_.Await([](FakeServer& s) { return s.certificates_seen.size() == 2; })) << LogText();
  server_.AddLease(MakeLease("l1", {"good"}));
  ASSERT_TRUE(AwaitResult("l1")) << LogText();
  server_.Order([](FakeServer& s) {
    EXPECT_EQ(s.renewals, 1);
    EXPECT_EQ(s.workers_seen.size(), 1u);
  });
}

TEST_F(WorkerSessionTest, ForgottenWorkerEnrolsAgain) {
  StartWorker();
  ASSERT_TRUE(server_.Await([](FakeServer& s) { return s.workers_seen.size() == 1; })) << LogText();
  server_.Order([](FakeServer& s) {
    s.refuse_identity = 1;
    s.refuse_renewal = true;
  });
  server_.Shutdown();  // ends the long poll
  server_.Start();
  ASSERT_TRUE(server_.Await([](FakeServer& s) { return s.workers_seen.size() == 2; })) << LogText();
  server_.Order([](FakeServer& s) { EXPECT_EQ(s.enrolled.size(), 2u); });
}

TEST_F(WorkerSessionTest, RemovedWorkerEndsAndJoinsAnewOnlyWhenStartedAgain) {
  StartWorker();
  ASSERT_TRUE(server_.Await([](FakeServer& s) { return s.workers_seen.size() == 1; })) << LogText();
  server_.Order([](FakeServer& s) { s.removed = true; });
  server_.Shutdown();  // ends the long poll
  server_.Start();
  EXPECT_EQ(WaitForExit(), 3);
  EXPECT_TRUE(absl::StrContains(LogText(), "was removed [request='synchronized'")) << LogText();
  server_.Order([](FakeServer& s) {
    EXPECT_EQ(s.enrolled.size(), 1u);
    s.removed = false;
  });
  StartWorker();
  ASSERT_TRUE(server_.Await([](FakeServer& s) { return s.workers_seen.size() == 2; })) << LogText();
}

TEST_F(WorkerSessionTest, DamagedIdentityIsReplaced) {
  std::filesystem::create_directories(data_dir());
  std::ofstream(data_dir() + "/identity.pem") << "-----BEGIN PRIVATE KEY-----\nMIG";
  std::ofstream(data_dir() + "/enrolment.pem") << "-----BEGIN";
  StartWorker();
  ASSERT_TRUE(server_.Await([](FakeServer& s) { return s.workers_seen.size() == 1; })) << LogText();
}

// Enrolled when workers had tokens.
TEST_F(WorkerSessionTest, FormerTokenMakesItTheWorkerThatItWas) {
  std::filesystem::create_directories(data_dir());
  std::ofstream(data_dir() + "/credentials") << "workers/7\n" << FakeServer::kFormerToken << "\n";
  StartWorker("spent");
  ASSERT_TRUE(server_.Await([](FakeServer& s) { return s.workers_seen.contains("workers/7"); })) << LogText();
  EXPECT_FALSE(std::filesystem::exists(data_dir() + "/credentials"));
}

TEST_F(WorkerSessionTest, UnintelligibleLeasesAreRefused) {
  v1::Lease bad = MakeLease("bad", {"good"});
  bad.mutable_inputs(0)->set_dtype("complex");
  server_.AddLease(bad);
  v1::Lease huge = MakeLease("missing", {"good"});
  huge.mutable_trials(0)->mutable_object()->set_sha256(std::string(64, '0'));
  server_.AddLease(huge);
  StartWorker();
  ASSERT_TRUE(AwaitResult("bad") && AwaitResult("missing")) << LogText();
  EXPECT_TRUE(absl::StrContains(Result("bad").message(), "complex"));
  EXPECT_EQ(Result("missing").outcome(), v1::OUTCOME_INFRASTRUCTURE);
}

TEST_F(WorkerSessionTest, CalibratesOnRequest) {
  v1::Lease lease;
  lease.set_lease_id("c");
  lease.set_kind(v1::LEASE_KIND_CALIBRATE);
  server_.AddLease(lease);
  StartWorker();
  ASSERT_TRUE(AwaitResult("c")) << LogText();
  EXPECT_GT(Result("c").device().calibration().dram_read_gbps(), 0);
}

TEST_F(WorkerSessionTest, AnIdleDeviceIsCalibratedAgainAndItsBestFiguresAreKept) {
  StartWorker(FakeServer::kEnrolToken, {"--idle-calibration", "0.1"});
  const auto calibrated = [](FakeServer& s) { return s.device.calibration().dram_read_gbps() > 0; };
  ASSERT_TRUE(server_.Await(calibrated)) << LogText();
  server_.Order([](FakeServer& s) { s.device.Clear(); });
  ASSERT_TRUE(server_.Await(calibrated)) << LogText();
  Signal(SIGTERM);
  EXPECT_EQ(WaitForExit(), 0);

  const std::string path = data_dir() + "/calibration.json";
  nlohmann::json kept = nlohmann::json::parse(ReadWholeFile(path).value());
  kept["calibration"]["dram_read_gbps"] = 1e6;
  ASSERT_TRUE(WriteFileDurably(path, kept.dump()).ok());
  server_.Order([](FakeServer& s) { s.device.Clear(); });
  StartWorker(FakeServer::kEnrolToken, {"--idle-calibration", "0.1"});
  ASSERT_TRUE(server_.Await([](FakeServer& s) { return s.device.calibration().dram_read_gbps() == 1e6; }))
      << LogText();
}

TEST_F(WorkerSessionTest, BadTokenEndsTheProgram) {
  StartWorker("wrong");
  EXPECT_EQ(WaitForExit(), 1);
  EXPECT_TRUE(absl::StrContains(LogText(), "unknown enrol token")) << LogText();
}

TEST_F(WorkerSessionTest, OneWorkerPerDataDirectory) {
  server_.AddLease(MakeLease("l1", {"good"}));
  StartWorker();
  ASSERT_TRUE(AwaitResult("l1")) << LogText();
  const pid_t first = std::exchange(pid_, 0);
  StartWorker();
  EXPECT_EQ(WaitForExit(), 1);
  EXPECT_TRUE(absl::StrContains(LogText(), "another hone-worker")) << LogText();
  pid_ = first;
}

}  // namespace
}  // namespace hone
