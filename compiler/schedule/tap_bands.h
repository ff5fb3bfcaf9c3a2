#pragma once

#include <optional>
#include <vector>

#include "compiler/schedule/fused_stages.h"

namespace hone {

// A rectangle of outputs that read their image by the same taps, cut into register tiles: every piece of its
// rows with every piece of its columns.
struct TapBand {
  std::vector<LoopRange> taps;           // by reduction loop
  std::vector<LoopRange> rows, columns;  // of the last two output axes
};

// A convolution adds nothing by taps that lie outside of its image: with padding near the image's ends, with
// dilations as large as the image nearly everywhere. Cuts the last two of the output axes `m` into bands that
// read by the same taps, and these into tiles of at most `most_points`: rows of a narrow band together,
// pieces of a wide one's rows. `indices` are the image's, in terms of `m` and the reduction loops, and may
// leave its `dims`. nullopt: an output reads nothing at all, or the image is large.
std::optional<std::vector<TapBand>> CutIntoBands(const std::vector<Axis>& m, const std::vector<Axis>& loops,
                                                 const std::vector<DimExpr>& indices,
                                                 const std::vector<DimExpr>& dims, int64_t most_points);

}  // namespace hone
