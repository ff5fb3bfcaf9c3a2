#include "server/config.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

absl::StatusOr<ServerConfig> Parse(std::vector<std::string> words) {
  words.insert(words.begin(), "hone-server");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

TEST(ConfigTest, TakesFlagsInBothForms) {
  const ServerConfig config =
      *Parse({"--data-dir", "/tmp/x/../y", "--listen=127.0.0.1:7", "--lease-seconds=0.5", "--max-jobs", "3"});
  EXPECT_EQ(config.data_dir, "/tmp/y");
  EXPECT_EQ(config.listen, "127.0.0.1:7");
  EXPECT_EQ(config.lease_seconds, 0.5);
  EXPECT_EQ(config.max_jobs, 3);
  EXPECT_THAT(config.job_binary, EndsWith("/hone-job"));
  EXPECT_TRUE(Parse({"--help"})->help);
}

TEST(ConfigTest, ErrorsNameTheFlag) {
  const std::vector<std::vector<std::string>> kCases = {{"--data-dir"},
                                                        {"--data-dir", ""},
                                                        {"--lease-seconds", "soon", "--data-dir", "x"},
                                                        {"--lease-seconds", "nan", "--data-dir", "x"},
                                                        {"--max-jobs=0", "--data-dir=x"},
                                                        {"--colour", "red"}};
  for (const std::vector<std::string>& words : kCases) {
    const auto config = Parse(words);
    ASSERT_FALSE(config.ok()) << words[0];
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(words[0].substr(0, words[0].find('='))));
  }
  EXPECT_THAT(std::string(Parse({}).status().message()), HasSubstr("--data-dir is required"));
}

TEST(ConfigTest, HelpNamesEveryFlag) {
  for (const char* flag :
       {"--data-dir", "--listen", "--http", "--job-binary", "--lease-seconds", "--max-jobs", "--help"}) {
    EXPECT_THAT(UsageText(), HasSubstr(flag));
  }
}

}  // namespace
}  // namespace hone
