#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/codegen/link.h"

namespace hone {
namespace {

TEST(LinkTest, GarbageIsAnErrorThatLeavesTheLinkerUsable) {
  auto garbage = std::make_shared<const std::string>("not an object");
  for (int i = 0; i < 2; ++i) {
    auto linked = LinkShared({garbage}, {"f"});
    EXPECT_EQ(linked.status().code(), absl::StatusCode::kInternal);
    EXPECT_THAT(std::string(linked.status().message()), testing::HasSubstr("linking failed"));
  }
}

}  // namespace
}  // namespace hone
