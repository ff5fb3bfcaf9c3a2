#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "compiler/layout/axis_transform.h"
#include "compiler/layout/layout.h"
#include "compiler/schedule/linear_program.h"
#include "compiler/tensor_program/tensor_program.h"

namespace hone {

// What is left to decide nothing about: where every tensor lies and which loops run in which order around which leaf
// bodies. Extents are static. Code generation only transcribes it.

// Where a tensor of the program lies during a run.
struct NestTensor {
  enum class Place : uint8_t {
    kNone,       // computed where it is used
    kArgument,   // buffer number `argument` of the entry point
    kScratch,    // at byte `offset` of the task's scratch
    kChunk,      // at byte `offset` of the scratch of one parallel chunk, which keeps a part of the tensor
  };
  Place place = Place::kNone;
  int argument = -1;
  int64_t offset = 0;
  std::vector<int> rolled;     // dimensions of which `dims` are kept, as a ring: indices are taken modulo that
  DType dtype = DType::kF32;
  std::vector<DimExpr> dims;   // constant
  Layout layout;
  int64_t bytes = 0;           // rounded up to 64
  bool packable = false;       // a constant that one load reads: it may be laid out as that wants it

  // Element offset of logical coordinates.
  DimExpr Offset(std::vector<DimExpr> index) const;
  int64_t StorageBytes() const;             // of these extents in this layout, rounded up to 64
  void PlaceInChunk(int64_t* chunk_bytes);  // at the end of its scratch, which grows
};

// tensor[indices] = value, over the axes of the kernel; Parameter(i) is component i of what the kernel reduced.
struct Store {
  ProgramTensorId tensor = -1;
  std::vector<LoadIndex> indices;
  ScalarRef value;
};

// The part [begin, end) of a reduction axis that counts at a point, over the stage's axes; the rest would add nothing
// (a window's taps in the padding). It may be empty.
struct ReduceRange {
  DimExpr begin, end;
};

// Loops over `axes`, and inside over `reduce`, around stores. `lane_axis` (an index into axes, or axes.size() + an index
// into reduce; -1: none) runs in vectors of `lanes`; `tile` consecutive points of `tile_axis` (an index into axes, or of
// the lane axis where it reduces) are computed together, each with its own accumulators. Without a tile axis `tile`
// partial results run along the innermost reduction axis. A map whose loads are strided along the lanes and contiguous
// along the tile axis has tile == lanes: code generation transposes blocks in registers.
struct StageLoops {
  std::string name;
  std::vector<Axis> axes, reduce;
  std::vector<ReduceRange> ranges;        // by reduction axis; none: all of each
  Combine combine = Combine::kNone;
  std::vector<ScalarRef> body;            // what is reduced, one per component; empty for maps
  std::optional<TupleCombiner> tuple;
  DType dtype = DType::kF32;              // of component 0
  std::vector<Store> stores;
  int lane_axis = -1, lanes = 1;
  int tile_axis = -1, tile = 1;
  // Where the last block of lanes is not full: the loop over the blocks, and the lanes of its last iteration.
  SymbolRef tail_block;
  int tail_lanes = 0;
  SymbolRef each_block;   // the loop over blocks, where the lanes of each permute elements in a way of their own
};

// A parallel loop over `outer`, flattened; every point runs all `stages` in turn.
struct StageKernel {
  std::vector<Axis> outer;
  std::vector<StageLoops> stages;
  // Where parts of the rows are shared out: rows of a tensor, along `dim`, that a window reads beyond its
  // part, on both sides. Other threads have computed them.
  struct Halo {
    ProgramTensorId tensor = -1;
    size_t dim = 0;
    int64_t rows = 0;
  } halo;
  int chunks = 1;                 // parallel pieces
  int64_t chunk_bytes = 0;        // of private scratch, for kChunk tensors
  int64_t scratch_offset = 0;     // where the chunks' scratch begins
};

// out[batch, m, n] = stores(sum over k of a[batch, m, k] * b[batch, k, n]) in register tiles of rows x vectors.
enum class HeldSide : uint8_t {
  kB,      // the vectors of b stay in registers for a step, broadcasts of a stream
  kA,      // the broadcasts stay, vectors stream
  kNone,   // vectors stream one by one, every broadcast is folded into its multiply-add
};

// Iterations [begin, end) of a reduction loop.
struct LoopRange {
  int64_t begin = 0, end = 0;
  auto operator<=>(const LoopRange&) const = default;
};

// Rows of a register tile as coordinate differences to its first row, per m axis.
struct RowPattern {
  std::vector<std::vector<int>> rows;
  // By reduction loop, where iterations outside read beyond operand a for all rows; empty: none do.
  std::vector<LoopRange> taps;
  bool operator==(const RowPattern&) const = default;
};

struct RowTile {
  int pattern = 0;
  int64_t first = 0;   // its first row, in the flattened inner m axes
};

struct ContractKernel {
  std::vector<Axis> batch, m;
  Axis n;
  int segment_axes = 0;             // leading m axes that no tile crosses: each of their points is one segment
  // Reduction loops, outermost first, and the original reduction axes in terms of them. The packed operand b stores its
  // panels [batch][panel][loops...][panel_vectors * lanes] contiguously. Where a block of channels is not full, the last
  // iteration of the outermost loop makes only k_tail steps of the innermost one (0: all of them).
  std::vector<Axis> k;
  int64_t k_tail = 0;
  std::vector<std::pair<SymbolRef, DimExpr>> k_axes;
  ProgramTensorId a = -1, b = -1;
  std::vector<LoadIndex> a_indices, b_indices;
  int lanes = 16;
  int panel_vectors = 2;            // nv; the last panel may use fewer
  HeldSide hold = HeldSide::kB;
  int unroll = 1;                   // of the innermost loop
  // Operand b is asked for ahead of its use: with each round of unrolled steps `touches` addresses, `stride`
  // bytes apart, that begin `distance` bytes behind the panel and `slice` more for every row tile that has
  // used it. 0: left to the hardware. `from` is given: another tensor's element is meant instead of the
  // panel, and all points of the batch are uses.
  struct Prefetch {
    int64_t touches = 0, stride = 0, distance = 0, slice = 0;
    ProgramTensorId from = -1;
    std::vector<DimExpr> indices;  // of `from`, in terms of n and of `around`

