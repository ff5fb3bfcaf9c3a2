// The hot loops of register tiles must live in registers: LLVM spills silently at one vector too many, and the kernel then
// runs at half the speed. For every tile at the edge of what Schedule() accepts, the loops that multiply and add are read
// back as assembly and may not touch the stack.
#include <gtest/gtest.h>

#include <regex>
#include <sstream>

#include "compiler/codegen/nest_function.h"
#include "compiler/codegen/object.h"
#include "compiler/ops/op.h"
#include "compiler/schedule/schedule.h"

namespace hone {
namespace {

Task TaskOf(std::string_view op, std::vector<int64_t> x, std::vector<int64_t> w, const AttrMap& attrs, bool blocked,
            const Target& target) {
  Task task;
  const TensorId input = task.graph.AddInput("x", {DType::kF32, {x.begin(), x.end()}});
  auto constant = std::make_shared<ConstantData>();
  constant->dims = std::move(w);
  const TensorId weights = task.graph.AddConstant("w", constant);
  task.graph.SetOutputs(task.graph.AddNode(op, {input, weights}, attrs, "node").value());
  if (blocked) {
    for (const TensorId id : {input, task.graph.outputs()[0]}) {
      task.graph.tensor(id).layout = Layout::Blocked(4, 1, target.vector_width());
    }
  }
  task.target = target;
  return task;
}

// Innermost loops (a label, and the jump back to it with no other loop in between) that do arithmetic on vectors.
std::vector<std::vector<std::string>> HotLoops(const std::string& assembly) {
  static const std::regex kLabel(R"(^(\.L[A-Za-z0-9_]+):)"), kJump(R"(^\s+j[a-z]+\s+(\.L[A-Za-z0-9_]+))"),
      kArithmetic(R"(^\s+(vfmadd\S+|v?mulps)\s)");
  std::vector<std::vector<std::string>> loops;
  std::vector<std::string> lines;
  std::map<std::string, size_t> labels;   // the line they stand before
  size_t last_loop = 0;                   // where the last loop ended
  std::istringstream stream(assembly);
  for (std::string line; std::getline(stream, line);) {
    std::smatch match;
    if (std::regex_search(line, match, kLabel)) {
      labels[match[1]] = lines.size();
    } else if (std::regex_search(line, match, kJump) && labels.contains(match[1]) && labels[match[1]] >= last_loop) {
      std::vector<std::string> body(lines.begin() + static_cast<std::ptrdiff_t>(labels[match[1]]), lines.end());
      last_loop = lines.size();
      const auto sums = std::count_if(body.begin(), body.end(),
                                      [&](const std::string& each) { return std::regex_search(each, kArithmetic); });
      if (sums >= 2) loops.push_back(std::move(body));
    }
    lines.push_back(line);
  }
  return loops;
}

std::string AssemblyOf(const LoopNest& nest, const Target& target) {
  llvm::LLVMContext context;
  const auto module = NewModule("spill", target, &context);
  EXPECT_TRUE(module.ok()) << module.status();
  AddNestFunction(nest, target, "kernel", module->get());
  const auto assembly = EmitAssembly(module->get(), target);
  EXPECT_TRUE(assembly.ok()) << assembly.status();
  return *assembly;
}

class SpillTest : public testing::TestWithParam<const char*> {};

TEST_P(SpillTest, TilesAtTheEdgeStayInRegisters) {
  static const std::regex kStack(R"(\(%r[sb]p[,)].*%[xyz]mm|%[xyz]mm.*\(%r[sb]p)");
  const Target target = FindTarget(GetParam()).value();
  const AttrMap pads = {{"pads", std::vector<DimExpr>(4, DimExpr(1))}};
  const Task tasks[] = {TaskOf("matmul", {64, 96}, {96, 128}, {}, false, target),
                        TaskOf("conv2d", {1, 64, 14, 14}, {128, 64, 1, 1}, {}, true, target),
                        TaskOf("conv2d", {1, 64, 14, 14}, {128, 64, 3, 3}, pads, true, target)};
  int tiles = 0;
  for (const Task& task : tasks) {
    const TensorProgram program = LowerTask(task).value();
    for (const char* hold : {"a", "b", "none"}) {
      for (int nv = 1; nv <= 4; ++nv) {
        for (int mr = 31; mr >= 1; --mr) {
          const std::string text = "trace 1; algorithm direct; leaf contract mr=" + std::to_string(mr) + " nv=" +
                                   std::to_string(nv) + " vw=" + std::to_string(target.vector_width()) + " hold=" + hold +
                                   " ku=4 rows=table; order m,n; block m 4; parallel m";
          const auto scheduled = Schedule(task, program, Trace::Parse(text).value());
          if (!std::holds_alternative<Scheduled>(scheduled)) continue;
          const std::string assembly = AssemblyOf(std::get<Scheduled>(scheduled).nest, target);
          const auto loops = HotLoops(assembly);
          EXPECT_FALSE(loops.empty()) << text;
          for (const auto& loop : loops) {
            for (const std::string& line : loop) {
              EXPECT_FALSE(std::regex_search(line, kStack)) << task.Label() << ", " << text << ":\n" << line;
            }
          }
          ++tiles;
          break;   // smaller ones need fewer registers
        }
      }
    }
  }
  EXPECT_GE(tiles, 12);
}

// A leaky ReLU in a store chooses between values that have loads in them (the bias): no lane of them may lie outside.
TEST_P(SpillTest, ChoicesByValueStayInVectors) {
  const Target target = FindTarget(GetParam()).value();
  Task task = TaskOf("matmul", {64, 96}, {96, 128}, {}, false, target);
  auto bias = std::make_shared<ConstantData>();
  bias->dims = {128};
  const TensorId sum = task.graph.AddNode("add", {task.graph.outputs()[0], task.graph.AddConstant("b", bias)}, {}, "add").value()[0];
  task.graph.SetOutputs(task.graph.AddNode("leaky_relu", {sum}, {}, "leaky").value());
  const TensorProgram program = LowerTask(task).value();
  const auto scheduled = Schedule(task, program, DefaultTrace(task, program));
  ASSERT_TRUE(std::holds_alternative<Scheduled>(scheduled));
  const std::string assembly = AssemblyOf(std::get<Scheduled>(scheduled).nest, target);
  EXPECT_TRUE(std::regex_search(assembly, std::regex(R"(\sv?maxps|\sv?cmp\w*ps)")));
  EXPECT_FALSE(std::regex_search(assembly, std::regex(R"(\sv?(add|mul|cmp\w*)ss\s)")));
}

INSTANTIATE_TEST_SUITE_P(Targets, SpillTest, testing::Values("x86-64-v2", "x86-64-v3", "x86-64-v4"),
                         [](const auto& instance) { return std::string("v") + std::string(instance.param).back(); });

}  // namespace
}  // namespace hone
