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

inline TaskSearch SearchOf(Task task, int weight = 1) {
  const Roofline roofline = Roofline::Of(Device(), task.target);
  TensorProgram program = LowerTask(task).value();
  return TaskSearch::Make(std::move(task), std::move(program), weight, roofline).value();
}

}  // namespace hone
