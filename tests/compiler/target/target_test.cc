#include "compiler/target/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(TargetTest, EveryRowIsFoundByNameAndIsConsistent) {
  for (const TargetRow& row : TargetTable()) {
    auto target = FindTarget(row.name);
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->ToString(), row.name);
    ASSERT_FALSE(row.vector_widths.empty());
    EXPECT_TRUE(std::is_sorted(row.vector_widths.rbegin(), row.vector_widths.rend()));
    EXPECT_GE(row.vector_registers, 16);
    EXPECT_GT(row.nominal_gflops, 0);
  }
}

TEST(TargetTest, HostIsTheStrongestRowThatRunsHere) {
  auto host = FindTarget("host");
  ASSERT_TRUE(host.ok()) << host.status();
  EXPECT_TRUE(host->row->runs_here());
  for (const TargetRow& row : TargetTable()) {
    if (&row > host->row) {
      EXPECT_FALSE(row.runs_here()) << row.name;
    }
  }
}

TEST(TargetTest, UnknownNamesListWhatThereIs) {
  auto target = FindTarget("z80");
  EXPECT_EQ(target.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(target.status().message()), testing::HasSubstr("x86-64-v3"));
}

}  // namespace
}  // namespace hone
