#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "compiler/ops/op_rows.h"

namespace hone {

// Strides, pads and dilations of a two-dimensional window, read from attributes.
struct WindowGeometry {
  static constexpr int64_t kMost = 1 << 16;  // of any stride, pad, dilation
  std::vector<DimExpr> kernel;
  std::vector<int64_t> strides, before, after, dilations;

  // InvalidArgument: attributes of the wrong length or out of range.
  static absl::StatusOr<WindowGeometry> Of(const AttrMap& attrs, std::vector<DimExpr> kernel);
  absl::StatusOr<std::vector<DimExpr>> OutputOf(const std::vector<DimExpr>& input) const;
  // Where output position `out` and tap `tap` of spatial dimension d lie in the padded input.
  DimExpr Index(size_t d, const SymbolRef& out, const SymbolRef& tap) const {
    return DimExpr(strides[d]) * DimExpr(out) + DimExpr(dilations[d]) * DimExpr(tap);
  }
  Padding padding() const { return {before, after}; }
};

}  // namespace hone
