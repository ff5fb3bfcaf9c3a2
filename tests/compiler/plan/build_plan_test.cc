#include "compiler/plan/build_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace hone {
namespace {

using testing::HasSubstr;

// Cuts made by hand: every task is one node; what it computes does not matter here.
class CutBuilder {
 public:
  TensorId Input(const std::string& name, std::vector<DimExpr> shape) {
    return cut.graph.AddInput(name, {DType::kF32, std::move(shape)});
  }
  TensorId Constant(const std::string& name, int64_t elements) {
    return cut.graph.AddConstant(name, MakeConstant(DType::kF32, {elements}, std::vector<uint8_t>(elements * 4)));
  }
  TensorId Node(const std::string& name, TensorId input) { return *MakeNode(name, "relu", input, {}); }
  // A call of a new task.
  TensorId Call(const std::string& name, const std::vector<TensorId>& inputs, int64_t scratch = 0) {
    const TensorId output = Node(name, inputs[0]);
    AddCall(name, inputs, {}, {output}, scratch);
    return output;
  }
  TensorId View(const std::string& name, TensorId of, std::vector<DimExpr> shape) {
    const TensorId view = *MakeNode(name, "reshape", of, {{"shape", std::move(shape)}});
    cut.views.push_back({view, of});
    return view;
  }
  // Along the last of two dimensions, without a task.
  TensorId Concat(const std::string& name, const std::vector<TensorId>& parts) {
    const TensorId joined = cut.graph.AddNode("concat", parts, {{"axis", int64_t{1}}}, name)->front();
    int64_t offset = 0;
    for (const TensorId part : parts) {
      cut.views.push_back({part, joined, offset});
      offset += 4 * cut.graph.tensor(part).type.shape[1].Constant();
    }
    return joined;
  }
  void AddCall(const std::string& name, std::vector<TensorId> inputs, std::vector<TensorId> constants,
               std::vector<TensorId> outputs, int64_t scratch = 0) {
    CompiledTask task;
    task.scratch_bytes = scratch;
    for (size_t i = 0; i < constants.size(); ++i) {
      task.constants.push_back({static_cast<int>(i), cut.graph.tensor(constants[i]).layout, 0});
    }
    tasks.push_back(task);
    cut.tasks.emplace_back();
    cut.calls.push_back({static_cast<int>(tasks.size()) - 1, inputs, constants, outputs, name});
  }
  Plan Build() {
    absl::StatusOr<Plan> plan = BuildPlan(cut, tasks);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? *plan : Plan();
  }

  CutGraph cut;
  std::vector<CompiledTask> tasks;

