#include "compiler/runtime/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace hone {
namespace {

// Owns the memory of a pool for up to kCapacity threads.
class Pool {
 public:
  static constexpr int kCapacity = 8;
  explicit Pool(int threads) {
    const size_t bytes = (HoneThreadPoolBytes(kCapacity) + 63) / 64 * 64;
    memory_.reset(std::aligned_alloc(64, bytes));
    std::memset(memory_.get(), 0, bytes);
    pool_ = HoneThreadPoolInit(memory_.get(), threads);
  }
  ~Pool() { HoneThreadPoolDestroy(pool_); }
  HoneThreadPool* get() { return pool_; }

  void For(int n, const std::function<void(int)>& body) {
    HoneThreadPoolParallelFor(
        pool_, n,
        [](void* context, int32_t i) { (*static_cast<const std::function<void(int)>*>(context))(i); },
        const_cast<std::function<void(int)>*>(&body));
  }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> memory_;
  HoneThreadPool* pool_;
};

TEST(ThreadPool, EveryIndexOnce) {
  for (int threads : {1, 2, 3, 8}) {
    Pool pool(threads);
    EXPECT_EQ(HoneThreadPoolThreads(pool.get()), threads);
    ASSERT_TRUE(HoneThreadPoolBegin(pool.get()));
    for (int n : {0, 1, 2, 3, 7, 17, 100, 1000, 4099}) {
      std::vector<int> counts(n, 0);  // plain ints: a thread sanitizer build proves the hand-over as well
      pool.For(n, [&](int i) { ++counts[i]; });
      for (int i = 0; i < n; ++i)
        ASSERT_EQ(counts[i], 1) << "threads " << threads << " n " << n << " i " << i;
    }
    HoneThreadPoolEnd(pool.get());
  }
}

TEST(ThreadPool, ManyShortRegionsChainTheirResults) {
  Pool pool(4);
  std::vector<int64_t> values(64, 1);
  int64_t expected = 1;
  for (int inference = 0; inference < 20; ++inference) {
    ASSERT_TRUE(HoneThreadPoolBegin(pool.get()));
    for (int region = 0; region < 100; ++region) {
      pool.For(64, [&](int i) { values[i] = values[i] * 3 % 1000003 + i; });
      pool.For(64, [&](int i) { values[i] -= i; });
      expected = expected * 3 % 1000003;
    }
    HoneThreadPoolEnd(pool.get());
  }
  for (int i = 0; i < 64; ++i) EXPECT_EQ(values[i] % 1000003, values[0] % 1000003);
  EXPECT_EQ(values[0], expected);
}

TEST(ThreadPool, WorkOfAStuckThreadIsStolen) {
  Pool pool(2);
  ASSERT_TRUE(HoneThreadPoolBegin(pool.get()));
  // Index 0 (the caller's first) waits until all others are done: they must be taken by the other thread.
  std::atomic<int> done{0};
  pool.For(16, [&](int i) {
    if (i == 0) {
      while (done.load() < 15) std::this_thread::yield();
    } else {
      done.fetch_add(1);
    }
  });
  EXPECT_EQ(done.load(), 15);
  HoneThreadPoolEnd(pool.get());
}

TEST(ThreadPool, CallerDoesNotNeedTheWorkers) {
  Pool pool(2);
  ASSERT_TRUE(HoneThreadPoolBegin(pool.get()));
  // The mirror image: the worker sits in one index until the caller has done all the rest.
  std::atomic<int> done{0};
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<bool> worker_in{false};
  pool.For(16, [&](int i) {
    if (std::this_thread::get_id() != caller && !worker_in.exchange(true)) {
      while (done.load() < 15) std::this_thread::yield();
    }
    done.fetch_add(1);
  });
  EXPECT_EQ(done.load(), 16);
  HoneThreadPoolEnd(pool.get());
}

TEST(ThreadPool, RangesAreStable) {
  Pool pool(2);
  ASSERT_TRUE(HoneThreadPoolBegin(pool.get()));
  // With both threads held until each has begun, index 0 is the caller's and index 1 the worker's, always.
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> begun{0};
    std::thread::id owner[2];
    pool.For(2, [&](int i) {
      owner[i] = std::this_thread::get_id();
      begun.fetch_add(1);
      while (begun.load() < 2) std::this_thread::yield();
    });
    ASSERT_EQ(owner[0], std::this_thread::get_id());
    ASSERT_NE(owner[1], owner[0]);
  }
  HoneThreadPoolEnd(pool.get());
}

TEST(ThreadPool, LimitHolds) {
  Pool pool(4);
  ASSERT_TRUE(HoneThreadPoolBegin(pool.get()));
  HoneThreadPoolLimit(pool.get(), 1);
  pool.For(64, [caller = std::this_thread::get_id()](int) { EXPECT_EQ(std::this_thread::get_id(), caller); });
  HoneThreadPoolEnd(pool.get());
}

TEST(ThreadPool, OneHolderAtATime) {
  Pool pool(2);
  ASSERT_TRUE(HoneThreadPoolBegin(pool.get()));
  EXPECT_FALSE(HoneThreadPoolBegin(pool.get()));
  HoneThreadPoolEnd(pool.get());
  EXPECT_TRUE(HoneThreadPoolBegin(pool.get()));
  HoneThreadPoolEnd(pool.get());
}

