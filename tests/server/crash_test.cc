// The server is killed at its Nth write-type system call, whichever that is, while a client keeps a ledger of
// what was acknowledged: models uploaded and jobs created. All of it is there when the server is back.
#include <cstdlib>
#include <map>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "proto/values/sha256.h"
#include "tests/server/server_process.h"

namespace hone {
namespace {

constexpr int kMostSteps = 500;  // each makes many calls in several threads

struct Ledger {
  std::map<std::string, std::string> blobs;  // content by digest
  std::set<std::string> jobs;                // names
  std::string model;
};

// Uploads blobs and creates jobs until the server stops answering. False if it never did.
bool WorkUntilKilled(ServerProcess& server, int round, Ledger& ledger) {
  Caller caller(server.Channel(server.AdminToken()), /*patience_seconds=*/2);
  for (int step = 0; step < kMostSteps; ++step) {
    const std::string content = absl::StrCat("batches=0 trials=0 ", round, " ", step);
    v1::BlobStatus blob;
    if (!caller.Upload(content, &blob).ok()) break;
    EXPECT_TRUE(blob.complete());
    ledger.blobs[Sha256Hex(content)] = content;
    v1::CreateJobRequest request;
    request.mutable_spec()->set_model(ledger.model);
    v1::Job job;
    auto context = Caller::Context(2);
    context->set_wait_for_ready(false);
    if (!caller.jobs->CreateJob(context.get(), request, &job).ok()) break;
    ledger.jobs.insert(job.name());
  }
  const absl::Time deadline = absl::Now() + absl::Seconds(10);  // the kill takes its time through strace
  while (server.IsRunning() && absl::Now() < deadline) std::this_thread::yield();
  return !server.IsRunning();
}

TEST(CrashTest, AcknowledgedWorkSurvivesAKillAtAnySystemCall) {
  if (std::system("strace -qq -o /dev/null true 2>/dev/null") != 0) {
    GTEST_SKIP() << "strace does not work here (not installed, or ptrace is forbidden): nothing was tested";
  }
  TemporaryFolder folder;
  const std::string data = folder.path() + "/data";
  Ledger ledger;
  {
    ServerProcess server(data);
    server.Start();
    Caller caller(server.Channel(server.AdminToken()));
    ledger.model = caller.CreateModel("fail=1").name();
  }
  int round = 0, kills_while_serving = 0;
  for (int call : {2, 5, 9, 14, 21, 32, 47, 70}) {
    {
      ServerProcess server(
          data, {},
          {"strace", "-f", "-qq", "-o", "/dev/null", "-e",
           absl::StrCat("inject=pwrite64,fdatasync,fsync,rename,ftruncate,unlink:signal=KILL:when=", call)});
      if (server.TryStart()) kills_while_serving += WorkUntilKilled(server, ++round, ledger);
      while (server.IsRunning()) std::this_thread::yield();  // strace ends with what it traces
    }
    ServerProcess server(data);
    server.Start();
    Caller caller(server.Channel(server.AdminToken()));
    for (const auto& [digest, content] : ledger.blobs) EXPECT_EQ(caller.Download(digest), content);
    for (const std::string& name : ledger.jobs) {
      EXPECT_EQ(caller.WaitForEnd(name).error(), "INVALID_ARGUMENT: 1");
    }
  }
  EXPECT_GE(kills_while_serving, 4);
}

}  // namespace
}  // namespace hone
