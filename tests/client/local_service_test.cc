#include "client/local_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "client/error.h"
#include "tests/client/fake_server.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class LocalServiceTest : public ::testing::Test {
 protected:
  LocalServiceTest() : folder_(fs::path(::testing::TempDir()) / "hone_local_service_test") {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "programs");
    for (const char* name : {"hone-server", "hone-worker"}) {
      fs::create_symlink(fs::read_symlink("/proc/self/exe").parent_path() / "hone_fake_service",
                         folder_ / "programs" / name);
    }
    config_.home = folder_ / "home";
    config_.programs = folder_ / "programs";
  }
  ~LocalServiceTest() override { Service().Down().IgnoreError(); }

  LocalService Service() { return LocalService(config_, console_); }
  absl::StatusOr<LocalState> Up() { return Service().Up(absl::Seconds(30)); }

  fs::path folder_;
  ClientConfig config_;
  std::stringstream out_, err_;
  Console console_{out_, err_};
};

TEST_F(LocalServiceTest, UpStartsOnceAndDownStops) {
  auto first = Up();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->started);
  EXPECT_EQ(first->endpoint.token, "secret");
  auto second = Up();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_FALSE(second->started);
  EXPECT_EQ(second->server, first->server);
  EXPECT_EQ(second->worker, first->worker);
  EXPECT_EQ(Service().RunningEndpoint()->address, first->endpoint.address);
  EXPECT_TRUE(*Service().Down());
  EXPECT_FALSE(IsRunning(first->server) || IsRunning(first->worker));
  EXPECT_FALSE(*Service().Down());
  EXPECT_TRUE(absl::IsNotFound(Service().RunningEndpoint().status()));
}

TEST_F(LocalServiceTest, TwoAtOnceStartOneService) {
  absl::StatusOr<LocalState> a, b;
  std::thread other([&] { a = Up(); });
  std::stringstream out, err;
  Console console{out, err};
  b = LocalService(config_, console).Up(absl::Seconds(30));
  other.join();
  ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
  EXPECT_EQ(a->server, b->server);
  EXPECT_NE(a->started, b->started);
}

TEST_F(LocalServiceTest, AKilledServerComesBackOnItsPortAndKeepsItsWorker) {
  auto first = Up();
  ASSERT_TRUE(first.ok()) << first.status();
  kill(first->server.pid, SIGKILL);
  ASSERT_TRUE(StopProcess(first->server, absl::Seconds(5)).ok());
  auto second = Up();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(second->started);
  EXPECT_EQ(second->endpoint.address, first->endpoint.address);
  EXPECT_NE(second->server, first->server);
  EXPECT_EQ(second->worker, first->worker);
}

TEST_F(LocalServiceTest, AStoppedServerTakesItsPortAgain) {
  auto first = Up();
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(*Service().Down());
  auto second = Up();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->endpoint.address, first->endpoint.address);
}

TEST_F(LocalServiceTest, ATakenPortIsGivenUp) {
  auto first = Up();
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(*Service().Down());
  FakeServer other("secret", first->endpoint.address);
  ASSERT_TRUE(other.listening());
  auto second = Up();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(second->endpoint.address, first->endpoint.address);
}

TEST_F(LocalServiceTest, AKilledWorkerIsReplaced) {
  auto first = Up();
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(StopProcess(first->worker, absl::Seconds(5)).ok());
  auto second = Up();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->server, first->server);
  EXPECT_NE(second->worker, first->worker);
}

TEST_F(LocalServiceTest, AServerThatDiesShowsItsLastWords) {
  fs::create_directories(folder_ / "home/server");
  std::ofstream(folder_ / "home/server/die") << "";
  const absl::Status status = Up().status();
  EXPECT_THAT(status.message(), HasSubstr("boom: no luck today"));
  EXPECT_THAT(RemedyOf(status), HasSubstr("server.log"));
}

}  // namespace
}  // namespace hone
