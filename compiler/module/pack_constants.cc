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

// Coordinates [begin, end) of the outermost dimension; `from` is where they begin.
template <class T>
void PackSlice(const std::vector<int64_t>& dims, const uint8_t* from, const std::vector<std::vector<int64_t>>& offsets,
               int64_t begin, int64_t end, uint8_t* packed) {
  const size_t rank = dims.size();
  const std::vector<int64_t>& last = offsets.back();
  const auto row = static_cast<int64_t>(last.size());
  int64_t slice_rows = 1;   // rows of the last dimension per coordinate of the first
  for (size_t d = 1; d + 1 < rank; ++d) slice_rows *= dims[d];
  if (rank == 1) {
    for (int64_t i = begin; i < end; ++i) {
      std::memcpy(packed + last[i] * sizeof(T), from + (i - begin) * static_cast<int64_t>(sizeof(T)), sizeof(T));
    }
    return;
  }
  std::vector<int64_t> index(rank, 0);
  index[0] = begin;
  for (int64_t r = begin * slice_rows; r < end * slice_rows; ++r) {
    int64_t base = 0;
    for (size_t d = 0; d + 1 < rank; ++d) base += offsets[d][index[d]];
    for (int64_t i = 0; i < row; ++i, from += sizeof(T)) {
      std::memcpy(packed + (base + last[i]) * sizeof(T), from, sizeof(T));
    }
    for (size_t d = rank - 1; d-- > 0;) {   // next row: an odometer over all but the last dimension
      if (++index[d] < dims[d] || d == 0) break;
      index[d] = 0;
    }
  }
}

void PackSliceOf(int64_t element_bytes, const std::vector<int64_t>& dims, const uint8_t* from,
                 const std::vector<std::vector<int64_t>>& offsets, int64_t begin, int64_t end, uint8_t* packed) {
  switch (element_bytes) {
    case 1: return PackSlice<uint8_t>(dims, from, offsets, begin, end, packed);
    case 2: return PackSlice<uint16_t>(dims, from, offsets, begin, end, packed);
    case 4: return PackSlice<uint32_t>(dims, from, offsets, begin, end, packed);
    default: return PackSlice<uint64_t>(dims, from, offsets, begin, end, packed);
  }
}

// matrix x every line along the transform's dimension, of a dense row-major tensor.
std::vector<double> Transformed(const std::vector<double>& values, const std::vector<int64_t>& dims,
                                const AxisTransform& transform) {
  const Matrix& matrix = transform.matrix;
  int64_t outer = 1, inner = 1;
  for (int d = 0; d < static_cast<int>(dims.size()); ++d) {
    if (d != transform.dim) (d < transform.dim ? outer : inner) *= dims[d];
  }
  std::vector<double> result(static_cast<size_t>(outer * matrix.rows * inner), 0.0);
  for (int64_t o = 0; o < outer; ++o) {
    for (int row = 0; row < matrix.rows; ++row) {
      double* to = result.data() + (o * matrix.rows + row) * inner;
      for (int column = 0; column < matrix.columns; ++column) {
        const double* from = values.data() + (o * matrix.columns + column) * inner;
        const double factor = matrix(row, column);
        for (int64_t i = 0; i < inner; ++i) to[i] += factor * from[i];
      }
    }
  }
  return result;
}

// Sums of the quarters of a dense row-major tensor.
std::vector<double> SumsOfQuarters(const std::vector<double>& values, const std::vector<int64_t>& dims,
                                   const AxisTransform& transform) {
  const Quarters& q = *transform.quarters;
  const std::vector<int64_t> after = TransformedDims(dims, {transform});
  const auto strides = [](const std::vector<int64_t>& shape) {
    std::vector<int64_t> result(shape.size(), 1);
    for (size_t d = shape.size(); d-- > 1;) result[d - 1] = result[d] * shape[d];
    return result;
  };
  const std::vector<int64_t> from_strides = strides(dims), to_strides = strides(after);
  const int64_t part_extent = dims[transform.dim] / q.parts;
  std::vector<Quarters::Block> blocks;
  for (int i = 0; i < transform.matrix.columns; ++i)
    blocks.push_back(q.BlockOf(i, dims[q.k_dim], part_extent));
  std::vector<double> result(static_cast<size_t>(to_strides[0] * after[0]), 0.0);
  for (size_t to = 0; to < result.size(); ++to) {
    const auto at = [&](int d) { return static_cast<int64_t>(to) / to_strides[d] % after[d]; };
    int64_t base = 0;
    for (int d = 0; d < static_cast<int>(dims.size()); ++d) {
      if (d != q.k_dim && d != transform.dim) base += at(d) * from_strides[d];
    }
    const int64_t k = at(q.k_dim), n = at(transform.dim) % q.pitch, sum = at(transform.dim) / q.pitch;
    if (n >= q.n_halves.back()) continue;
    const int row = static_cast<int>(sum % transform.matrix.rows);
    base += sum / transform.matrix.rows * part_extent * from_strides[transform.dim];
    for (int i = 0; i < transform.matrix.columns; ++i) {
      const double factor = transform.matrix(row, i);
      const Quarters::Block& block = blocks[static_cast<size_t>(i)];
      if (factor == 0 || k < block.k_counts) continue;
      const int64_t from = base + (k + block.k) * from_strides[q.k_dim] + (n + block.n) * from_strides[transform.dim];
      result[to] += factor * values[static_cast<size_t>(from)];
    }
  }
  return result;
}

