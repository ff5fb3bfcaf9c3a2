#include "compiler/schedule/linear_program.h"

#include <algorithm>
#include <cmath>

namespace hone {
namespace {

class Builder {
 public:
  explicit Builder(const Matrix& matrix) : rows_(matrix.rows) {
    program_.inputs = matrix.columns;
    for (int c = 0; c < matrix.columns; ++c) {
      columns_.push_back({c, {}});
      for (int r = 0; r < rows_; ++r) columns_.back().coefficients.push_back(matrix(r, c));
    }
  }

  LinearProgram Run() {
    PairColumns();
    program_.outputs.assign(static_cast<size_t>(rows_), -1);
    PairRows();
    for (int r = 0; r < rows_; ++r) {
      if (program_.outputs[r] < 0) program_.outputs[r] = AddSum(RowTerms(r));
    }
    return std::move(program_);
  }

 private:
  struct Column {
    int value;
    std::vector<double> coefficients;   // by row
  };

  int AddSum(LinearProgram::Sum sum) {
    if (sum.size() == 1 && sum[0].coefficient == 1) return sum[0].value;
    std::stable_sort(sum.begin(), sum.end(), [](const auto& a, const auto& b) {
      return (a.coefficient == 1) > (b.coefficient == 1);
    });
    program_.sums.push_back(std::move(sum));
    return program_.inputs + static_cast<int>(program_.sums.size()) - 1;
  }

  LinearProgram::Sum RowTerms(int row) const {
    LinearProgram::Sum sum;
    for (const Column& column : columns_) {
      if (column.coefficients[row] != 0) sum.push_back({column.value, column.coefficients[row]});
    }
    if (sum.empty()) sum.push_back({columns_.front().value, 0});
    return sum;
  }

  // x_a, x_b with equal coefficients up to signs in every row: their sum and difference instead.
  void PairColumns() {
    for (size_t a = 0; a < columns_.size(); ++a) {
      for (size_t b = a + 1; b < columns_.size(); ++b) {
        if (!ColumnsPair(columns_[a], columns_[b])) continue;
        const Column x = columns_[a], y = columns_[b];
        Column sum{AddSum({{x.value, 1}, {y.value, 1}}), x.coefficients};
        Column difference{AddSum({{x.value, 1}, {y.value, -1}}), x.coefficients};
        for (int r = 0; r < rows_; ++r) {
          (x.coefficients[r] == y.coefficients[r] ? difference : sum).coefficients[r] = 0;
        }
        columns_[a] = std::move(sum);
        columns_[b] = std::move(difference);
        break;
      }
    }
  }

  bool ColumnsPair(const Column& a, const Column& b) const {
    int same = 0, opposite = 0;
    for (int r = 0; r < rows_; ++r) {
      const double x = a.coefficients[r], y = b.coefficients[r];
      if (std::fabs(x) != std::fabs(y)) return false;
      if (x != 0) ++(x == y ? same : opposite);
    }
    return same > 0 && opposite > 0 && same + opposite > 2;
  }

  // Rows with equal coefficients up to signs: the terms of equal sign plus or minus the others.
  void PairRows() {
    for (int a = 0; a < rows_; ++a) {
      for (int b = a + 1; b < rows_ && program_.outputs[a] < 0; ++b) {
        if (program_.outputs[b] >= 0) continue;
        LinearProgram::Sum same, opposite;
        if (!SplitRows(a, b, &same, &opposite)) continue;
        const int even = AddSum(std::move(same)), odd = AddSum(std::move(opposite));
        program_.outputs[a] = AddSum({{even, 1}, {odd, 1}});
        program_.outputs[b] = AddSum({{even, 1}, {odd, -1}});
      }
    }
  }

  bool SplitRows(int a, int b, LinearProgram::Sum* same, LinearProgram::Sum* opposite) const {
    for (const Column& column : columns_) {
      const double x = column.coefficients[a], y = column.coefficients[b];
      if (std::fabs(x) != std::fabs(y)) return false;
      if (x != 0) (x == y ? same : opposite)->push_back({column.value, x});
    }
    return !same->empty() && !opposite->empty() && same->size() + opposite->size() > 2;
  }

  const int rows_;
  LinearProgram program_;
  std::vector<Column> columns_;
};

}  // namespace

LinearProgram LinearProgram::Of(const Matrix& matrix) { return Builder(matrix).Run(); }

int LinearProgram::operations() const {
  int count = 0;
  for (const Sum& sum : sums) {
    count += static_cast<int>(sum.size()) - (sum[0].coefficient == 1 ? 1 : 0);
  }
  return count;
}

}  // namespace hone
