#include "proto/values/host_lock.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"

namespace hone {
namespace {

using Mode = HostLock::Mode;

class HostLockTest : public testing::Test {
 protected:
  std::string path_ = testing::TempDir() + "/host_lock_" +
                      testing::UnitTest::GetInstance()->current_test_info()->name() +
                      std::to_string(getpid());
  absl::StatusOr<HostLock> Try(Mode mode) { return HostLock::Acquire(mode, absl::Now(), path_); }
};

TEST_F(HostLockTest, SharedTogetherExclusiveAlone) {
  {
    auto a = Try(Mode::kShared);
    auto b = Try(Mode::kShared);
    ASSERT_TRUE(a.ok()) << a.status();
    ASSERT_TRUE(b.ok()) << b.status();
    EXPECT_EQ(Try(Mode::kExclusive).status().code(), absl::StatusCode::kDeadlineExceeded);
  }
  auto c = Try(Mode::kExclusive);
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_EQ(Try(Mode::kShared).status().code(), absl::StatusCode::kDeadlineExceeded);
  c->Release();
  EXPECT_TRUE(Try(Mode::kShared).ok());
}

TEST_F(HostLockTest, OverlappingSlicesDoNotStarveAnExclusiveWaiter) {
  absl::Notification stop;
  const auto slices = [&] {
    while (!stop.HasBeenNotified()) {
      auto slice = HostLock::Acquire(Mode::kShared, absl::InfiniteFuture(), path_);
      EXPECT_TRUE(slice.ok());
      stop.WaitForNotificationWithTimeout(absl::Milliseconds(3));  // work of one slice
    }
  };
  std::thread a(slices), b(slices);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(HostLock::Acquire(Mode::kExclusive, absl::Now() + absl::Seconds(10), path_).ok());
  }
  stop.Notify();
  a.join();
  b.join();
}

// The share is never given back by the thread that has it; only its slices end.
TEST_F(HostLockTest, ASharerThatNeverEndsGivesWay) {
  std::atomic<bool> stop = false, held = false;
  std::atomic<int64_t> steps = 0;
  std::thread sharer([&] {
    const auto files = HostLockFiles::Open(path_);
    ASSERT_TRUE(files.ok()) << files.status();
    auto share = HostShare::Begin(*files);
    EXPECT_TRUE(share.ok()) << share.status();
    held = true;
    while (!stop) ++steps;
  });
  while (!held) std::this_thread::yield();
  for (int i = 0; i < 3; ++i) {
    auto lock = HostLock::Acquire(Mode::kExclusive, absl::Now() + absl::Seconds(20), path_);
    ASSERT_TRUE(lock.ok()) << lock.status();
    const int64_t before = steps;  // the sharer stands still while somebody else has the host
    absl::SleepFor(2 * HostShare::kSlice);
    EXPECT_EQ(steps, before);
    lock->Release();
    while (steps == before) std::this_thread::yield();
  }
  stop = true;
  sharer.join();
  EXPECT_TRUE(Try(Mode::kExclusive).ok());
}

TEST_F(HostLockTest, UnusablePathIsUnavailable) {
  EXPECT_EQ(HostLock::Acquire(Mode::kShared, absl::Now(), "/nonexistent/x").status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(HostLockFiles::Open("/nonexistent/x").status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace hone
