#include "compiler/layout/axis_transform.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace hone {

Quarters::Block Quarters::BlockOf(int number, int64_t k, int64_t n) const {
  Block block;
  for (size_t cut = 0; cut < k_halves.size(); ++cut) {
    const int quarter = number >> (2 * (k_halves.size() - 1 - cut)) & 3;
    const int64_t k_second = k - k_halves[cut], n_second = n - n_halves[cut];
    block.k_counts -= quarter / 2 * k_second;   // relative to this half
    if (quarter / 2 == 1) block.k_counts = std::max(block.k_counts, k_halves[cut] - k_second);
    block.k += quarter / 2 * k_second;
    block.n += quarter % 2 * n_second;
    k = k_halves[cut];
    n = n_halves[cut];
  }
  block.k_counts = std::max<int64_t>(0, block.k_counts);
  return block;
}

std::vector<int64_t> TransformedDims(std::vector<int64_t> dims, const AxisTransforms& transforms) {
  for (const AxisTransform& transform : transforms) {
    dims[transform.dim] = transform.matrix.rows;
    if (!transform.quarters) continue;
    dims[transform.dim] *= transform.quarters->pitch * transform.quarters->parts;
    dims[transform.quarters->k_dim] = transform.quarters->k_halves.back();
  }
  return dims;
}

std::string TransformsText(const AxisTransforms& transforms) {
  std::string text;
  for (const AxisTransform& transform : transforms) {
    absl::StrAppend(&text, text.empty() ? "" : " ", std::string(1, static_cast<char>('a' + transform.dim)), ":",
                    transform.matrix.columns, "->", transform.matrix.rows);
    if (!transform.quarters) continue;
    const Quarters& q = *transform.quarters;
    absl::StrAppend(&text, " quarters ", std::string(1, static_cast<char>('a' + q.k_dim)), ":",
                    absl::StrJoin(q.k_halves, ","), "x", absl::StrJoin(q.n_halves, ","), "/", q.pitch,
                    q.parts > 1 ? absl::StrCat("*", q.parts) : "");
  }
  return text;
}

std::string TransformsKey(const AxisTransforms& transforms) {
  std::string text = TransformsText(transforms);
  for (const AxisTransform& transform : transforms) {
    for (const double value : transform.matrix.values) absl::StrAppend(&text, " ", absl::StrFormat("%.17g", value));
  }
  return text;
}

}  // namespace hone
