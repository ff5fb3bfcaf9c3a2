#include "worker/result_store.h"

#include <gtest/gtest.h>

#include "tests/worker/test_objects.h"

namespace hone {
namespace {

TEST(ResultStore, KeepsUntilRemovedAcrossProcesses) {
  TestFolder folder;
  {
    ResultStore store(folder.path() + "/results");
    ASSERT_TRUE(store.Put("lease/1", std::string("\0bytes", 6)).ok());
    ASSERT_TRUE(store.Put("lease/2", "b").ok());
  }
  ResultStore store(folder.path() + "/results");
  EXPECT_EQ(store.Pending(1000).size(), 2u);
  EXPECT_TRUE(store.Has("lease/1"));
  store.Remove("lease/2");
  const std::vector<ResultStore::Entry> pending = store.Pending(1000);
  ASSERT_EQ(pending.size(), 1u);
  EXPECT_EQ(pending[0].lease_id, "lease/1");
  EXPECT_EQ(pending[0].bytes, std::string("\0bytes", 6));
}

TEST(ResultStore, PendingIsBoundedButNeverStuck) {
  TestFolder folder;
  ResultStore store(folder.path());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(store.Put(std::to_string(i), std::string(100, 'x')).ok());
  EXPECT_EQ(store.Pending(10).size(), 1u);
  EXPECT_EQ(store.Pending(250).size(), 2u);
}

TEST(ResultStore, UnwritableFolderIsAnError) {
  ResultStore store("/proc/nonexistent");
  EXPECT_FALSE(store.Put("a", "b").ok());
}

}  // namespace
}  // namespace hone
