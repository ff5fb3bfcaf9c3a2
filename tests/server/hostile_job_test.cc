// What a hone-job that was taken over by its model can do: nothing but fail its own job.
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/sandbox/sandbox.h"
#include "tests/server/server_process.h"

namespace hone {
namespace {

using testing::HasSubstr;

struct Deed {
  const char* name;
  const char* error;  // part of the job's
};
// A refusal is told to the deed, which says "contained"; what no job has a use for ends it (signal 31, of seccomp).
constexpr char kContained[] = "contained: ", kKilled[] = "signal 31";
constexpr Deed kDeeds[] = {
    {"fork_bomb", kKilled},
    {"thread_bomb", kContained},
    {"memory_hog", "std::bad_alloc"},
    {"shared_memory_hog", "contained: Cannot allocate memory"},
    {"file_in_memory", kContained},
    {"grows_outbox", kContained},
    {"overfills_outbox", "signal 25"},
    {"writes_tmp", kContained},
    {"writes_data", kContained},
    {"removes_database", kContained},
    {"makes_folder", kContained},
    {"reads_passwd", kContained},
    {"reads_database", kContained},
    {"reads_token", kContained},
    {"reads_key", kContained},
    {"lists_root", kContained},
    {"reads_servers_environment", kContained},
    {"reads_servers_memory", kKilled},
    {"connects", kKilled},
    {"traces_parent", kKilled},
    {"kills_parent", kKilled},
    {"kills_all", kKilled},
    {"signals_parents_thread", kContained},
    {"executes", kKilled},
    {"mounts", kKilled},
    {"asks_for_privileges", kKilled},
    {"becomes_root", kContained},
    {"makes_code", kContained},
    {"raises_limits", kContained},
    {"spins", "it said nothing for 10s"},
    {"stops_itself", "it said nothing for 10s"},
    {"floods_link", "floods its link"},
    {"floods_log", kContained},
    {"endless_frame", "a job message of 4294967295 bytes"},
    {"garbage", "does not parse"},
    {"sends_descriptors", "descriptors on a link that takes none"},
    {"asks_for_others_blob", "have the SHA-256"},
    {"exits_early", "exited with code 0"},
};
constexpr absl::Duration kAtOnce = absl::Seconds(5);

class HostileJobTest : public testing::Test {
 protected:
  HostileJobTest()
      : server_(folder_.path() + "/data", {"--job-binary", HONE_HOSTILE_JOB_BINARY, "--max-jobs", "50",
                                           "--job-silence-seconds", "10", "--job-memory-gb", "1"}) {}

  void SetUp() override {
    const HoneSandboxFaults faults = HoneSandboxProbe();
    if (faults.namespaces || faults.files || faults.calls) GTEST_SKIP() << "this machine lacks a layer of the sandbox";
    server_.Start();
  }
  Caller Admin() { return Caller(server_.Channel(server_.AdminToken())); }
  std::string Begin(Caller& caller, const std::string& deed) {
    return caller.CreateJob(caller.CreateModel(deed + " " + server_.data_dir()).name()).name();
  }

