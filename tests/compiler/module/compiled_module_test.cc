// A module of really compiled tasks, cut by hand, against plain loops: what plan and module assume of compiled code.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compiler/module/build_module.h"
#include "compiler/runtime/input_generator.h"
#include "compiler/schedule/schedule.h"
#include "tests/compiler/module/loaded_module.h"

namespace hone::testing {
namespace {

struct Values {
  std::vector<int64_t> dims;
  std::vector<float> data;
  float At(int64_t a, int64_t b, int64_t c, int64_t d) const {
    return data[((a * dims[1] + b) * dims[2] + c) * dims[3] + d];
  }
  ConstantRef Constant() const {
    const auto* bytes = reinterpret_cast<const uint8_t*>(data.data());
    return MakeConstant(DType::kF32, dims, {bytes, bytes + data.size() * sizeof(float)});
  }
};

Values Random(uint64_t id, std::vector<int64_t> dims) {
  Values values{std::move(dims), {}};
  const int64_t n = values.dims[0] * values.dims[1] * values.dims[2] * values.dims[3];
  for (int64_t i = 0; i < n; ++i) {
    values.data.push_back(static_cast<float>(HoneGenerateReal(1, id, static_cast<uint64_t>(i), -1, 1)));
  }
  return values;
}

// relu(conv2d(x, w) + bias).
Values Reference(const Values& x, const Values& w, const Values& bias, int64_t pad, int64_t stride) {
  const auto extent = [&](size_t dim) { return (x.dims[dim] + 2 * pad - w.dims[dim]) / stride + 1; };
  const int64_t height = extent(2), width = extent(3);
  Values out{{1, w.dims[0], height, width}, {}};
  for (int64_t oc = 0; oc < w.dims[0]; ++oc) {
    for (int64_t i = 0; i < height * width; ++i) {
      double sum = bias.data[oc];
      for (int64_t k = 0; k < w.dims[1] * w.dims[2] * w.dims[3]; ++k) {
        const int64_t c = k / (w.dims[2] * w.dims[3]), kh = k / w.dims[3] % w.dims[2], kw = k % w.dims[3];
        const int64_t h = i / width * stride + kh - pad, v = i % width * stride + kw - pad;
        if (h < 0 || v < 0 || h >= x.dims[2] || v >= x.dims[3]) continue;
        sum += static_cast<double>(x.At(0, c, h, v)) * w.At(oc, c, kh, kw);
      }
      out.data.push_back(static_cast<float>(std::max(sum, 0.0)));
    }
  }
  return out;
}

std::vector<DimExpr> Exprs(const std::vector<int64_t>& dims) { return {dims.begin(), dims.end()}; }

TensorId AddNode(Graph& graph, const char* op, std::vector<TensorId> inputs, AttrMap attrs = {}) {
  auto outputs = graph.AddNode(op, std::move(inputs), std::move(attrs), op);
  EXPECT_TRUE(outputs.ok()) << outputs.status();
  return outputs->at(0);
}

// relu(conv2d(x, w) + bias), stored in `layout`.
TensorId AddConv(Graph& graph, TensorId x, TensorId w, TensorId bias, int64_t pad, int64_t stride, const Layout& layout) {
  const std::vector<DimExpr> pads(4, pad), ones(2, 1), strides(2, stride);
  const TensorId conv =
      AddNode(graph, "conv2d", {x, w}, {{"strides", strides}, {"pads", pads}, {"dilations", ones}, {"group", int64_t{1}}});
  const TensorId out = AddNode(graph, "relu", {AddNode(graph, "add", {conv, bias})});
  graph.tensor(out).layout = layout;
  return out;
}

struct ConvTask {
  Values w, bias;
  int64_t pad, stride;
  Layout out;
};

// x -> conv 3x3 -> conv 3x3, stride 2 -> conv 1x1 -> y, the tensors between them in a layout of their own: Winograd and Strassen where they apply.
struct ThreeConvs {
  explicit ThreeConvs(const Target& target, int threads, const Layout& between) {
    const Layout plain = Layout::Plain(4);
    const std::vector<ConvTask> convs = {{Random(1, {16, 3, 3, 3}), Random(2, {1, 16, 1, 1}), 1, 1, between},
                                         {Random(5, {16, 16, 3, 3}), Random(6, {1, 16, 1, 1}), 1, 2, between},
                                         {Random(3, {24, 16, 1, 1}), Random(4, {1, 24, 1, 1}), 0, 1, plain}};
    TensorId at = cut.graph.AddInput("x", {DType::kF32, Exprs(x.dims)});
    expected = x;
    for (const ConvTask& conv : convs) {
      const TensorId w = cut.graph.AddConstant("w", conv.w.Constant());
      const TensorId b = cut.graph.AddConstant("b", conv.bias.Constant());
      const TensorId out = AddConv(cut.graph, at, w, b, conv.pad, conv.stride, conv.out);
      Task task;
      task.target = target;
      task.threads = threads;
      const TensorId in = task.graph.AddInput("x", cut.graph.tensor(at).type);
      task.graph.tensor(in).layout = cut.graph.tensor(at).layout;
      const TensorId tw = task.graph.AddConstant("w", conv.w.Constant());
      const TensorId tb = task.graph.AddConstant("b", conv.bias.Constant());
      task.graph.SetOutputs({AddConv(task.graph, in, tw, tb, conv.pad, conv.stride, conv.out)});
      cut.tasks.push_back(task);
      cut.calls.push_back({static_cast<int>(cut.tasks.size()) - 1, {at}, {w, b}, {out}, "conv"});
      Compile(task);
      expected = Reference(expected, conv.w, conv.bias, conv.pad, conv.stride);
      at = out;
    }
    cut.graph.SetOutputs({at});
  }

