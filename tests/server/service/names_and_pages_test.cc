#include "gtest/gtest.h"
#include "server/service/paging.h"
#include "server/service/resource_names.h"

namespace hone {
namespace {

TEST(ResourceNamesTest, TakesIdsOfItsCollectionOnly) {
  EXPECT_EQ(*IdIn("jobs", "jobs/abc2"), "abc2");
  for (const char* name : {"", "abc", "jobs/", "models/abc", "jobs/a/b", "jobs/../x", "jobs/A", "jobs/a b",
                           "jobs/\n", "jobs/%2e"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(IdIn("jobs", name).status())) << name;
  }
  EXPECT_FALSE(IdIn("jobs", "jobs/" + std::string(1000, 'a')).ok());
}

TEST(ResourceNamesTest, FileNamesStayInsideTheirFolder) {
  for (const char* name : {"model.onnx", "weights/layer 1.bin", "..hidden", "a..b", "ü.onnx"})
    EXPECT_TRUE(CheckFileName(name).ok()) << name;
  for (const char* name :
       {"", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", "a\\b", "a\nb", "..", "a/.."}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckFileName(name))) << name;
  }
  EXPECT_FALSE(CheckFileName(std::string_view("a\0b", 3)).ok());
  EXPECT_FALSE(CheckFileName(std::string(256, 'a')).ok());
}

TEST(ResourceNamesTest, DisplayNamesAreOneLine) {
  EXPECT_TRUE(CheckDisplayName("ResNet-50 (v1)").ok());
  for (const char* name : {"", "a/b", "a\nb", "\x1b[31m"}) EXPECT_FALSE(CheckDisplayName(name).ok()) << name;
}

TEST(PagingTest, TokensBelongToTheirListing) {
  const std::string token = NextPageToken(42, "jobs");
  EXPECT_EQ(ParsePage(10, token, "jobs")->after, 42);
  EXPECT_EQ(ParsePage(10, "", "jobs")->after, 0);
  EXPECT_EQ(ParsePage(0, "", "jobs")->limit, kDefaultPageSize);
  EXPECT_EQ(ParsePage(1 << 30, "", "jobs")->limit, kMaxPageSize);
  EXPECT_FALSE(ParsePage(10, token, "models").ok());
  EXPECT_FALSE(ParsePage(10, "!!", "jobs").ok());
  EXPECT_FALSE(ParsePage(10, "MQ", "jobs").ok());
  EXPECT_FALSE(ParsePage(-1, "", "jobs").ok());
}

TEST(PagingTest, TheLastPageHasNoToken) {
  std::vector<int64_t> rows = {1, 2, 3};
  auto key = [](int64_t row) { return row; };
  EXPECT_EQ(FinishPage(rows, 3, "q", key), "");
  EXPECT_EQ(ParsePage(2, FinishPage(rows, 2, "q", key), "q")->after, 2);
  EXPECT_EQ(rows.size(), 2u);
}

}  // namespace
}  // namespace hone