 private:
  absl::StatusOr<TensorId> MakeNode(const std::string& name, const char* op, TensorId input, AttrMap attrs) {
    absl::StatusOr<std::vector<TensorId>> outputs = cut.graph.AddNode(op, {input}, std::move(attrs), name);
    EXPECT_TRUE(outputs.ok()) << outputs.status();
    if (!outputs.ok()) return outputs.status();
    cut.graph.tensor((*outputs)[0]).name = name;
    return (*outputs)[0];
  }
};

TEST(BuildPlanTest, AChainUsesTwoBuffersAndTheCallersTensors) {
  CutBuilder b;
  const TensorId x = b.Input("x", {100});
  const TensorId a = b.Call("a", {x}, 10), c = b.Call("c", {a}, 100), d = b.Call("d", {c}), y = b.Call("y", {d});
  b.cut.graph.SetOutputs({y});
  EXPECT_EQ(b.Build().ToString(),
            "plan: arena 1024 (scratch 128), constants 0 bytes\n"
            "  %0 = input 0, 400 bytes, live 0..0  # x\n"
            "  %1 = output 0, 400 bytes, live 3..3  # y\n"
            "  %2 = arena 0, 400 bytes, live 0..1  # a\n"
            "  %3 = arena 448, 400 bytes, live 1..2  # c\n"
            "  %4 = arena 0, 400 bytes, live 2..3  # d\n"
            "  0: call task 0 (%0, %2)\n"
            "  1: call task 1 (%2, %3)\n"
            "  2: call task 2 (%3, %4)\n"
            "  3: call task 3 (%4, %1)\n");
}

TEST(BuildPlanTest, ViewsKeepTheirBaseAlive) {
  CutBuilder b;
  const TensorId x = b.Input("x", {2, 50});
  const TensorId a = b.Call("a", {b.View("flat", x, {100})});
  const TensorId folded = b.View("folded", a, {10, 10}), flat = b.View("again", folded, {100});
  const TensorId c = b.Call("c", {a}), d = b.Call("d", {c});
  const TensorId y = b.Node("y", d);
  b.AddCall("y", {d, flat}, {}, {y});
  b.cut.graph.SetOutputs({y});
  const Plan plan = b.Build();
  EXPECT_TRUE(plan.Verify().ok());
  EXPECT_THAT(plan.ToString(), HasSubstr("views"));
  // a lives to the last step through its view's view, so c and d cannot take its place.
  EXPECT_EQ(plan.arena_bytes, 3 * 448);
}

// a and c are parts of joined, which is a part of all: one buffer from the first part's call to the last use.
TEST(BuildPlanTest, PartsAreWrittenIntoWhatTheyArePartsOf) {
  CutBuilder b;
  const TensorId a = b.Call("a", {b.Input("x", {1, 64})});
  const TensorId c = b.Call("c", {a}), unrelated = b.Call("unrelated", {c});
  const TensorId joined = b.Concat("joined", {a, c}), d = b.Call("d", {joined, unrelated});
  const TensorId all = b.Concat("all", {joined, d});
  b.cut.graph.SetOutputs({b.Call("y", {all})});
  const Plan plan = b.Build();
  EXPECT_EQ(plan.ToString(),
            "plan: arena 1280 (scratch 0), constants 0 bytes\n"
            "  %0 = input 0, 256 bytes, live 4..4  # x\n"
            "  %1 = output 0, 1024 bytes, live 8..8  # y\n"
            "  %2 = arena 0, 1024 bytes, live 0..8  # all\n"
            "  %3 = arena 0, 512 bytes, live 0..7  # joined\n"
            "  %4 = arena 0, 256 bytes, live 1..5  # a\n"
            "  %5 = arena 256, 256 bytes, live 2..6  # c\n"
            "  %6 = arena 512, 512 bytes, live 3..7  # d\n"
            "  %7 = arena 1024, 256 bytes, live 6..7  # unrelated\n"
            "  0: %3 views %2\n"
            "  1: %4 views %3\n"
            "  2: %5 views %3 from byte 256\n"
            "  3: %6 views %2 from byte 512\n"
            "  4: call task 0 (%0, %4)\n"
            "  5: call task 1 (%4, %5)\n"
            "  6: call task 2 (%5, %7)\n"
            "  7: call task 3 (%3, %7, %6)\n"
            "  8: call task 4 (%2, %1)\n");
}

TEST(BuildPlanTest, AViewAsOutputIsWrittenByItsProducer) {
  CutBuilder b;
  const TensorId a = b.Call("a", {b.Input("x", {100})});
  b.cut.graph.SetOutputs({b.View("y", a, {4, 25})});
  const Plan plan = b.Build();
  EXPECT_EQ(plan.arena_bytes, 0);
  EXPECT_THAT(plan.ToString(), HasSubstr("output 0, 400 bytes"));
  EXPECT_THAT(plan.ToString(), testing::Not(HasSubstr("copy")));
}

TEST(BuildPlanTest, OutputsThatNothingProducesAreCopied) {
  CutBuilder b;
  const TensorId x = b.Input("x", {100}), w = b.Constant("w", 8);
  const TensorId y = b.Call("y", {x});
  b.cut.graph.SetOutputs({y, x, w, y});
  const std::string text = b.Build().ToString();
  EXPECT_THAT(text, HasSubstr("1: call copy (%0, %2)"));   // the input
  EXPECT_THAT(text, HasSubstr("2: call copy (%5, %3)"));   // the constant
  EXPECT_THAT(text, HasSubstr("3: call copy (%1, %4)"));   // the other output
}

TEST(BuildPlanTest, ConstantsAreSharedByLayout) {
  CutBuilder b;
  const TensorId x = b.Input("x", {100}), w = b.Constant("w", 40), v = b.Constant("v", 8);
  const TensorId a = b.Node("a", x), c = b.Node("c", x), y = b.Node("y", x);
  b.AddCall("a", {x}, {w, v}, {a});
  b.AddCall("c", {a}, {w}, {c});
  b.AddCall("y", {c}, {w}, {y});
  b.tasks[2].constants[0].layout = *Layout::Parse("A16a");
  b.cut.graph.SetOutputs({y});
  const Plan plan = b.Build();
  ASSERT_EQ(plan.constants.size(), 3u);
  EXPECT_EQ(plan.constant_bytes, 192 + 64 + 192);
  EXPECT_EQ(std::get<CallTask>(plan.steps[0]).buffers[1], std::get<CallTask>(plan.steps[1]).buffers[1]);
  EXPECT_NE(std::get<CallTask>(plan.steps[1]).buffers[1], std::get<CallTask>(plan.steps[2]).buffers[1]);
  EXPECT_EQ(plan.buffers[plan.constants[2].buffer].bytes, 192);   // padded to blocks of 16
}

TEST(BuildPlanTest, UnboundedTensorsAreErrorsThatNameThem) {
  CutBuilder b;
  const TensorId x = b.Input("tokens", {DimExpr(MakeSymbol("n"))});
  b.cut.graph.SetOutputs({b.Call("y", {x})});
  const absl::StatusOr<Plan> plan = BuildPlan(b.cut, b.tasks);
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(plan.status().message()), HasSubstr("'tokens'"));
}

TEST(BuildPlanTest, InterfaceTensorsMustBePlain) {
  CutBuilder b;
  const TensorId x = b.Input("x", {1, 32, 4, 4});
  b.cut.graph.tensor(x).layout = Layout::Blocked(4, 1, 8);
  b.cut.graph.SetOutputs({b.Call("y", {x})});
  EXPECT_EQ(BuildPlan(b.cut, b.tasks).status().code(), absl::StatusCode::kInternal);
}

// Random graphs: the plan verifies, and no call's output shares memory with anything that is read later.
TEST(BuildPlanTest, RandomCutsVerify) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    CutBuilder b;
    std::vector<TensorId> tensors = {b.Input("x", {static_cast<int64_t>(1 + random() % 1000)})};
    for (int i = 0; i < 30; ++i) {
      std::vector<TensorId> inputs;
      for (unsigned k = 0; k <= random() % 3; ++k) inputs.push_back(tensors[random() % tensors.size()]);
      if (random() % 4 == 0) {
        const std::vector<DimExpr> shape = b.cut.graph.tensor(tensors.back()).type.shape;
        tensors.push_back(b.View("v", tensors.back(), {1, shape.back()}));
      } else {
        tensors.push_back(b.Call("t", inputs, random() % 2 == 0 ? 0 : random() % 5000));
      }
    }
    b.cut.graph.SetOutputs({tensors.back(), tensors[random() % tensors.size()]});
    const Plan plan = b.Build();
    EXPECT_TRUE(plan.Verify().ok()) << plan.Verify();
  }
}

}  // namespace
}  // namespace hone