  void Compile(const Task& task) {
    const auto program = LowerTask(task);
    ASSERT_TRUE(program.ok()) << program.status();
    const std::string vw = std::to_string(task.target.vector_width());
    const auto with = [&](const std::string& algorithm) {
      return Schedule(task, *program, *Trace::Parse("trace 1; algorithm " + algorithm + "; leaf contract mr=4 nv=1 vw=" + vw +
                                                    " hold=b ku=4 rows=affine; order n,m; parallel m"));
    };
    auto scheduled = with("winograd m=4 tiles=9");
    winograd += std::holds_alternative<Scheduled>(scheduled) ? 1 : 0;
    if (std::holds_alternative<Rejection>(scheduled)) {
      scheduled = with("strassen");
      strassen += std::holds_alternative<Scheduled>(scheduled) ? 1 : 0;
    }
    if (std::holds_alternative<Rejection>(scheduled)) scheduled = Schedule(task, *program, DefaultTrace(task, *program));
    ASSERT_TRUE(std::holds_alternative<Scheduled>(scheduled)) << RejectionText(std::get<Rejection>(scheduled));
    const auto compiled = CompileNest(task, std::get<Scheduled>(scheduled), "task" + std::to_string(tasks.size()));
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    tasks.push_back(*compiled);
  }

  CutGraph cut;
  std::vector<CompiledTask> tasks;
  int winograd = 0, strassen = 0;   // tasks that run it
  Values x = Random(0, {1, 3, 9, 19}), expected;
};

TEST(CompiledModuleTest, ConvolutionsAgreeWithPlainLoops) {
  for (const char* name : {"x86-64-v2", "x86-64-v3", "x86-64-v4"}) {
    const auto target = FindTarget(name);
    ASSERT_TRUE(target.ok());
    if (!target->row->runs_here()) {
      std::printf("skipped %s: this CPU has it not\n", name);
      continue;
    }
    for (const int threads : {1, 2}) {
      for (const Layout& between :
           {Layout::Plain(4), Layout::Blocked(4, 1, 8), Layout::Blocked(4, 1, target->vector_width()),
            Layout::BlockedRows(target->vector_width())}) {
        SCOPED_TRACE(std::string(name) + " " + between.ToString());
        const ThreeConvs model(*target, threads, between);
        ASSERT_EQ(model.tasks.size(), 3u);
        EXPECT_EQ(model.winograd, between.IsPlain() ? 0 : 2);
        EXPECT_EQ(model.strassen, between.BlockOf(1) < 16 ? 1 : 0);
        ModuleOptions options = TinyOptions("convs");
        options.target = *target;
        const auto files = BuildModule(model.cut, model.tasks, options);
        ASSERT_TRUE(files.ok()) << files.status();
        const LoadedModule module(*files, "convs");
        HoneOptions open = {};
        open.threads = static_cast<uint32_t>(threads);
        HoneSession* session = nullptr;
        ASSERT_EQ(module->open(&open, &session), HONE_OK);
        std::vector<float> x = model.x.data, y(model.expected.data.size() + 4, -7);
        std::vector<int64_t> x_shape = model.x.dims, y_shape = model.expected.dims;
        DLTensor in = {x.data(), {kDLCPU, 0}, 4, {kDLFloat, 32, 1}, x_shape.data(), nullptr, 0};
        DLTensor out = {y.data(), {kDLCPU, 0}, 4, {kDLFloat, 32, 1}, y_shape.data(), nullptr, 0};
        for (int run = 0; run < 3; ++run) {
          ASSERT_EQ(module->run(session, &in, 1, &out, 1), HONE_OK) << module->error(session);
          double worst = 0;
          for (size_t i = 0; i < model.expected.data.size(); ++i) {
            worst = std::max(worst, std::abs(static_cast<double>(y[i]) - model.expected.data[i]));
          }
          EXPECT_LT(worst, 1e-4);
          EXPECT_EQ(y[model.expected.data.size()], -7);   // nothing is written behind the output
        }
        module->close(session);
      }
    }
  }
}

}  // namespace
}  // namespace hone::testing
