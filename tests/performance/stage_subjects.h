#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/task/task.h"

namespace hone {

// A task that kernel_bench measures.
struct Subject {
  const char* name;
  Task (*task)(const Target& target);
};

struct Operand {
  std::vector<int64_t> dims;
  bool constant = false;
};

// One operator on its own. Images and their results are in blocks of channels; `plain_input` and `plain_output` keep one
// side row-major.
inline Task OneOperator(const Target& target, const char* op, const std::vector<Operand>& operands, AttrMap attrs,
                        bool image, bool plain_input = false, bool plain_output = false) {
  Task task;
  std::vector<TensorId> inputs;
  for (const Operand& operand : operands) {
    const std::string name = "x" + std::to_string(inputs.size());
    if (operand.constant) {
      auto constant = std::make_shared<ConstantData>();
      constant->dims = operand.dims;
      inputs.push_back(task.graph.AddConstant(name, std::move(constant)));
    } else {
      inputs.push_back(task.graph.AddInput(name, {DType::kF32, {operand.dims.begin(), operand.dims.end()}}));
    }
  }
  task.graph.SetOutputs(task.graph.AddNode(op, inputs, std::move(attrs), op).value());
  const auto block = [&](TensorId id) {
    Tensor& tensor = task.graph.tensor(id);
    if (tensor.type.rank() != 4) return;
    tensor.layout = Layout::Blocked(4, 1, target.vector_width());
  };
  if (image && !plain_output) block(task.graph.outputs()[0]);
  if (image && !plain_input) block(inputs[0]);
  task.target = target;
  return task;
}

inline AttrMap WindowAttrs(int64_t stride, int64_t pad, int64_t kernel = 0) {
  AttrMap attrs = {{"strides", std::vector<DimExpr>(2, DimExpr(stride))},
                   {"pads", std::vector<DimExpr>(4, DimExpr(pad))}};
  if (kernel > 0) attrs["kernel"] = std::vector<DimExpr>(2, DimExpr(kernel));
  return attrs;
}

inline AttrMap ResizeAttrs(const char* mode, const char* coordinates) {
  return {{"size", std::vector<DimExpr>{80, 80}},
          {"scales", std::vector<double>{2, 2}},
          {"mode", std::string(mode)},
          {"coordinates", std::string(coordinates)}};
}

inline Task Depthwise(const Target& t, int64_t c, int64_t size, int64_t kernel, int64_t stride) {
  return OneOperator(t, "depthwise_conv2d", {{{1, c, size, size}}, {{c, 1, kernel, kernel}, true}},
                     WindowAttrs(stride, kernel / 2), true);
}

inline Task Transpose(const Target& t, const std::vector<int64_t>& dims, const std::vector<int64_t>& perm) {
  return OneOperator(t, "transpose", {{dims}}, {{"perm", std::vector<DimExpr>(perm.begin(), perm.end())}}, false);
}

// Kernels that move as much as they compute.
inline const Subject kStageSubjects[] = {
    {"dw3x3 32@112", [](const Target& t) { return Depthwise(t, 32, 112, 3, 1); }},
    {"dw3x3/2 96@112", [](const Target& t) { return Depthwise(t, 96, 112, 3, 2); }},
    {"dw3x3 144@56", [](const Target& t) { return Depthwise(t, 144, 56, 3, 1); }},
    {"dw3x3/2 144@56", [](const Target& t) { return Depthwise(t, 144, 56, 3, 2); }},
    {"dw3x3 72@56", [](const Target& t) { return Depthwise(t, 72, 56, 3, 1); }},
    {"dw3x3 192@28", [](const Target& t) { return Depthwise(t, 192, 28, 3, 1); }},
    {"dw3x3/2 192@28", [](const Target& t) { return Depthwise(t, 192, 28, 3, 2); }},
    {"dw3x3 384@14", [](const Target& t) { return Depthwise(t, 384, 14, 3, 1); }},
    {"dw3x3/2 576@14", [](const Target& t) { return Depthwise(t, 576, 14, 3, 2); }},
    {"dw3x3 960@7", [](const Target& t) { return Depthwise(t, 960, 7, 3, 1); }},
    {"dw5x5 240@28", [](const Target& t) { return Depthwise(t, 240, 28, 5, 1); }},
    {"dw5x5/2 240@28", [](const Target& t) { return Depthwise(t, 240, 28, 5, 2); }},
    {"dw5x5 672@14", [](const Target& t) { return Depthwise(t, 672, 14, 5, 1); }},
    {"max_pool 3x3/2 64@112",
     [](const Target& t) { return OneOperator(t, "max_pool2d", {{{1, 64, 112, 112}}}, WindowAttrs(2, 1, 3), true); }},
    {"max_pool 2x2/2 64@56",
     [](const Target& t) { return OneOperator(t, "max_pool2d", {{{1, 64, 56, 56}}}, WindowAttrs(2, 0, 2), true); }},
    {"avg_pool 3x3 64@28",
     [](const Target& t) { return OneOperator(t, "average_pool2d", {{{1, 64, 28, 28}}}, WindowAttrs(1, 1, 3), true); }},
    {"global_pool 1280@7",
     [](const Target& t) {
       return OneOperator(t, "reduce_mean", {{{1, 1280, 7, 7}}}, {{"axes", std::vector<DimExpr>{2, 3}}}, true, false, true);
     }},
    {"softmax 12x128x128",
     [](const Target& t) { return OneOperator(t, "softmax", {{{12, 128, 128}}}, {{"axis", int64_t{-1}}}, false); }},
    {"layer_norm 128x768",
     [](const Target& t) { return OneOperator(t, "layer_norm", {{{128, 768}}, {{768}, true}, {{768}, true}}, {}, false); }},
    {"reduce_sum 128x768",
     [](const Target& t) { return OneOperator(t, "reduce_sum", {{{128, 768}}}, {{"axes", std::vector<DimExpr>{1}}}, false); }},
    {"gelu 128x3072", [](const Target& t) { return OneOperator(t, "gelu", {{{128, 3072}}}, {}, false); }},
    {"sigmoid 1M", [](const Target& t) { return OneOperator(t, "sigmoid", {{{1024, 1024}}}, {}, false); }},
    {"add 1M", [](const Target& t) { return OneOperator(t, "add", {{{1024, 1024}}, {{1024, 1024}}}, {}, false); }},
    {"nearest 96@40",
     [](const Target& t) {
       return OneOperator(t, "resize2d", {{{1, 96, 40, 40}}}, ResizeAttrs("nearest", "asymmetric"), true);
     }},
    {"linear 96@40",
     [](const Target& t) { return OneOperator(t, "resize2d", {{{1, 96, 40, 40}}}, ResizeAttrs("linear", "half_pixel"), true); }},
    {"pad 64@56",
     [](const Target& t) {
       return OneOperator(t, "pad", {{{1, 64, 56, 56}}}, {{"pads", std::vector<DimExpr>{0, 0, 1, 1, 0, 0, 1, 1}}}, true);
     }},
    {"pad 512@7",
     [](const Target& t) {
       return OneOperator(t, "pad", {{{1, 512, 7, 7}}}, {{"pads", std::vector<DimExpr>{0, 0, 1, 1, 0, 0, 1, 1}}}, true);
     }},
    {"transpose heads", [](const Target& t) { return Transpose(t, {1, 128, 12, 64}, {0, 2, 1, 3}); }},
    {"transpose keys", [](const Target& t) { return Transpose(t, {1, 128, 12, 64}, {0, 2, 3, 1}); }},
    {"to blocks 64@56",
     [](const Target& t) { return OneOperator(t, "identity", {{{1, 64, 56, 56}}}, {}, true, true, false); }},
    {"from blocks 64@56",
     [](const Target& t) { return OneOperator(t, "identity", {{{1, 64, 56, 56}}}, {}, true, false, true); }},
};

}  // namespace hone