    // `uses` of so many rounds share the asking for `bytes`.
    static Prefetch Shared(int64_t bytes, int64_t uses, int64_t rounds, int64_t distance);
  } prefetch;
  bool prefetch_rows = false;       // of operand a: the next tile's are asked for, block of channels by block of channels
  bool fence = false;               // keep loads of unrolled steps apart
  int64_t k_chunk = 0;              // iterations of the outermost reduction loop per pass; 0: one pass
  // Which of these iterations count, where some operands are known to be zero: bit i of the index is set at the last point of
  // batch axis i. Empty: all count everywhere.
  std::vector<std::vector<LoopRange>> k_ranges;
  std::vector<RowPattern> patterns;
  std::vector<RowTile> tiles;       // of one segment, in order; near-equal where no pattern skips taps
  int tiles_per_block = 1;          // row tiles that share one sweep over the panels
  bool panels_outer = false;        // panels outside, all rows inside
  bool parallel_m = true, parallel_n = false;
  int chunks = 1;
  std::vector<Store> stores;        // the first one holds partial sums between passes
  std::vector<SymbolRef> around;    // the variables of loops around in terms of which operands are found

  bool SkipsTaps() const { return !patterns.front().taps.empty(); }
};

// One spatial dimension of a Winograd convolution, F(outputs, taps) over `tiles` tiles.
struct WinogradDim {
  // Of the output: `outputs` positions, `dilation` apart, as far as there are, from that of First().
  // Positions that are the same modulo the dilation are a convolution without it; the tiles of all of them
  // take turns.
  Axis out;
  int taps = 1, stride = 1, dilation = 1;  // one of stride and dilation is 1
  int outputs = 1, points = 1;
  int64_t tiles = 1;
  int64_t before = 0;  // phase p of a tile reads `points` source positions, Step() apart, from
                       // stride * First() + p - before; zero outside
  int64_t source_extent = 1;
  LinearProgram input, output;      // of every phase; of their sum
  LinearProgram kernel;             // taps -> point * Phases() + phase

