#include "compiler/compile.h"

#include <nlohmann/json.hpp>

#include "gtest/gtest.h"
#include "tests/compiler/frontend/onnx/onnx_model.h"

namespace hone {
namespace {

using Json = nlohmann::json;

class NoCosts : public TaskCosts {
 public:
  double SecondsFor(const Task&) const override { return 1; }
};

CompileOptions Options() {
  CompileOptions options;
  options.target = FindTarget("x86-64-v3").value();
  options.shapes = {{"x", {1, 3, 8, 8}}};
  return options;
}

TEST(CompileTest, FromModelToTasks) {
  const absl::StatusOr<Graph> graph = ImportModel(SmallClassifier().Files(), Options());
  ASSERT_TRUE(graph.ok()) << graph.status();
  const absl::StatusOr<CutGraph> cut = CutIntoTasks(*graph, Options(), NoCosts());
  ASSERT_TRUE(cut.ok()) << cut.status();
  ASSERT_EQ(cut->tasks.size(), 4u);
  for (const Task& task : cut->tasks) {
    const absl::StatusOr<TensorProgram> program = LowerTask(task);
    ASSERT_TRUE(program.ok()) << program.status();
    for (const Trace& trace : {ReferenceTrace(), DefaultTrace(task, *program)}) {
      const absl::StatusOr<CompiledTask> compiled = CompileTask(task, trace, "f");
      ASSERT_TRUE(compiled.ok()) << task.Label() << compiled.status();
      EXPECT_EQ(compiled->symbol, "f");
    }
  }
  const absl::StatusOr<Trace> nonsense = Trace::Parse("trace 1; algorithm sorcery");
  ASSERT_TRUE(nonsense.ok());
  EXPECT_TRUE(absl::IsInvalidArgument(CompileTask(cut->tasks[0], *nonsense, "f").status()));
}

// Each reads the one before twice: asking along every path would take 2^100 steps.
TEST(CompileTest, ALongChainOfMapsIsFusedInTime) {
  OnnxModel model;
  model.Input("x", {1, 3, 8, 8});
  for (int i = 0; i < 100; ++i) {
    model.Node("Softplus", {i == 0 ? "x" : "y" + std::to_string(i - 1)}, {"y" + std::to_string(i)});
  }
  model.Output("y99");
  const absl::StatusOr<Graph> graph = ImportModel(model.Files(), Options());
  ASSERT_TRUE(graph.ok()) << graph.status();
  const absl::StatusOr<CutGraph> cut = CutIntoTasks(*graph, Options(), NoCosts());
  ASSERT_TRUE(cut.ok()) << cut.status();
  for (const Task& task : cut->tasks) {
    EXPECT_TRUE(CompileTask(task, DefaultTrace(task, *LowerTask(task)), "f").ok()) << task.Label();
  }
}

TEST(CompileTest, EveryPhaseDumps) {
  for (const char* phase :
       {"import", "simplify", "fold_affine", "assign_layouts", "cut", "program:0", "nest:0", "plan"}) {
    const absl::StatusOr<std::string> text =
        DumpAfter(SmallClassifier().Files(), Options(), NoCosts(), phase);
    ASSERT_TRUE(text.ok()) << phase << text.status();
    EXPECT_FALSE(text->empty()) << phase;
  }
  const absl::Status unknown =
      DumpAfter(SmallClassifier().Files(), Options(), NoCosts(), "nonsense").status();
  EXPECT_TRUE(absl::IsNotFound(unknown));
  EXPECT_NE(unknown.message().find("assign_layouts"), absl::string_view::npos);
  EXPECT_TRUE(
      absl::IsNotFound(DumpAfter(SmallClassifier().Files(), Options(), NoCosts(), "program:99").status()));
}

TEST(CompileTest, InspectTellsWhatTuningWillMeet) {
  const absl::StatusOr<std::string> text = InspectModel(SmallClassifier().Files(), Options(), NoCosts());
  ASSERT_TRUE(text.ok()) << text.status();
  const Json report = Json::parse(*text);
  EXPECT_EQ(report["model"], "test");
  EXPECT_EQ(report["opset"], 17);
  EXPECT_EQ(report["nodes"], 7);
  EXPECT_EQ(report["inputs"][0]["shape"], Json({1, 3, 8, 8}));
  EXPECT_EQ(report["outputs"][0]["dtype"], "f32");
  EXPECT_EQ(report["operators"]["Conv"], 1);
  EXPECT_TRUE(report["unsupported"].empty());
  EXPECT_EQ(report["tasks"].size(), 4u);
  EXPECT_GT(report["flops"], 2 * 16 * 27 * 64);
  EXPECT_GT(report["constant_bytes"], 4 * 432);
  EXPECT_GT(report["estimated_tuning_seconds"], 0);
}

TEST(CompileTest, InspectTellsOpenDimensions) {
  CompileOptions options = Options();
  options.shapes.clear();
  const Json report = Json::parse(InspectModel(SmallClassifier().Files(), options, NoCosts()).value());
  EXPECT_EQ(report["unbound_symbols"], Json({"N"}));
  EXPECT_EQ(report["inputs"][0]["shape"], Json({"N", 3, 8, 8}));
  EXPECT_TRUE(report["unsupported"].empty());
  EXPECT_FALSE(report.contains("tasks"));
  const absl::Status status = ImportModel(SmallClassifier().Files(), options).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_NE(status.message().find("--shape x="), absl::string_view::npos) << status;
}

TEST(CompileTest, UnsupportedNodesAreListed) {
  OnnxModel m;
  m.Input("x", {4});
  m.Node("Multinomial", {"x"}, {"a"});
  m.Node("Bernoulli", {"x"}, {"b"});
  m.Output("a");
  CompileOptions options = Options();
  options.shapes.clear();
  const absl::Status status = ImportModel(m.Files(), options).status();
  EXPECT_TRUE(absl::IsUnimplemented(status));
  EXPECT_NE(status.message().find("Multinomial_a"), absl::string_view::npos) << status;
  EXPECT_NE(status.message().find("Bernoulli_b"), absl::string_view::npos) << status;
  const Json report = Json::parse(InspectModel(m.Files(), options, NoCosts()).value());
  EXPECT_EQ(report["unsupported"].size(), 2u);
  EXPECT_EQ(report["unsupported"][0]["operator"], "Multinomial");
  EXPECT_EQ(report["inputs"][0]["name"], "x");
}

}  // namespace
}  // namespace hone
