#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hone {

// A dense matrix, row by row.
struct Matrix {
  int rows = 0, columns = 0;
  std::vector<double> values;
  Matrix() = default;
  Matrix(int rows, int columns) : rows(rows), columns(columns), values(static_cast<size_t>(rows) * columns) {}
  double& operator()(int row, int column) { return values[static_cast<size_t>(row) * columns + column]; }
  double operator()(int row, int column) const { return values[static_cast<size_t>(row) * columns + column]; }
  bool operator==(const Matrix&) const = default;
};

// A constant cut in two along two dimensions, once or several times. Halves that do not divide an extent overlap; what the
// second half along `k_dim` shares with the first counts as zero there. It may consist of `parts` of equal extent along the
// other dimension, each with sums of its own.
struct Quarters {
  int k_dim = 0;
  int64_t parts = 1;
  std::vector<int64_t> k_halves, n_halves;   // extents of a quarter, outermost cut first
  int64_t pitch = 0;                // between sums, along the other dimension; >= n_half, zeros between

  // Block `number`, in the order of its quarters 11, 12, 21, 22, outermost cut first, of a part k x n: where it begins, and
  // the first of its steps along k that counts.
  struct Block {
    int64_t k = 0, n = 0, k_counts = 0;
  };
  Block BlockOf(int number, int64_t k, int64_t n) const;
  bool operator==(const Quarters&) const = default;
};

// What happens to a constant before it is laid out: every line along `dim` becomes matrix x line. With `quarters` the
// matrix's columns are blocks along (k_dim, dim), and its rows are sums of them side by side along `dim`, part by part.
struct AxisTransform {
  int dim = 0;
  Matrix matrix;   // columns: the extent before; rows: the extent after
  std::optional<Quarters> quarters;
  bool operator==(const AxisTransform&) const = default;
};
using AxisTransforms = std::vector<AxisTransform>;   // none, one of each of two different dimensions, or one of quarters

std::vector<int64_t> TransformedDims(std::vector<int64_t> dims, const AxisTransforms& transforms);
// "c:3->6 d:3->6", letters as in layouts; empty for none.
std::string TransformsText(const AxisTransforms& transforms);
// The same with every number: equal texts mean equal constants.
std::string TransformsKey(const AxisTransforms& transforms);

}  // namespace hone
