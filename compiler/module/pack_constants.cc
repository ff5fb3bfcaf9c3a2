// A layout's offset is a sum of one function per logical dimension (each physical axis belongs to one dimension), so
// packing is a table look-up per coordinate: exact for every layout, and as fast as memory for large tensors.
#include "compiler/module/pack_constants.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

// offsets[d][i]: what coordinate i of dimension d adds to the element offset.
std::vector<std::vector<int64_t>> OffsetTables(const std::vector<int64_t>& dims, const Layout& layout) {
  std::vector<std::vector<int64_t>> offsets(dims.size());
  std::vector<int64_t> inner(dims.size(), 1);   // product of the blocks of the dimension seen so far
  for (size_t d = 0; d < dims.size(); ++d) offsets[d].assign(dims[d], 0);
  int64_t stride = 1;
  for (auto axis = layout.axes().rbegin(); axis != layout.axes().rend(); ++axis) {
    const Layout::Halo& halo = layout.halo(axis->dim);
    const int64_t size = halo.before + dims[axis->dim] + halo.after;
    const int64_t block = inner[axis->dim];
    for (int64_t i = 0; i < dims[axis->dim]; ++i) {
      const int64_t outer = (i + halo.before) / block;
      offsets[axis->dim][i] += (axis->block > 0 ? outer % axis->block : outer) * stride;
    }
    if (axis->block > 0) {
      stride *= axis->block;
      inner[axis->dim] *= axis->block;
    } else {
      stride *= (size + block - 1) / block;
    }
  }
  return offsets;
}

// Coordinates [begin, end) of the outermost dimension.
template <class T>
void PackSlice(const ConstantData& constant, const std::vector<std::vector<int64_t>>& offsets, int64_t begin,
               int64_t end, uint8_t* packed) {
  const size_t rank = constant.dims.size();
  const std::vector<int64_t>& last = offsets.back();
  const auto row = static_cast<int64_t>(last.size());
  int64_t slice_rows = 1;   // rows of the last dimension per coordinate of the first
  for (size_t d = 1; d + 1 < rank; ++d) slice_rows *= constant.dims[d];
  if (rank == 1) {
    for (int64_t i = begin; i < end; ++i) {
      std::memcpy(packed + last[i] * sizeof(T), constant.data + i * sizeof(T), sizeof(T));
    }
    return;
  }
  std::vector<int64_t> index(rank, 0);
  index[0] = begin;
  const uint8_t* from = constant.data + begin * slice_rows * row * static_cast<int64_t>(sizeof(T));
  for (int64_t r = begin * slice_rows; r < end * slice_rows; ++r) {
    int64_t base = 0;
    for (size_t d = 0; d + 1 < rank; ++d) base += offsets[d][index[d]];
    for (int64_t i = 0; i < row; ++i, from += sizeof(T)) {
      std::memcpy(packed + (base + last[i]) * sizeof(T), from, sizeof(T));
    }
    for (size_t d = rank - 1; d-- > 0;) {   // next row: an odometer over all but the last dimension
      if (++index[d] < constant.dims[d] || d == 0) break;
      index[d] = 0;
    }
  }
}

void PackSliceOf(int64_t element_bytes, const ConstantData& constant, const std::vector<std::vector<int64_t>>& offsets,
                 int64_t begin, int64_t end, uint8_t* packed) {
  switch (element_bytes) {
    case 1: return PackSlice<uint8_t>(constant, offsets, begin, end, packed);
    case 2: return PackSlice<uint16_t>(constant, offsets, begin, end, packed);
    case 4: return PackSlice<uint32_t>(constant, offsets, begin, end, packed);
    default: return PackSlice<uint64_t>(constant, offsets, begin, end, packed);
  }
}

absl::Status CheckConstant(const ConstantData& constant, const Layout& layout) {
  int64_t elements = 1;
  for (const int64_t dim : constant.dims) elements *= dim;
  if (layout.rank() != static_cast<int>(constant.dims.size()) || elements < 0 ||
      static_cast<uint64_t>(elements) * DTypeBytes(constant.dtype) != constant.size) {
    return absl::InvalidArgumentError(absl::StrCat("a constant of ", constant.size, " bytes does not have ", elements,
                                                   " elements, or its layout not rank ", constant.dims.size()));
  }
  return absl::OkStatus();
}

// A part of a constant, for one thread at a time.
struct Slice {
  const ConstantData* constant;
  const std::vector<std::vector<int64_t>>* offsets;   // null: plain
  int64_t begin, end;
  uint8_t* packed;
};

void RunSlice(const Slice& s) {
  const ConstantData& c = *s.constant;
  if (s.offsets != nullptr) {
    PackSliceOf(DTypeBytes(c.dtype), c, *s.offsets, s.begin, s.end, s.packed);
    return;
  }
  const size_t bytes = c.dims.empty() ? c.size : c.size / c.dims[0];
  std::memcpy(s.packed + s.begin * bytes, c.data + s.begin * bytes, (s.end - s.begin) * bytes);
}

constexpr int64_t kSliceBytes = int64_t{4} << 20;

void AddSlices(const ConstantData& c, const std::vector<std::vector<int64_t>>* offsets, uint8_t* packed,
               std::vector<Slice>* slices) {
  if (c.size == 0) return;
  const int64_t outer = c.dims.empty() ? 1 : c.dims[0];
  const int64_t step = std::max<int64_t>(1, kSliceBytes / std::max<int64_t>(1, c.size / outer));
  for (int64_t begin = 0; begin < outer; begin += step) {
    slices->push_back({&c, offsets, begin, std::min(outer, begin + step), packed});
  }
}

}  // namespace

absl::Status PackTensor(const ConstantData& constant, const Layout& layout, uint8_t* packed) {
  if (absl::Status status = CheckConstant(constant, layout); !status.ok()) return status;
  const bool plain = layout.IsPlain();
  const auto offsets = plain ? std::vector<std::vector<int64_t>>() : OffsetTables(constant.dims, layout);
  std::vector<Slice> slices;
  AddSlices(constant, plain ? nullptr : &offsets, packed, &slices);
  for (const Slice& slice : slices) RunSlice(slice);
  return absl::OkStatus();
}

absl::Status PackConstants(const Plan& plan, const Graph& graph, int threads, uint8_t* packed) {
  std::vector<std::vector<std::vector<int64_t>>> offsets(plan.constants.size());
  std::vector<Slice> slices;
  for (size_t i = 0; i < plan.constants.size(); ++i) {
    const PackedTensor& packing = plan.constants[i];
    const Tensor& tensor = graph.tensor(packing.tensor);
    if (absl::Status status = CheckConstant(*tensor.constant, packing.layout); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat("tensor '", tensor.name, "': ", status.message()));
    }
    if (!packing.layout.IsPlain()) offsets[i] = OffsetTables(tensor.constant->dims, packing.layout);
    AddSlices(*tensor.constant, packing.layout.IsPlain() ? nullptr : &offsets[i],
              packed + plan.buffers[packing.buffer].offset, &slices);
  }
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < slices.size(); i = next++) RunSlice(slices[i]);
  };
  std::vector<std::thread> workers;
  for (int t = 1; t < threads; ++t) workers.emplace_back(work);
  work();
  for (std::thread& worker : workers) worker.join();
  return absl::OkStatus();
}

}  // namespace hone
