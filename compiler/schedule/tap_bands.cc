#include "compiler/schedule/tap_bands.h"

#include <algorithm>

namespace hone {
namespace {

constexpr int64_t kMostPixels = 1 << 18;  // of an image: tables name every tile

// Along one output axis.
struct Window {
  std::optional<size_t> loop;   // over the taps; none: there is but one
  std::vector<LoopRange> taps;  // inside of the image, by position of the output
};

std::optional<Window> WindowOf(const Axis& output, const std::vector<Axis>& loops, const DimExpr& index,
                               int64_t size) {
  Window window;
  for (size_t loop = 0; loop < loops.size(); ++loop) {
    if (index.Mentions(loops[loop].variable)) window.loop = loop;
  }
  const int64_t taps = window.loop ? Extent(loops[*window.loop]) : 1;
  DimExpr first;
  const int64_t stride = index.AffineCoefficient(output.variable, &first).value_or(0);
  const int64_t dilation =
      window.loop ? first.AffineCoefficient(loops[*window.loop].variable, &first).value_or(0) : 0;
  const std::optional<int64_t> start = first.AsConstant();
  if (!start) return std::nullopt;
  for (int64_t at = 0; at < Extent(output); ++at) {
    LoopRange inside{taps, 0};
    for (int64_t tap = 0; tap < taps; ++tap) {
      const int64_t position = stride * at + dilation * tap + *start;
      if (position >= 0 && position < size) inside = {std::min(inside.begin, tap), tap + 1};
    }
    if (inside.end == 0) return std::nullopt;
    window.taps.push_back(inside);
  }
  return window;
}

// Near-equal pieces of at most `most`.
std::vector<LoopRange> Cut(const LoopRange& range, int64_t most) {
  const int64_t extent = range.end - range.begin, count = (extent + most - 1) / most;
  std::vector<LoopRange> pieces;
  for (int64_t i = 0; i < count; ++i) {
    pieces.push_back({range.begin + extent * i / count, range.begin + extent * (i + 1) / count});
  }
  return pieces;
}

// Runs of positions with the same taps.
std::vector<LoopRange> Bands(const Window& window) {
  std::vector<LoopRange> bands;
  for (size_t at = 0; at < window.taps.size(); ++at) {
    if (at == 0 || window.taps[at] != window.taps[at - 1]) bands.push_back({static_cast<int64_t>(at), 0});
    bands.back().end = static_cast<int64_t>(at) + 1;
  }
  return bands;
}

}  // namespace

std::optional<std::vector<TapBand>> CutIntoBands(const std::vector<Axis>& m, const std::vector<Axis>& loops,
                                                 const std::vector<DimExpr>& indices,
                                                 const std::vector<DimExpr>& dims, int64_t most_points) {
  if (m.size() < 2 || Extent(m[m.size() - 2]) > kMostPixels / Extent(m.back())) return std::nullopt;
  std::vector<Window> windows;  // down, across
  for (size_t axis = m.size() - 2; axis < m.size(); ++axis) {
    for (size_t d = 0; d < indices.size(); ++d) {
      if (!indices[d].Mentions(m[axis].variable)) continue;
      std::optional<Window> window = WindowOf(m[axis], loops, indices[d], dims[d].Constant());
      if (!window) return std::nullopt;
      windows.push_back(*std::move(window));
    }
  }
  if (windows.size() != 2) return std::nullopt;
  std::vector<TapBand> bands;
  for (const LoopRange& down : Bands(windows[0])) {
    for (const LoopRange& across : Bands(windows[1])) {
      TapBand band;
      for (const Axis& loop : loops) band.taps.push_back({0, Extent(loop)});
      if (windows[0].loop) band.taps[*windows[0].loop] = windows[0].taps[static_cast<size_t>(down.begin)];
      if (windows[1].loop) band.taps[*windows[1].loop] = windows[1].taps[static_cast<size_t>(across.begin)];
      band.rows = Cut(down, std::max<int64_t>(1, most_points / (across.end - across.begin)));
      band.columns = Cut(across, most_points);
      bands.push_back(std::move(band));
    }
  }
  return bands;
}

}  // namespace hone
