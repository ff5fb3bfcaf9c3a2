#include "server/config.h"

#include <fstream>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/setting_table.h"
#include "tests/server/temporary_folder.h"

namespace hone {
namespace {

using testing::HasSubstr;

absl::StatusOr<ServerConfig> Parse(std::vector<std::string> words) {
  words.insert(words.begin(), "hone-server");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

// Settings with which all else is in order.
std::vector<std::string> Valid(std::vector<std::string> words) {
  words.insert(words.end(), {"--data-dir=/tmp/x/../y", "--job-binary=/bin/true"});
  return words;
}

class ConfigFileTest : public testing::Test {
 protected:
  void Write(const std::string& text) { std::ofstream(path_) << text; }

  const TemporaryFolder folder_;
  const std::string path_ = folder_.path() + "/hone.conf";
};

TEST(ConfigTest, TakesFlagsInBothForms) {
  const auto config =
      Parse(Valid({"--listen=127.0.0.1:7", "--lease-seconds=0.5", "--max-jobs", "3", "--log-level=debug"}));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->data_dir, "/tmp/y");
  EXPECT_EQ(config->listen, "127.0.0.1:7");
  EXPECT_EQ(config->lease_seconds, 0.5);
  EXPECT_EQ(config->max_jobs, 3);
  EXPECT_EQ(config->log_level, LogLevel::kDebug);
  EXPECT_FALSE(config->allow_unsandboxed);
  EXPECT_TRUE(Parse(Valid({"--allow-unsandboxed", "--max-jobs=3"}))->allow_unsandboxed);
  EXPECT_FALSE(Parse(Valid({"--allow-unsandboxed=no"}))->allow_unsandboxed);
  EXPECT_EQ(Parse({"--help"})->action, ServerAction::kHelp);
}

TEST(ConfigTest, ErrorsNameTheFlag) {
  const std::vector<std::vector<std::string>> kCases = {
      {"--data-dir"},        {"--data-dir", ""},    {"--lease-seconds", "soon"}, {"--lease-seconds", "nan"},
      {"--max-jobs=0"},      {"--max-jobs=1.5"},    {"--colour", "red"},         {"--listen=nowhere"},
      {"--http=1.2.3.4:80"}, {"--backup-dir=here"}, {"--log-level=loud"},        {"--job-binary=/nowhere"},
      {"--job-memory-gb=0.1"}, {"--allow-unsandboxed=maybe"}};
  for (const std::vector<std::string>& words : kCases) {
    const auto config = Parse(words);
    ASSERT_FALSE(config.ok()) << words[0];
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(words[0].substr(0, words[0].find('='))));
  }
  EXPECT_THAT(std::string(Parse({}).status().message()), HasSubstr("--data-dir: data-dir is required"));
}

TEST_F(ConfigFileTest, FlagsHavePrecedence) {
  Write("# comment\n\n  max-jobs = 5\nlease-seconds=7\n");
  const auto config = Parse(Valid({"--max-jobs=6", "--config", path_}));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->max_jobs, 6);
  EXPECT_EQ(config->lease_seconds, 7);
}

TEST_F(ConfigFileTest, EveryFaultIsToldWithItsLine) {
  Write("max-jobs = many\ncolour = red\nhttp = 0.0.0.0:1\nwords\nlog-level = info\nlog-level = debug\n");
  const auto config = Parse(Valid({"--config", path_, "--check-config"}));
  const std::string message(config.status().message());
  for (const char* part :
       {":1: max-jobs 'many' is not a number from 1 to 1000", ":2: unknown setting 'colour'",
        ":3: http '0.0.0.0' is not the loopback: write 127.0.0.1:1", ":4: 'words' is not 'name = value'",
        ":6: log-level is set in line 5 already"}) {
    EXPECT_THAT(message, HasSubstr(path_ + part));
  }
  EXPECT_FALSE(Parse(Valid({"--config", path_ + ".missing"})).ok());
}

TEST_F(ConfigFileTest, ThePrintedFileIsValidWithItsDefaultsSet) {
  std::string text = absl::StrReplaceAll(ConfigFileText(), {{"\n#", "\n"}});
  std::string settings;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StrContains(line, " = ") && !absl::StrContains(line, ": ") && !absl::EndsWith(line, "= "))
      absl::StrAppend(&settings, line, "\n");
  }
  Write(settings);
  EXPECT_THAT(settings, HasSubstr("max-jobs = 2"));
  const auto config = Parse(Valid({"--config", path_}));
  EXPECT_TRUE(config.ok()) << config.status();
}

TEST(ConfigTest, ActionsTakeTheirFolder) {
  const auto config = Parse({"--data-dir", "/d", "--job-binary", "/bin/true", "--backup-to", "/copy"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->action, ServerAction::kBackup);
  EXPECT_EQ(config->copy, "/copy");
  EXPECT_FALSE(Parse({"--data-dir", "/d", "--job-binary", "/bin/true", "--restore-from"}).ok());
}

TEST(ConfigTest, HelpNamesEverySetting) {
  for (const SettingRow& row : SettingTable())
    EXPECT_THAT(UsageText(), HasSubstr(std::string("--") + row.name));
  EXPECT_THAT(UsageText(), HasSubstr("--check-config"));
}

}  // namespace
}  // namespace hone
