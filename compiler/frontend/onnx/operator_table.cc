#include "compiler/frontend/onnx/operator_table.h"

namespace hone {

const std::vector<OnnxOpRow>& OnnxOpTable() {
  static const std::vector<OnnxOpRow> table = [] {
    std::vector<OnnxOpRow> rows;
    for (const auto& part : {ElementwiseOnnxOps(), WindowOnnxOps(), MatrixOnnxOps(), EinsumOnnxOps(),
                             RowOnnxOps(), DataOnnxOps(), IndexOnnxOps(), ShapeOnnxOps()}) {
      rows.insert(rows.end(), part.begin(), part.end());
    }
    return rows;
  }();
  return table;
}

const OnnxOpRow* FindOnnxOp(std::string_view name, int64_t opset) {
  for (const OnnxOpRow& row : OnnxOpTable()) {
    if (row.name == name && row.since <= opset && opset <= row.until) return &row;
  }
  return nullptr;
}

}  // namespace hone