  TemporaryFolder folder_;
  ServerProcess server_;
};

std::string Get(const ServerProcess& server, const std::string& path) {
  const FileDescriptor socket = Connect(server.Http());
  EXPECT_TRUE(WriteAll(socket.get(), absl::StrCat("GET ", path, " HTTP/1.0\r\n\r\n")).ok());
  std::string answer;
  char piece[4096];
  for (ssize_t got; (got = read(socket.get(), piece, sizeof(piece))) > 0;)
    answer.append(piece, static_cast<size_t>(got));
  return answer;
}

TEST_F(HostileJobTest, EveryDeedIsContainedWhileOthersAreServed) {
  Caller caller = Admin();
  std::vector<std::string> jobs;
  for (const Deed& deed : kDeeds) jobs.push_back(Begin(caller, deed.name));  // all at once
  absl::Duration slowest;
  for (size_t i = 0; i < std::size(kDeeds); ++i) {
    const v1::Job job = caller.WaitForEnd(jobs[i]);
    EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED) << kDeeds[i].name;
    EXPECT_THAT(job.error(), HasSubstr(kDeeds[i].error)) << kDeeds[i].name;
    const absl::Time begin = absl::Now();
    Caller other = Admin();
    EXPECT_EQ(other.WaitForEnd(Begin(other, "good")).state(), v1::JOB_STATE_SUCCEEDED) << "after " << kDeeds[i].name;
    slowest = std::max(slowest, absl::Now() - begin);
  }
  EXPECT_LT(slowest, kAtOnce);
  EXPECT_TRUE(server_.IsRunning());
  EXPECT_FALSE(std::filesystem::exists("/tmp/hone-hostile"));
  EXPECT_FALSE(std::filesystem::exists(server_.data_dir() + "/hostile"));
  for (const auto& log : std::filesystem::directory_iterator(server_.data_dir() + "/logs"))
    EXPECT_LT(log.file_size(), 2u << 20) << log.path();
  std::printf("%zu deeds contained, another job done within %s\n", std::size(kDeeds),
              absl::FormatDuration(slowest).c_str());
}

// A machine without one layer: the server says which, and runs jobs only where that is allowed.
TEST_F(HostileJobTest, AMissingLayerIsToldAndHasToBeAllowed) {
  server_.Stop(SIGTERM);
  const auto log = [&] {
    std::ifstream in(server_.data_dir() + ".log");
    return std::string{std::istreambuf_iterator<char>(in), {}};
  };
  EXPECT_THAT(log(), testing::ContainsRegex(R"("job_containment".*"layer":"files","state":"on")"));
  ServerProcess refused(server_.data_dir(), {"--allow-unsandboxed=no"}, {HONE_WITHOUT_LANDLOCK});
  EXPECT_FALSE(refused.TryStart());
  EXPECT_THAT(log(), HasSubstr("files (Function not implemented): jobs may read what this user may read"));
  ServerProcess allowed(server_.data_dir(), {}, {HONE_WITHOUT_LANDLOCK});
  ASSERT_TRUE(allowed.TryStart());
  EXPECT_THAT(log(),
              testing::ContainsRegex(R"("warning".*"job_containment".*"layer":"files","state":"off")"));
  EXPECT_THAT(Get(allowed, "/readyz"), HasSubstr("jobs run without the sandbox's layer 'files'"));
  const std::string metrics = Get(allowed, "/metrics");
  EXPECT_THAT(metrics, HasSubstr(R"(hone_job_containment{layer="files"} 0)"));
  EXPECT_THAT(metrics, HasSubstr(R"(hone_job_containment{layer="calls"} 1)"));
}

TEST_F(HostileJobTest, TheServersDeathEndsAJobThatDoesNotListen) {
  Caller caller = Admin();
  Begin(caller, "spins");
  const auto spinning = [&]() -> pid_t {
    for (const auto& task : std::filesystem::directory_iterator(absl::StrCat("/proc/", server_.pid(), "/task"))) {
      std::ifstream children(task.path() / "children");
      pid_t child = 0;
      if (children >> child) return child;
    }
    return 0;
  };
  pid_t child = 0;
  for (const absl::Time end = absl::Now() + absl::Seconds(20); child == 0 && absl::Now() < end;) child = spinning();
  ASSERT_GT(child, 0);
  absl::SleepFor(absl::Milliseconds(500));  // it shuts itself in and begins
  server_.Stop(SIGKILL);
  bool gone = false;
  for (const absl::Time end = absl::Now() + absl::Seconds(2); !gone && absl::Now() < end;) gone = kill(child, 0) != 0;
  EXPECT_TRUE(gone);
}

}  // namespace
}  // namespace hone
