#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/codegen/codegen.h"
#include "compiler/codegen/link.h"
#include "compiler/schedule/schedule.h"

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

// LLVM's options are globals that lld resets: linking in between must not show.
TEST(LinkTest, CodeDoesNotDependOnWhatWasLinkedBefore) {
  Task task;
  const TensorId x = task.graph.AddInput("x", {DType::kF32, {DimExpr(5), DimExpr(37)}});
  task.graph.SetOutputs(task.graph.AddNode("softmax", {x}, {{"axis", int64_t{1}}}, "softmax").value());
  task.target = FindTarget("x86-64-v3").value();
  const auto program = LowerTask(task);
  ASSERT_TRUE(program.ok()) << program.status();
  const auto scheduled = Schedule(task, *program, DefaultTrace(task, *program));
  ASSERT_TRUE(std::holds_alternative<Scheduled>(scheduled));
  std::vector<std::string> objects, libraries;
  for (int i = 0; i < 3; ++i) {
    const auto compiled = CompileNest(task, std::get<Scheduled>(scheduled), "kernel");
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    objects.push_back(*compiled->objects.front());
    libraries.push_back(LinkCandidate(task, *compiled).value());
  }
  EXPECT_EQ(objects[0], objects[1]);
  EXPECT_EQ(objects[0], objects[2]);
  EXPECT_EQ(libraries[0], libraries[1]);
}

}  // namespace
}  // namespace hone