// The same coordinates of a constant after its transforms, in f32, computed in f64.
std::vector<float> TransformSlice(const ConstantData& constant, const AxisTransforms& transforms, int64_t begin, int64_t end) {
  std::vector<int64_t> dims = constant.dims;
  dims[0] = end - begin;
  const auto* data = reinterpret_cast<const float*>(constant.data);
  const size_t slice = constant.size / sizeof(float) / static_cast<size_t>(constant.dims[0]);
  std::vector<double> values(data + begin * static_cast<int64_t>(slice), data + end * static_cast<int64_t>(slice));
  for (const AxisTransform& transform : transforms) {
    values = transform.quarters ? SumsOfQuarters(values, dims, transform) : Transformed(values, dims, transform);
    dims = TransformedDims(std::move(dims), {transform});
  }
  return {values.begin(), values.end()};
}

absl::Status CheckConstant(const ConstantData& constant, const Layout& layout, const AxisTransforms& transforms) {
  for (const AxisTransform& transform : transforms) {
    const int rank = static_cast<int>(constant.dims.size());
    const bool fits = transform.quarters ? transform.dim >= 0 && transform.dim < rank && transform.quarters->k_dim >= 0 &&
                                               transform.quarters->k_dim < rank
                                         : transform.dim >= 1 && transform.dim < rank &&
                                               constant.dims[transform.dim] == transform.matrix.columns;
    if (constant.dtype != DType::kF32 || !fits) {
      return absl::InvalidArgumentError("a transform fits neither the constant's type nor its extents");
    }
  }
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
  const AxisTransforms* transforms;
  const std::vector<std::vector<int64_t>>* offsets;   // null: plain
  int64_t begin, end;
  uint8_t* packed;
};

// Every sum needs all of the constant.
bool SumsQuarters(const AxisTransforms& transforms) { return !transforms.empty() && transforms[0].quarters.has_value(); }

void RunSlice(const Slice& s) {
  const ConstantData& c = *s.constant;
  const size_t bytes = c.dims.empty() ? c.size : c.size / c.dims[0];
  if (!s.transforms->empty()) {
    const std::vector<float> values = TransformSlice(c, *s.transforms, s.begin, s.end);
    PackSliceOf(DTypeBytes(c.dtype), TransformedDims(c.dims, *s.transforms),
                reinterpret_cast<const uint8_t*>(values.data()), *s.offsets, s.begin,
                SumsQuarters(*s.transforms) ? TransformedDims(c.dims, *s.transforms)[0] : s.end, s.packed);
    return;
  }
  if (s.offsets != nullptr) {
    PackSliceOf(DTypeBytes(c.dtype), c.dims, c.data + s.begin * bytes, *s.offsets, s.begin, s.end, s.packed);
    return;
  }
  std::memcpy(s.packed + s.begin * bytes, c.data + s.begin * bytes, (s.end - s.begin) * bytes);
}

constexpr int64_t kSliceBytes = int64_t{4} << 20;

void AddSlices(const ConstantData& c, const AxisTransforms& transforms,
               const std::vector<std::vector<int64_t>>* offsets, uint8_t* packed, std::vector<Slice>* slices) {
  if (c.size == 0) return;
  const int64_t outer = c.dims.empty() ? 1 : c.dims[0];
  const int64_t some = std::max<int64_t>(1, kSliceBytes / std::max<int64_t>(1, c.size / outer));
  const int64_t step = SumsQuarters(transforms) ? outer : some;
  for (int64_t begin = 0; begin < outer; begin += step) {
    slices->push_back({&c, &transforms, offsets, begin, std::min(outer, begin + step), packed});
  }
}

}  // namespace

absl::Status PackTensor(const ConstantData& constant, const Layout& layout, uint8_t* packed) {
  if (absl::Status status = CheckConstant(constant, layout, {}); !status.ok()) return status;
  const AxisTransforms none;
  const bool plain = layout.IsPlain();
  const auto offsets = plain ? std::vector<std::vector<int64_t>>() : OffsetTables(constant.dims, layout);
  std::vector<Slice> slices;
  AddSlices(constant, none, plain ? nullptr : &offsets, packed, &slices);
  for (const Slice& slice : slices) RunSlice(slice);
  return absl::OkStatus();
}

absl::Status PackConstants(const Plan& plan, const Graph& graph, int threads, uint8_t* packed) {
  std::vector<std::vector<std::vector<int64_t>>> offsets(plan.constants.size());
  std::vector<Slice> slices;
  for (size_t i = 0; i < plan.constants.size(); ++i) {
    const PackedTensor& packing = plan.constants[i];
    const Tensor& tensor = graph.tensor(packing.tensor);
    if (absl::Status status = CheckConstant(*tensor.constant, packing.layout, packing.transforms); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat("tensor '", tensor.name, "': ", status.message()));
    }
    const bool plain = packing.layout.IsPlain() && packing.transforms.empty();
    if (!plain) offsets[i] = OffsetTables(TransformedDims(tensor.constant->dims, packing.transforms), packing.layout);
    AddSlices(*tensor.constant, packing.transforms, plain ? nullptr : &offsets[i],
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
