#include "server/execution/change_hub.h"

#include <filesystem>
#include <future>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/execution/executor.h"
#include "server/jobs/wake_up.h"

namespace hone {
namespace {

std::future<void> Wait(ChangeHub& hub, const std::string& topic, uint64_t stamp,
                       absl::Time deadline = absl::InfiniteFuture()) {
  auto woken = std::make_shared<std::promise<void>>();
  std::future<void> future = woken->get_future();
  hub.Wait(topic, stamp, deadline, [woken] { woken->set_value(); });
  return future;
}

bool Pending(std::future<void>& future) {
  return future.wait_for(std::chrono::seconds(0)) == std::future_status::timeout;
}

TEST(ChangeHubTest, WakesOnItsTopicOnly) {
  ChangeHub hub;
  std::future<void> a = Wait(hub, "a", hub.Stamp()), b = Wait(hub, "b", hub.Stamp());
  hub.Notify("a");
  a.get();
  EXPECT_TRUE(Pending(b));
  hub.Notify("b");
  b.get();
}

TEST(ChangeHubTest, MissesNoChangeAfterTheStamp) {
  ChangeHub hub;
  const uint64_t stamp = hub.Stamp();
  hub.Notify("a");  // between looking and waiting
  Wait(hub, "a", stamp).get();
}

TEST(ChangeHubTest, WakesAtTheDeadlineAndWhenStopped) {
  ChangeHub hub;
  Wait(hub, "a", hub.Stamp(), absl::Now() + absl::Milliseconds(5)).get();
  std::future<void> waiting = Wait(hub, "a", hub.Stamp());
  hub.Stop();
  waiting.get();
  Wait(hub, "a", hub.Stamp()).get();
}

TEST(ChangeHubTest, MissesNoChangeOfManyTopics) {
  ChangeHub hub;
  hub.Notify("long ago");
  const uint64_t stamp = hub.Stamp();
  hub.Notify("a");
  for (int i = 0; i < 20'000; ++i) hub.Notify(std::to_string(i));  // more than are remembered
  Wait(hub, "a", stamp).get();
  std::future<void> b = Wait(hub, "b", hub.Stamp());
  EXPECT_TRUE(Pending(b));
}

TEST(ChangeHubTest, ForgetsWhoHasGone) {
  ChangeHub hub;
  auto held = std::make_shared<int>();
  hub.Forget(hub.Wait("a", hub.Stamp(), absl::InfiniteFuture(), [held] { FAIL(); }));
  EXPECT_EQ(held.use_count(), 1);
  hub.Notify("a");
}

TEST(WakeUpTest, LeavesNoDescriptorBehind) {
  const auto descriptors = [] {
    const std::filesystem::directory_iterator open("/proc/self/fd");
    return std::distance(begin(open), end(open));
  };
  ChangeHub hub;
  const auto before = descriptors();
  for (int i = 0; i < 10; ++i) {
    const auto wake_up = WakeUp::Make(hub, {"silent", "silent too"});
    ASSERT_TRUE(wake_up.ok()) << wake_up.status();
    (*wake_up)->Arm();
  }
  EXPECT_EQ(descriptors(), before);
}

TEST(ExecutorTest, RefusesBeyondItsQueueAndFinishesWhatItTook) {
  std::atomic<int> done = 0;
  std::promise<void> started, go;  // outlive the executor's threads
  {
    Executor executor(1, 1);
    ASSERT_TRUE(executor.TryRun([&] { started.set_value(), go.get_future().wait(), ++done; }));
    started.get_future().wait();
    ASSERT_TRUE(executor.TryRun([&] { ++done; }));
    EXPECT_FALSE(executor.TryRun([&] { ++done; }));
    executor.Continue([&] { ++done; });
    go.set_value();
  }
  EXPECT_EQ(done, 3);
}

TEST(ExecutorTest, TakesNothingOnceStopped) {
  Executor executor(2, 10);
  executor.Stop();
  EXPECT_FALSE(executor.TryRun([] { FAIL(); }));
  executor.Continue([] { FAIL(); });
  executor.Stop();
}

}  // namespace
}  // namespace hone
