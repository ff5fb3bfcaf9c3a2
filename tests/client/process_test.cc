#include "client/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "client/interrupts.h"

namespace hone {
namespace {

TEST(ProcessTest, IdentifiesOnlyTheSameProcess) {
  auto self = IdentifyProcess(getpid());
  ASSERT_TRUE(self.has_value());
  EXPECT_TRUE(IsRunning(*self));
  EXPECT_FALSE(IsRunning({self->pid, self->start_ticks + 1}));
  EXPECT_FALSE(IsRunning({}));
}

TEST(ProcessTest, StopsADetachedProcess) {
  const std::string log = ::testing::TempDir() + "hone_process_test.log";
  auto process = StartDetached({"sleep", "600"}, log);
  ASSERT_TRUE(process.ok()) << process.status();
  EXPECT_TRUE(IsRunning(*process));
  EXPECT_TRUE(StopProcess(*process, absl::Seconds(5)).ok());
  EXPECT_FALSE(IsRunning(*process));
  EXPECT_TRUE(StopProcess(*process, absl::Seconds(5)).ok());
  EXPECT_FALSE(StartDetached({"/no/such/program"}, log).ok());
}

TEST(ProcessTest, TalksLineByLine) {
  auto process = PipedProcess::Start({"cat"}, true);
  ASSERT_TRUE(process.ok());
  ASSERT_TRUE((*process)->WriteLine("one").ok());
  ASSERT_TRUE((*process)->WriteLine("two").ok());
  EXPECT_EQ(*(*process)->ReadLine(absl::Seconds(10)), "one");
  EXPECT_EQ(*(*process)->ReadLine(absl::Seconds(10)), "two");
  EXPECT_TRUE(absl::IsDeadlineExceeded((*process)->ReadLine(absl::Milliseconds(1)).status()));
  auto ended = PipedProcess::Start({"true"}, true);
  EXPECT_TRUE(absl::IsUnavailable((*ended)->ReadLine(absl::Seconds(10)).status()));
}

TEST(InterruptsTest, CallsBackOnceInsteadOfDying) {
  std::atomic<int> calls = 0;
  {
    Interrupts interrupts([&] { ++calls; });
    EXPECT_FALSE(interrupts.raised());
    raise(SIGINT);
    raise(SIGTERM);
  }  // the destructor lets the thread finish what it was told
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace hone
