// Copies of a server's data folder: made while a job runs, damaged, restored.
#include <signal.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proto/values/sha256.h"
#include "server/backup.h"
#include "tests/server/fake_worker.h"
#include "tests/server/server_process.h"

namespace hone {
namespace {

const std::vector<std::string> kShortLeases = {"--lease-seconds", "1"};

class BackupTest : public testing::Test {
 protected:
  std::string PathOf(const std::string& name) const { return folder_.path() + "/" + name; }

  // By the program's own command line.
  static int Run(const std::string& flags) {
    const int status = std::system(absl::StrCat(HONE_SERVER_BINARY, " ", flags, " 2>/dev/null >/dev/null").c_str());
    return WEXITSTATUS(status);
  }

  TemporaryFolder folder_;
};

TEST_F(BackupTest, ARunningJobGoesOnFromABackupMadeUnderLoad) {
  std::string name, model_bytes = "batches=12 trials=3";
  {
    ServerProcess server(PathOf("data"), kShortLeases);
    server.Start();
    FakeWorker worker(server);
    worker.Start();
    Caller caller(server.Channel(server.AdminToken()));
    name = caller.CreateJob(caller.CreateModel(model_bytes).name()).name();
    ASSERT_TRUE(worker.WaitForLeases(3));
    EXPECT_EQ(Run(absl::StrCat("--data-dir ", PathOf("data"), " --backup-to ", PathOf("copy"))), 0);
    EXPECT_EQ(caller.WaitForEnd(name).state(), v1::JOB_STATE_SUCCEEDED);  // undisturbed
  }
  EXPECT_EQ(Run(absl::StrCat("--restore-from ", PathOf("copy"), " --data-dir ", PathOf("restored"))), 0);
  ServerProcess server(PathOf("restored"), kShortLeases);
  server.Start();
  FakeWorker worker(server);  // the first one's leases are lost with their time
  worker.Start();
  Caller caller(server.Channel(server.AdminToken()));
  EXPECT_EQ(caller.GetJob(name).state(), v1::JOB_STATE_RUNNING);
  const v1::Job job = caller.WaitForEnd(name);
  EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED) << job.error();
  EXPECT_EQ(job.progress().trials_done(), 36u);
  EXPECT_EQ(caller.Records(absl::StrCat("job = \"", name, "\" AND NOT trial:incumbent")).size(), 36u);
  EXPECT_EQ(caller.Download(Sha256Hex(model_bytes)), model_bytes);
}

TEST_F(BackupTest, AnAdminFarAwayHasCopiesMadeWhereTheServerSays) {
  v1::Backup backup;
  std::string name;
  {
    ServerProcess server(PathOf("data"), {"--lease-seconds", "1", "--backup-dir", PathOf("copies")});
    server.Start();
    FakeWorker worker(server);
    worker.Start();
    Caller caller(server.Channel(server.AdminToken()));
    name = caller.CreateJob(caller.CreateModel("batches=40 trials=3").name()).name();
    ASSERT_TRUE(worker.WaitForLeases(2));
    for (int copies = 1; copies <= 2; ++copies) {
      const grpc::Status status = caller.admin->CreateBackup(Caller::Context().get(), {}, &backup);
      ASSERT_TRUE(status.ok()) << status.error_message();
      EXPECT_EQ(std::distance(std::filesystem::directory_iterator(PathOf("copies")), {}), copies);
    }
    EXPECT_EQ(std::filesystem::path(backup.path()).parent_path(), PathOf("copies"));
    EXPECT_GT(backup.files(), 6u);
    EXPECT_EQ(caller.WaitForEnd(name).state(), v1::JOB_STATE_SUCCEEDED);
  }
  EXPECT_EQ(Run(absl::StrCat("--restore-from ", backup.path(), " --data-dir ", PathOf("restored"))), 0);
  ServerProcess server(PathOf("restored"), kShortLeases);
  server.Start();
  FakeWorker worker(server);
  worker.Start();
  Caller caller(server.Channel(server.AdminToken()));
  EXPECT_EQ(caller.WaitForEnd(name).progress().trials_done(), 120u);
  const grpc::Status status = caller.admin->CreateBackup(Caller::Context().get(), {}, &backup);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);  // no backup-dir
}

TEST_F(BackupTest, OnlyWholeCopiesAreRestoredAndOnlyIntoEmptyFolders) {
  {
    ServerProcess server(PathOf("data"));
    server.Start();
    Caller(server.Channel(server.AdminToken())).CreateModel("the model");
  }  // killed
  const auto report = Backup(PathOf("data"), PathOf("copy"));
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->files,
            7);  // the database, a blob, two tokens, the certificate and its key, the workers' authority
  EXPECT_TRUE(absl::IsFailedPrecondition(Backup(PathOf("data"), PathOf("copy")).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(Restore(PathOf("copy"), PathOf("data")).status()));
  EXPECT_TRUE(absl::IsNotFound(Backup(PathOf("nothing"), PathOf("other")).status()));
  EXPECT_TRUE(absl::IsNotFound(Restore(PathOf("nothing"), PathOf("other")).status()));

  const std::string digest = Sha256Hex("the model");
  const std::string blob = absl::StrCat("/blobs/sha256/", digest.substr(0, 2), "/", digest.substr(2));
  std::filesystem::create_directory(PathOf("restored"));
  ASSERT_TRUE(Restore(PathOf("copy"), PathOf("restored")).ok());
  EXPECT_TRUE(std::filesystem::exists(PathOf("restored") + blob));
  std::ofstream(PathOf("copy") + blob) << "the m0del";
  EXPECT_TRUE(absl::IsDataLoss(Restore(PathOf("copy"), PathOf("again")).status()));
  std::ofstream(PathOf("copy/MANIFEST")) << digest << "  ../outside\n";
  EXPECT_TRUE(absl::IsDataLoss(Restore(PathOf("copy"), PathOf("again")).status()));
  EXPECT_FALSE(std::filesystem::exists(PathOf("again")));
  std::ofstream(PathOf("data") + blob) << "the m0del";
  EXPECT_TRUE(absl::IsDataLoss(Backup(PathOf("data"), PathOf("third")).status()));
}

}  // namespace
}  // namespace hone
