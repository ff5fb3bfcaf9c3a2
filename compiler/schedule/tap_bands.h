#pragma once

#include <optional>
#include <vector>

#include "compiler/schedule/fused_stages.h"

namespace hone {

// Outputs that read their image by the same taps, as many as a register tile holds.
struct BandTile {
  std::vector<std::vector<int64_t>> points;  // coordinates along all m axes, 0 but for the last two
  std::vector<LoopRange> taps;  // by reduction loop
};

// A convolution adds nothing by taps that lie outside of its image: near the image's ends, and with dilations
// as large as the image nearly everywhere. Cuts the last two of the output axes `m` into bands that read by
// the same taps, and these into tiles: rows of a narrow band together, pieces of a wide one's rows. `indices`
// are the image's, in terms of `m` and the reduction loops, and may leave its `dims`. nullopt: an output
// reads nothing at all, the outermost loop is a window's, or the image is large.
std::optional<std::vector<BandTile>> TilesOfBands(const std::vector<Axis>& m, const std::vector<Axis>& loops,
                                                  const std::vector<DimExpr>& indices,
                                                  const std::vector<DimExpr>& dims, int64_t most_points);

}  // namespace hone