TEST(ThreadPool, NestedCallRunsOnItsThread) {
  Pool pool(3);
  ASSERT_TRUE(HoneThreadPoolBegin(pool.get()));
  std::atomic<int> count{0};
  pool.For(8, [&](int) {
    const std::thread::id self = std::this_thread::get_id();
    pool.For(8, [&](int) {
      EXPECT_EQ(std::this_thread::get_id(), self);
      count.fetch_add(1);
    });
  });
  EXPECT_EQ(count.load(), 64);
  HoneThreadPoolEnd(pool.get());
}

TEST(ThreadPool, NestedCallBehindTheLastChunkRunsOnItsThread) {
  Pool pool(2);
  ASSERT_TRUE(HoneThreadPoolBegin(pool.get()));
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> begun{0}, count{0};
  pool.For(2, [&](int) {
    begun.fetch_add(1);
    while (begun.load() < 2) std::this_thread::yield();
    if (std::this_thread::get_id() == caller) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));   // the caller has closed the region by now
    pool.For(8, [&](int) {
      EXPECT_NE(std::this_thread::get_id(), caller);
      count.fetch_add(1);
    });
  });
  EXPECT_EQ(count.load(), 8);
  HoneThreadPoolEnd(pool.get());
}

TEST(ThreadPool, Grows) {
  Pool pool(1);
  EXPECT_EQ(HoneThreadPoolThreads(pool.get()), 1);
  ASSERT_TRUE(HoneThreadPoolBegin(pool.get()));
  EXPECT_EQ(HoneThreadPoolGrow(pool.get(), 4), 4);
  EXPECT_EQ(HoneThreadPoolGrow(pool.get(), 2), 4);
  // All four are there: each waits for the others.
  std::atomic<int> begun{0};
  pool.For(4, [&](int) {
    begun.fetch_add(1);
    while (begun.load() < 4) std::this_thread::yield();
  });
  EXPECT_EQ(begun.load(), 4);
  HoneThreadPoolEnd(pool.get());
}

double CpuSeconds(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

cpu_set_t Cpus() {
  cpu_set_t cpus;
  EXPECT_EQ(sched_getaffinity(0, sizeof cpus, &cpus), 0);
  return cpus;
}

TEST(ThreadPool, CallerSleepsAndLendsItsCpuToAWorkerThatDoesNotRun) {
  const cpu_set_t all = Cpus();
  if (CPU_COUNT(&all) < 2) GTEST_SKIP() << "needs two CPUs";
  Pool pool(2);
  ASSERT_TRUE(HoneThreadPoolBegin(pool.get()));
  const std::thread::id caller = std::this_thread::get_id();
  for (int round = 0; round < 3; ++round) {
    std::atomic<int> begun{0};
    double caller_seconds = 0;
    cpu_set_t before, after;
    pool.For(2, [&](int) {
      begun.fetch_add(1);
      while (begun.load() < 2) std::this_thread::yield();
      if (std::this_thread::get_id() == caller) {
        caller_seconds = CpuSeconds(CLOCK_THREAD_CPUTIME_ID);
        return;
      }
      before = Cpus();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      after = Cpus();
    });
    EXPECT_LT(CpuSeconds(CLOCK_THREAD_CPUTIME_ID) - caller_seconds, 0.02);
    EXPECT_TRUE(CPU_EQUAL(&before, &all)) << "round " << round;   // also that the round before gave them back
    EXPECT_EQ(CPU_COUNT(&after), 1);
  }
  HoneThreadPoolEnd(pool.get());
}

// Ends only if no thread waits for ever for another that the system does not run.
TEST(ThreadPool, MoreThreadsThanCpusBesideABusyNeighbour) {
  const cpu_set_t all = Cpus();
  std::atomic<bool> stop{false};
  std::thread neighbour([&] {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &all)) continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof one, &one);
      break;
    }
    while (!stop.load(std::memory_order_relaxed)) {
    }
  });
  Pool pool(Pool::kCapacity);
  std::vector<int> counts(100, 0);
  for (int inference = 0; inference < 20; ++inference) {
    ASSERT_TRUE(HoneThreadPoolBegin(pool.get()));
    for (int region = 0; region < 50; ++region) pool.For(100, [&](int i) { ++counts[i]; });
    HoneThreadPoolEnd(pool.get());
  }
  for (const int count : counts) EXPECT_EQ(count, 1000);
  stop = true;
  neighbour.join();
}

TEST(ThreadPool, ParksBetweenInferences) {
  Pool pool(2);
  ASSERT_TRUE(HoneThreadPoolBegin(pool.get()));
  std::atomic<int> begun{0};
  pool.For(2, [&](int) {
    begun.fetch_add(1);
    while (begun.load() < 2) std::this_thread::yield();
  });
  HoneThreadPoolEnd(pool.get());
  // The caller burns its own CPU time; the parked worker adds next to nothing to the process.
  const double process = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID), self = CpuSeconds(CLOCK_THREAD_CPUTIME_ID);
  while (CpuSeconds(CLOCK_THREAD_CPUTIME_ID) - self < 0.1) {
  }
  const double others =
      CpuSeconds(CLOCK_PROCESS_CPUTIME_ID) - process - (CpuSeconds(CLOCK_THREAD_CPUTIME_ID) - self);
  EXPECT_LT(others, 0.02);
}

TEST(ThreadPool, DestroyJoinsAtAnyMoment) {
  for (int round = 0; round < 200; ++round) {
    Pool pool(3);
    if (round % 2 == 0) continue;
    ASSERT_TRUE(HoneThreadPoolBegin(pool.get()));
    pool.For(3, [](int) {});
    if (round % 4 == 1) HoneThreadPoolEnd(pool.get());
  }
}

}  // namespace
}  // namespace hone
