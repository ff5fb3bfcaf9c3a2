#include "compiler/schedule/loop_nest.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr int64_t kLineBytes = 64;

std::string AxesText(const std::vector<Axis>& axes) {
  std::string text = "[";
  for (const Axis& axis : axes) {
    absl::StrAppend(&text, text.size() > 1 ? " " : "", axis.variable->name, ":", axis.extent.ToString());
  }
  return text + "]";
}

std::string TensorText(const NestTensor& tensor) {
  std::string text = absl::StrCat(std::string(DTypeName(tensor.dtype)), ShapeText(tensor.dims), " ",
                                  tensor.layout.ToString());
  switch (tensor.place) {
    case NestTensor::Place::kNone: return text + " inlined";
    case NestTensor::Place::kArgument: return absl::StrCat(text, " argument ", tensor.argument);
    case NestTensor::Place::kScratch: return absl::StrCat(text, " scratch+", tensor.offset);
    case NestTensor::Place::kChunk: return absl::StrCat(text, " chunk+", tensor.offset);
  }
  return text;
}

std::string StageText(const StageLoops& stage) {
  std::string text = absl::StrCat("  ", stage.name, " ", AxesText(stage.axes));
  if (!stage.reduce.empty()) absl::StrAppend(&text, " reduce ", AxesText(stage.reduce));
  if (stage.lane_axis >= 0) absl::StrAppend(&text, " lanes axis ", stage.lane_axis, " x", stage.lanes);
  if (stage.tail_lanes > 0) absl::StrAppend(&text, " tail ", stage.tail_lanes);
  if (stage.tile_axis >= 0) {
    absl::StrAppend(&text, " tile axis ", stage.tile_axis, " x", stage.tile);
  } else if (stage.tile > 1) {
    absl::StrAppend(&text, " partial x", stage.tile);
  }
  for (const ReduceRange& range : stage.ranges) {
    absl::StrAppend(&text, " taps [", range.begin.ToString(), ", ", range.end.ToString(), ")");
  }
  text += " ->";
  for (const Store& store : stage.stores) absl::StrAppend(&text, " t", store.tensor);
  return text + "\n";
}

std::string KernelText(const StageKernel& kernel) {
  std::string text = absl::StrCat("stages outer ", AxesText(kernel.outer), " chunks ", kernel.chunks, "\n");
  for (const StageLoops& stage : kernel.stages) text += StageText(stage);
  return text;
}

std::string PrefetchText(const ContractKernel::Prefetch& prefetch) {
  if (prefetch.touches == 0) return "";
  return absl::StrCat(" prefetch ", prefetch.touches, "x", prefetch.stride, " from ", prefetch.distance, "+", prefetch.slice);
}

std::string KernelText(const ContractKernel& kernel) {
  static constexpr const char* kHeld[] = {"b", "a", "none"};
  size_t rows = 0;
  for (const RowPattern& pattern : kernel.patterns) rows = std::max(rows, pattern.rows.size());
  return absl::StrCat("contract batch ", AxesText(kernel.batch), " m ", AxesText(kernel.m), " n ", AxesText({kernel.n}),
                      " k ", AxesText(kernel.k), kernel.k_tail > 0 ? absl::StrCat(" tail ", kernel.k_tail) : "", " rows ", rows, " vectors ", kernel.panel_vectors, " x", kernel.lanes,
                      " hold ", kHeld[static_cast<int>(kernel.hold)], " unroll ", kernel.unroll, " patterns ",
                      kernel.patterns.size(), " tiles ", kernel.tiles.size(), " block ", kernel.tiles_per_block,
                      kernel.panels_outer ? " order n,m" : " order m,n", " k_chunk ", kernel.k_chunk,
                      PrefetchText(kernel.prefetch), kernel.prefetch_rows ? " prefetch-rows" : "", " chunks ",
                      kernel.chunks, "\n");
}

std::string KernelText(const WinogradKernel& kernel) {
  std::string text = "winograd";
  for (const WinogradDim& dim : kernel.dims) {
    absl::StrAppend(&text, " F(", dim.outputs, ",", dim.points - dim.outputs + 1, ") x", dim.tiles,
                    dim.stride > 1 ? absl::StrCat(" stride ", dim.stride) : "",
                    dim.dilation > 1 ? absl::StrCat(" dilation ", dim.dilation) : "");
  }
  absl::StrAppend(
      &text, " t", kernel.source, kernel.interleaved < 0 ? "" : " interleaved",
      kernel.Groups() == 1 ? "" : absl::StrCat(" groups ", kernel.Groups()), " blocks ", kernel.blocks,
      " parts ", kernel.parts,
      kernel.given < 0 ? "" : absl::StrCat(" kernels given passes ", kernel.pass.extent.ToString()),
      " chunks ", kernel.chunks, "\n");
  for (const ContractKernel& contract : kernel.contracts) absl::StrAppend(&text, "  ", KernelText(contract));
  return text;
}

std::string KernelText(const StripKernel& kernel) {
  std::string text = absl::StrCat("strips images ", kernel.images, " x", kernel.strips, " rows ", kernel.rows, " chunks ",
                                  kernel.chunks, "\n");
  for (const StripKernel::Part& part : kernel.parts) {
    absl::StrAppend(&text, "  [", part.begin.ToString(), ", ", part.end.ToString(), ") of ", part.units, " ",
                    std::visit([](const auto& k) { return KernelText(k); }, part.kernel));
  }
  return text;
}

}  // namespace

DimExpr NestTensor::Offset(std::vector<DimExpr> index) const {
  for (const int d : rolled) index[d] = Mod(index[d], dims[d]);
  return layout.Offset(dims, index);
}

int64_t NestTensor::StorageBytes() const {
  const int64_t size = layout.Elements(dims).Constant() * DTypeBytes(dtype);
  return (size + kLineBytes - 1) / kLineBytes * kLineBytes;
}

void NestTensor::PlaceInChunk(int64_t* chunk_bytes) {
  place = Place::kChunk;
  offset = *chunk_bytes;
  bytes = StorageBytes();
  *chunk_bytes += bytes;
}

ContractKernel::Prefetch ContractKernel::Prefetch::Shared(int64_t bytes, int64_t uses, int64_t rounds,
                                                          int64_t distance) {
  const int64_t each = (bytes + uses * rounds - 1) / (uses * rounds);
  Prefetch prefetch{.touches = (each + kLineBytes - 1) / kLineBytes,
                    .stride = std::min(each, kLineBytes),
                    .distance = distance};
  prefetch.slice = rounds * prefetch.touches * prefetch.stride;
  return prefetch;
}

std::optional<int64_t> LaneStride(const DimExpr& offset, const SymbolRef& lane) {
  return offset.AffineCoefficient(lane);
}

int VectorsOver(const std::set<int64_t>& distances, int64_t lanes) {
  int vectors = 0;
  for (auto first = distances.begin(); first != distances.end(); first = distances.lower_bound(*first + lanes)) ++vectors;
  return vectors;
}

std::string LoopNest::ToString() const {
  std::string text;
  for (size_t i = 0; i < tensors.size(); ++i) absl::StrAppend(&text, "t", i, " ", TensorText(tensors[i]), "\n");
  for (const Kernel& kernel : kernels) text += std::visit([](const auto& k) { return KernelText(k); }, kernel);
  absl::StrAppend(&text, "scratch ", scratch_bytes, "\n");
  return text;
}

}  // namespace hone