  int Phases() const { return std::min(stride, taps); }
  int64_t Step() const { return int64_t{stride} * dilation; }
  int64_t First(int64_t tile) const { return tile / dilation * outputs * dilation + tile % dilation; }
  int64_t Span() const { return Step() * (points - 1) + Phases(); }     // source positions of a tile,
  int64_t Reach() const { return stride * First(tiles - 1) + Span(); }  // of all tiles
  // The first phases have a tap more than the others, which vanish at the last point. All have as many, or
  // all count: Phases().
  int LongPhases() const { return taps > stride && taps % stride != 0 ? taps % stride : Phases(); }
  int Products() const { return points * Phases() - (Phases() - LongPhases()); }   // per tile, channel and point across
};

// A convolution as products at interpolation points, a block of tiles at a time: input transform to `transformed`
// [point, point, tile, (phase, phase, channel)], at each point a contraction with the transformed kernel into `products`
// [point, point, tile, output channel], output transform into the stores. Both temporaries live in the chunk's scratch.
struct WinogradKernel {
  Axis image, channel, out_channel;       // channel: of the source; both of a group, where there are any
  Axis group;                             // of extent 1 where there are none: its variable occurs nowhere
  SymbolRef row, column;                  // source positions in source_indices
  std::vector<DimExpr> source_indices;    // of `source` in terms of image, channel, row, column
  WinogradDim dims[2];
  int lanes = 16;  // of the output transform, along the channels; at most the products'
  int input_lanes = 16;                   // of the input transform
  // Few channels of a row-major source are interleaved first, with the padding, for the rows of tiles that a block touches:
  // [row of tiles, row, (column, channel)]. Phases along the columns then lie beside the channels. -1: read from the source.
  ProgramTensorId interleaved = -1;
  ProgramTensorId source = -1, transformed = -1, products = -1, edge = -1;   // edge: a tile over the border
  // Where memory gives the kernels' taps only, `given` [panel, channel, tap, tap, lane]: those of a panel and
  // a pass over the channels are transformed to `kernels` [point, point, (phase, phase, channel), lane],
  // used, and forgotten. -1: transformed ahead.
  ProgramTensorId given = -1, kernels = -1;
  Axis pass;                              // of extent 1 where they are transformed ahead
  int64_t blocks = 1;                     // near-equal pieces of all images' tiles, for each group
  int64_t parts = 1;                      // near-equal pieces of the products' panels; each transforms its blocks' input
  std::vector<ContractKernel> contracts;  // of the larger blocks, and of those with a tile less, if there are any
  std::vector<Store> stores;              // Parameter(0) is the convolution
  int chunks = 1;                         // as many as threads: each takes units one by one, in temporaries of its own
  int64_t chunk_bytes = 0, scratch_offset = 0;

  static constexpr int64_t kCounterBytes = 64;       // of scratch per chunk, behind all chunks': its first unit not taken
  int64_t CountersOffset() const { return scratch_offset + chunk_bytes * chunks; }
  int64_t Groups() const { return group.extent.Constant(); }
  int64_t Units() const { return parts * Groups() * blocks; }  // of the parallel loop, parts outside
  int Phases() const { return dims[0].Phases() * dims[1].Phases(); }
  int PhasesInLanes() const { return interleaved < 0 ? 1 : dims[1].Phases(); }   // beside the channels
  int64_t InputChannels() const { return channel.extent.Constant() * PhasesInLanes(); }
  int64_t Tiles() const { return image.extent.Constant() * dims[0].tiles * dims[1].tiles; }
};

// Stages that take turns, a strip of the last one's rows at a time; what one hands to the next stays in the chunk's
// scratch, as a ring of rows. A part computes the units of its own kernel (rows or strips of its result, per image) from
// where the strip before ended, in the first strip of a chunk from `begin` on, up to `end`. Padded rows are not a ring, as
// convolutions step through the rows of their windows: a copy of them is made for every strip, the first one of it first.
// Strassen's products take turns likewise; their strips are what the threads share out, and leave nothing to each other.
struct StripKernel {
  struct Part {
    std::variant<StageKernel, ContractKernel> kernel;
    int64_t rows = 1;       // of its result, per image
    int64_t units = 1;      // per image
    DimExpr begin, end;     // that a strip needs, in terms of `strip`
    bool anew = false;      // from `begin` on in every strip
  };
  SymbolRef strip;
  int64_t images = 1, strips = 1;
  int64_t rows = 1;                           // of the result per strip; 0: strips share nothing
  std::vector<Part> parts;                    // the last one's units are strips, or rows of them
  int chunks = 1;
  int64_t chunk_bytes = 0, scratch_offset = 0;

  int64_t Units() const { return images * strips; }
};

using Kernel = std::variant<StageKernel, ContractKernel, WinogradKernel, StripKernel>;

// A constant of the program as the kernels want it: transformed, then laid out.
struct NestConstant {
  int constant = 0;                 // number among the program's constants
  Layout layout;
  AxisTransforms transforms;
};

struct LoopNest {
  std::vector<NestTensor> tensors;      // by ProgramTensorId, and temporaries added by scheduling
  std::vector<Kernel> kernels;          // run in order
  std::vector<NestConstant> constants;  // in order of argument
  int arguments = 0;                    // inputs, constants, outputs
  int64_t scratch_bytes = 0;
  std::string ToString() const;
};

// The coefficient of a vector's lane number in an element offset: 0 (a broadcast), 1 (contiguous) or another stride;
// nullopt if the lanes follow no stride.
std::optional<int64_t> LaneStride(const DimExpr& offset, const SymbolRef& lane);

// How many vectors of `lanes` elements it takes to load those at `distances`, which are then permuted in registers;
// beyond kMostPermutedVectors lanes are loaded one by one.
constexpr int kMostPermutedVectors = 4;
int VectorsOver(const std::set<int64_t>& distances, int64_t lanes);

}  // namespace hone
