#include "server/execution/change_hub.h"

#include <future>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/execution/executor.h"

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
