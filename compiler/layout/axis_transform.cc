#include "compiler/layout/axis_transform.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace hone {

std::vector<int64_t> TransformedDims(std::vector<int64_t> dims, const AxisTransforms& transforms) {
  for (const AxisTransform& transform : transforms) dims[transform.dim] = transform.matrix.rows;
  return dims;
}

std::string TransformsText(const AxisTransforms& transforms) {
  std::string text;
  for (const AxisTransform& transform : transforms) {
    absl::StrAppend(&text, text.empty() ? "" : " ", std::string(1, static_cast<char>('a' + transform.dim)), ":",
                    transform.matrix.columns, "->", transform.matrix.rows);
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
