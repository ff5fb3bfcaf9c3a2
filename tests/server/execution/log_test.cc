#include "server/execution/log.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Logged(const std::string& event, LogFields fields = {}) {
  testing::internal::CaptureStderr();
  LogEvent(event, fields);
  return testing::internal::GetCapturedStderr();
}

TEST(LogTest, AnEventHasTheFieldsOfItsScopes) {
  {
    const LogScope request("request", "r1");
    EXPECT_THAT(Logged("began"), HasSubstr(R"("event":"began","request":"r1"})"));
    const LogScope lease("lease", "l1"), again("request", "r2");
    EXPECT_THAT(Logged("inner", {{"job", "j1"}}), HasSubstr(R"("job":"j1","request":"r2","lease":"l1"})"));
    EXPECT_THAT(Logged("own", {{"lease", "l2"}}), HasSubstr(R"("lease":"l2","request":"r2"})"));
  }
  EXPECT_THAT(Logged("after"), Not(HasSubstr("request")));
}

TEST(LogTest, TextFromOutsideStaysOneLineOfJson) {
  const LogScope request("request", "a\"\n{\xff");
  EXPECT_THAT(Logged("e"), HasSubstr(R"("request":"a\"\n{�"})"));
}

}  // namespace
}  // namespace hone
