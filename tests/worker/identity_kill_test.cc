// A worker killed, or failed by its disk, at every system call with which it enrols and renews its
// certificate: it goes on as the worker that it was.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <fstream>
#include <iostream>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/worker/fake_server.h"
#include "tests/worker/test_objects.h"

namespace hone {
namespace {

constexpr int kRenewals = 2;  // of each life: the second replaces a pair that was replaced before
constexpr int kMostSends = 20;
constexpr absl::Duration kPatience = absl::Seconds(20);

// One worker, its data directory and its server.
class Life {
 public:
  Life() {
    std::ofstream(path_ + "/ca.pem") << server_.ca_pem();
    server_.Order([](FakeServer& s) { s.replacements = kRenewals; });
  }
  ~Life() { End(); }

  // With the fault injector's orders, if any.
  void Start(const std::vector<std::string>& orders) {
    std::vector<std::string> words = {HONE_SIMULATED_WORKER,   server_.address(),   path_ + "/ca.pem",
                                      FakeServer::kEnrolToken, path_ + "/data",     path_ + "/memory",
                                      /*lease_seconds=*/"10",  /*clock_offset=*/"0"};
    std::vector<std::string> environment = orders;
    if (!orders.empty()) {
      for (const char* variable : {"LD_PRELOAD=" HONE_FAULT_INJECTOR, "HONE_FAULT_PROGRAM=simulated_worker"})
        environment.push_back(variable);
      environment.push_back(absl::StrCat("HONE_FAULT_FOLDER=", path_, "/data"));
      environment.push_back(absl::StrCat("HONE_FAULT_LOG=", calls_path()));
    }
    const auto pointers = [](std::vector<std::string>& texts) {
      std::vector<char*> list;
      for (std::string& text : texts) list.push_back(text.data());
      list.push_back(nullptr);
      return list;
    };
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 2, log_path().c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ASSERT_EQ(posix_spawn(&pid_, words[0].c_str(), &files, nullptr, pointers(words).data(),
                          pointers(environment).data()),
              0);
    posix_spawn_file_actions_destroy(&files);
  }
  void End() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(std::exchange(pid_, 0), nullptr, 0);
  }
  // False if it lives on.
  bool WaitForKill() {
    int status = 0;
    for (const absl::Time deadline = absl::Now() + kPatience; absl::Now() < deadline;
         absl::SleepFor(absl::Milliseconds(2))) {
      if (waitpid(pid_, &status, WNOHANG) != pid_) continue;
      pid_ = 0;
      EXPECT_TRUE(WIFSIGNALED(status)) << LogText();
      return true;
    }
    return false;
  }
  // Until it has shown all the certificates that it was asked to renew.
  bool AwaitRenewals() {
    return server_.Await([](FakeServer& s) { return s.certificates_seen.size() > s.replacements; });
  }
  void AskForAnother() {
    server_.Order([](FakeServer& s) { s.replacements = s.certificates_seen.size() + 1; });
  }
  size_t Workers() {
    size_t count = 0;
    server_.Order([&](FakeServer& s) { count = s.workers_seen.size(); });
    return count;
  }
  std::string LogText() const { return ReadWholeFile(log_path()).value_or(""); }
  // Those that were recorded, by site.
  std::map<std::string, int> Calls() const {
    std::map<std::string, int> counts;
    std::ifstream in(calls_path());
    for (std::string site; std::getline(in, site);) ++counts[site];
    return counts;
  }

 private:
  std::string log_path() const { return path_ + "/log"; }
  std::string calls_path() const { return path_ + "/calls"; }

  TestFolder folder_;
  const std::string path_ = std::filesystem::canonical(folder_.path());  // as the kernel writes it
  FakeServer server_;
  pid_t pid_ = 0;
};

struct Fault {
  std::string site;
  int at;
  std::string what;  // as HONE_FAULT_DO
  bool kills() const { return !isdigit(what[0]); }
};

std::vector<Fault> FaultsOf(const std::map<std::string, int>& calls) {
  std::vector<Fault> faults;
  for (const auto& [site, count] : calls) {
    const bool sends = site == "sendmsg socket";
    const bool stores = absl::EndsWith(site, " identity") || absl::EndsWith(site, " enrolment");
    if (!sends && !stores && !absl::EndsWith(site, " folder")) continue;
    std::vector<std::string> deeds = {"before", "after"};
    if (stores && absl::StartsWith(site, "write ")) deeds.push_back("torn");
    if (stores && !absl::StartsWith(site, "unlink "))
      deeds.insert(deeds.end(), {absl::StrCat(ENOSPC), absl::StrCat(EIO)});
    for (const std::string& deed : deeds) {
      for (int at = 1; at <= (sends ? std::min(count, kMostSends) : count); ++at)
        faults.push_back({site, at, deed});
    }
  }
  return faults;
}

TEST(IdentityKillTest, GoesOnAsTheWorkerThatItWas) {
  std::map<std::string, int> calls;
  {
    Life life;
    life.Start({"HONE_FAULT_DO=none"});
    ASSERT_TRUE(life.AwaitRenewals()) << life.LogText();
    life.End();
    calls = life.Calls();
  }
  for (const char* site :
       {"write enrolment", "rename enrolment", "write identity", "fsync identity", "rename identity"})
    EXPECT_GE(calls[site], 1) << site;
  int kills = 0, failures = 0, not_reached = 0;
  for (const Fault& fault : FaultsOf(calls)) {
    SCOPED_TRACE(absl::StrCat(fault.site, " #", fault.at, " ", fault.what));
    Life life;
    life.Start({"HONE_FAULT_SITE=" + fault.site, absl::StrCat("HONE_FAULT_AT=", fault.at),
                "HONE_FAULT_DO=" + fault.what});
    if (!fault.kills()) {
      ASSERT_TRUE(life.AwaitRenewals()) << life.LogText();
      ++failures;
    } else if (life.WaitForKill()) {
      life.AskForAnother();
      life.Start({});
      ASSERT_TRUE(life.AwaitRenewals()) << life.LogText();
      ++kills;
    } else {  // it sends more or less from run to run
      EXPECT_EQ(fault.site, "sendmsg socket");
      ++not_reached;
    }
    EXPECT_EQ(life.Workers(), 1u) << life.LogText();
  }
  std::cout << kills << " kills, " << failures << " failures, " << not_reached << " sends not reached\n";
  EXPECT_GT(kills, 0);
}

}  // namespace
}  // namespace hone
