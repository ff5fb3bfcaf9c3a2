#pragma once

#include <vector>

#include "compiler/layout/axis_transform.h"

namespace hone {

// A constant matrix times a vector as straight sums: zeros vanish, ones need no multiplication, and what two columns or
// two rows share up to signs (the points a and -a) is computed once.
struct LinearProgram {
  struct Term {
    int value = 0;               // below `inputs`: an input, else sums[value - inputs]
    double coefficient = 1;
  };
  using Sum = std::vector<Term>;   // never empty; terms with coefficient 1 first
  int inputs = 0;
  std::vector<Sum> sums;
  std::vector<int> outputs;        // values

  static LinearProgram Of(const Matrix& matrix);
  int operations() const;          // additions and fused multiply-adds
};

}  // namespace hone
