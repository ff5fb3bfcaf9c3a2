// The path of a job through a real hone-server process: fake hone-job, fake worker, real everything else.
#include <signal.h>
#include <sys/wait.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
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

  // Every trial of the job once in the log and in what the child saw; returns the trial ids of the module's log.
  void CheckLog(Caller& caller, const v1::Job& job, int batches, int trials) {
    std::set<std::string> ids;
    for (const v1::TuningRecord& record : caller.Records(absl::StrCat("job = \"", job.name(), "\""))) {
      EXPECT_TRUE(ids.insert(record.trial_id()).second) << record.trial_id() << " is there twice";
      EXPECT_EQ(record.sequence(), ids.size());
    }
    for (int batch = 1; batch <= batches; ++batch) {
      for (int trial = 0; trial < trials; ++trial) EXPECT_EQ(ids.count(absl::StrCat("b", batch, ".", trial)), 1u);
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

}  // namespace
}  // namespace hone
