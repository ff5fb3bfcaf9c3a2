#include "worker/config.h"

#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/match.h"
#include "tests/worker/fake_server.h"
#include "tests/worker/test_objects.h"

namespace hone {
namespace {

absl::StatusOr<WorkerConfig> Parse(std::vector<std::string> arguments) {
  return ParseCommandLine("/proc/self/exe", arguments);
}

TEST(WorkerConfig, Join) {
  TestFolder folder;
  std::ofstream(folder.path() + "/token") << "secret\n";
  std::ofstream(folder.path() + "/ca") << "PEM";
  const auto config =
      Parse({"join", "--server=h:1", "--ca", folder.path() + "/ca", "--data-dir", "/d", "--runner",
             HONE_RUNNER, "--enrol-token-file", folder.path() + "/token", "--cache-mb", "3"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->session.server.address, "h:1");
  EXPECT_EQ(config->session.server.ca_pem, "PEM");
  EXPECT_EQ(config->session.enrol_token, "secret");
  EXPECT_EQ(config->session.blob_cache_bytes, 3u << 20);
  EXPECT_FALSE(config->session.display_name.empty());
}

TEST(WorkerConfig, ErrorsNameTheFlag) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "no command"},
      {{"dance"}, "'dance'"},
      {{"join"}, "--server"},
      {{"join", "--server", "h:1"}, "--ca"},
      {{"join", "--server"}, "--server needs HOST:PORT"},
      {{"join", "--ca", "/nonexistent"}, "/nonexistent"},
      {{"join", "--speed", "9"}, "'--speed'"},
      {{"join", "--cache-mb", "x"}, "--cache-mb"},
      {{"join", "--idle-calibration", "-1"}, "--idle-calibration"},
      {{"calibrate", "--json=1"}, "takes no value"},
  };
  for (const auto& [arguments, part] : cases) {
    const auto config = Parse(arguments);
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(absl::StrContains(config.status().message(), part)) << config.status();
  }
}

TEST(WorkerConfig, TheServersOwnCertificatePinsItsName) {
  EXPECT_EQ(PinnedName(MakeTestCertificate().certificate), "hone.test");
  EXPECT_EQ(PinnedName("no certificate"), "");
}

TEST(WorkerConfig, HelpListsEveryFlag) {
  EXPECT_TRUE(absl::StrContains(HelpText(), "--enrol-token-file FILE"));
  EXPECT_EQ(Parse({"join", "--help"})->command, WorkerConfig::Command::kHelp);
}

}  // namespace
}  // namespace hone
