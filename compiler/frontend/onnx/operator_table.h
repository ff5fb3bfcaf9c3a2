#pragma once

#include <string_view>
#include <vector>

#include "compiler/frontend/onnx/node_context.h"

namespace hone {

// A row per ONNX operator and range of opsets.
struct OnnxOpRow {
  std::string_view name;
  int since, until;  // opsets, both included
  int min_inputs;    // the first so many inputs are required
  void (*convert)(NodeContext& c);
};

constexpr int kMinOpset = 9, kMaxOpset = 27;

// Null: no row of that name for the opset.
const OnnxOpRow* FindOnnxOp(std::string_view name, int64_t opset);
const std::vector<OnnxOpRow>& OnnxOpTable();

// The parts of the table, one file each.
std::vector<OnnxOpRow> ElementwiseOnnxOps();
std::vector<OnnxOpRow> WindowOnnxOps();
std::vector<OnnxOpRow> MatrixOnnxOps();
std::vector<OnnxOpRow> EinsumOnnxOps();
std::vector<OnnxOpRow> RowOnnxOps();
std::vector<OnnxOpRow> DataOnnxOps();
std::vector<OnnxOpRow> IndexOnnxOps();
std::vector<OnnxOpRow> ShapeOnnxOps();

// Shape arithmetic over symbols: whether the node's outputs were set from inputs known as integer
// expressions.
bool ConvertShapeArithmetic(NodeContext& c);

}  // namespace hone
