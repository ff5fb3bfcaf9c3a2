#pragma once

#include "compiler/layout/axis_transform.h"

namespace hone {

// F(m, r): m outputs of a correlation with r taps in n = m + r - 1 products,
//   y = output ((kernel g) * (input d)),   y[i] = sum over k of g[k] d[i + k].
struct CookToom {
  Matrix input;    // n x n
  Matrix kernel;   // n x r
  Matrix output;   // m x n
};

// Built by exact rational arithmetic from the points 0, 1, -1, 2, -2, -1/2, 1/2... and infinity; 1 <= m <= 8, 1 <= r <= 7.
// F(1, r) multiplies plainly; F(m, 1) too.
CookToom MakeCookToom(int m, int r);

// The kernel transform of a correlation at every stride-th position, the sum of its phases: phase p has the taps p, p + stride...
// and sees every stride-th element. `kernel` transforms the longest phase, ceil(taps / stride) taps; the tap that shorter ones
// lack is zero, so nothing of them is left at infinity, the last point. Row: point * min(stride, taps) + phase; column: tap.
Matrix PhasedKernel(const Matrix& kernel, int taps, int stride);

}  // namespace hone
