#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/dim_expr/dim_expr.h"

namespace hone {

// Maps logical coordinates to addresses: dimensions are split, ordered and padded with a halo. Operators never see it.
//
// Text form as oneDNN's format tags: one letter per logical dimension from 'a', outermost first; an upper-case letter is
// the outer part of a split dimension, "16b" at its place the inner block. "abcd" is dense row-major; "aBcd16b" is
// NCHW16c; "ABcd8a16b" packs two dimensions. "aBcd16b+c1:1+d1:1" adds a halo of one row and one column on either side.
// A split dimension is padded up to a multiple of its blocks.
class Layout {
 public:
  struct Axis {
    int dim = 0;          // logical dimension
    int64_t block = 0;    // > 0: an inner block of that size; 0: what remains outside the blocks
    bool operator==(const Axis&) const = default;
  };
  struct Halo {
    int64_t before = 0, after = 0;
    bool operator==(const Halo&) const = default;
  };

  Layout() = default;
  static Layout Plain(int rank);
  // Channel-blocked activations: dimension `dim` split by `block`, the block innermost.
  static Layout Blocked(int rank, int dim, int64_t block);
  // ... of images [n, c, h, w], a row of all channels' blocks after the other: "acBd16b".
  static Layout BlockedRows(int64_t block);
  static absl::StatusOr<Layout> Parse(std::string_view text);
  std::string ToString() const;

  int rank() const { return static_cast<int>(halo_.size()); }
  const std::vector<Axis>& axes() const { return axes_; }   // physical order, outermost first
  const Halo& halo(int dim) const { return halo_[dim]; }
  bool IsPlain() const;
  int64_t BlockOf(int dim) const;    // product of the inner blocks of dim; 1 if it is not split
  Layout WithHalo(int dim, Halo halo) const;
  Layout WithoutHalo() const;

  std::vector<DimExpr> PhysicalShape(const std::vector<DimExpr>& logical_shape) const;
  DimExpr Elements(const std::vector<DimExpr>& logical_shape) const;
  // Element offset of logical coordinates. Coordinates in the halo (-before <= i < size + after) are legal.
  DimExpr Offset(const std::vector<DimExpr>& logical_shape, const std::vector<DimExpr>& index) const;
  // Where the coordinates [begin, begin + extent) of `dim` begin, in elements, if they lie together as a tensor of that
  // extent in this layout would; nullopt otherwise, and for shapes that are not constant.
  std::optional<int64_t> OffsetOfPart(const std::vector<DimExpr>& logical_shape, int dim, int64_t begin,
                                      int64_t extent) const;

  bool operator==(const Layout&) const = default;

 private:
  std::vector<Axis> axes_;
  std::vector<Halo> halo_;
};

}  // namespace hone
