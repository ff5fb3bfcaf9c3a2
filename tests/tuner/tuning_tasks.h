#pragma once

#include <string>
#include <vector>

#include "tuner/task_search.h"

namespace hone {

// A 3x3 or 1x1 convolution of `c` channels to `oc` on size x size images, channel-blocked.
inline Task ConvTask(int64_t c, int64_t oc, int64_t size, int64_t kernel, const Target& target, int threads = 1,
                     int64_t stride = 1) {
  Task task;
  const std::vector<int64_t> x = {1, c, size, size}, w = {oc, c, kernel, kernel};
  const TensorId input = task.graph.AddInput("x", {DType::kF32, {x.begin(), x.end()}});
  auto constant = std::make_shared<ConstantData>();
  constant->dims = w;
  const TensorId weights = task.graph.AddConstant("w", constant);
  const AttrMap attrs = {{"pads", std::vector<DimExpr>(4, DimExpr(kernel / 2))},
                         {"strides", std::vector<DimExpr>(2, DimExpr(stride))}};
  task.graph.SetOutputs(task.graph.AddNode("conv2d", {input, weights}, attrs, "conv").value());
  for (const TensorId id : {input, task.graph.outputs()[0]}) {
    task.graph.tensor(id).layout = Layout::Blocked(4, 1, target.vector_width());
  }
  task.target = target;
  task.threads = threads;
  return task;
}

// 1x1 to `wide` channels, 3x3 of each, 1x1 to `c`, on size x size images, channel-blocked.
inline Task StripTask(int64_t c, int64_t wide, int64_t size, const Target& target, int threads = 1) {
  Task task;
  const auto weights = [&](const std::vector<int64_t>& dims) {
    auto constant = std::make_shared<ConstantData>();
    constant->dims = dims;
    return task.graph.AddConstant("w", constant);
  };
  TensorId x = task.graph.AddInput("x", {DType::kF32, {DimExpr(1), DimExpr(c), DimExpr(size), DimExpr(size)}});
  x = task.graph.AddNode("conv2d", {x, weights({wide, c, 1, 1})}, {}, "expand").value()[0];
  x = task.graph.AddNode("depthwise_conv2d", {x, weights({wide, 1, 3, 3})}, {{"pads", std::vector<DimExpr>(4, DimExpr(1))}}, "dw").value()[0];
  x = task.graph.AddNode("conv2d", {x, weights({c, wide, 1, 1})}, {}, "project").value()[0];
  task.graph.SetOutputs({x});
  for (const TensorId id : {task.graph.inputs()[0], x}) {
    task.graph.tensor(id).layout = Layout::Blocked(4, 1, target.vector_width());
  }
  task.target = target;
  task.threads = threads;
  return task;
}

inline TaskSearch SearchOf(Task task, int weight = 1) {
  const Roofline roofline = Roofline::Of(Device(), task.target);
  TensorProgram program = LowerTask(task).value();
  return TaskSearch::Make(std::move(task), std::move(program), weight, roofline).value();
}

}  // namespace hone
