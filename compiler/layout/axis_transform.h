#pragma once

#include <cstdint>
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

// What happens to a constant before it is laid out: every line along `dim` becomes matrix x line.
struct AxisTransform {
  int dim = 0;
  Matrix matrix;   // columns: the extent before; rows: the extent after
  bool operator==(const AxisTransform&) const = default;
};
using AxisTransforms = std::vector<AxisTransform>;   // none, or one of each of two different dimensions

std::vector<int64_t> TransformedDims(std::vector<int64_t> dims, const AxisTransforms& transforms);
// "c:3->6 d:3->6", letters as in layouts; empty for none.
std::string TransformsText(const AxisTransforms& transforms);
// The same with every number: equal texts mean equal constants.
std::string TransformsKey(const AxisTransforms& transforms);

}  // namespace hone
