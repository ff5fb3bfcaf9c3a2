#include "compiler/schedule/cook_toom.h"

#include <algorithm>
#include <numeric>

namespace hone {
namespace {

class Rational {
 public:
  Rational(int64_t numerator = 0, int64_t denominator = 1) {   // NOLINT: integers are rationals
    const int64_t divisor = std::gcd(numerator, denominator) * (denominator < 0 ? -1 : 1);
    numerator_ = numerator / divisor;
    denominator_ = denominator / divisor;
  }
  double value() const { return static_cast<double>(numerator_) / static_cast<double>(denominator_); }
  friend Rational operator*(const Rational& a, const Rational& b) {
    const Rational x(a.numerator_, b.denominator_), y(b.numerator_, a.denominator_);   // reduced first: small numbers
    return {x.numerator_ * y.numerator_, x.denominator_ * y.denominator_};
  }
  friend Rational operator/(const Rational& a, const Rational& b) {
    return a * Rational(b.denominator_, b.numerator_);
  }
  friend Rational operator-(const Rational& a, const Rational& b) {
    const int64_t common = std::lcm(a.denominator_, b.denominator_);
    return {a.numerator_ * (common / a.denominator_) - b.numerator_ * (common / b.denominator_), common};
  }

 private:
  int64_t numerator_, denominator_;
};

// In the order in which they lose least precision.
const Rational kPoints[] = {0, 1, -1, 2, -2, {-1, 2}, {1, 2}, {-4}, {4}, {1, 4}, {-1, 4}, 3, -3};

// The coefficients of the product of (x - point), from x^0, over all finite points but `skipped`.
std::vector<Rational> ProductWithout(int points, int skipped) {
  std::vector<Rational> product = {1};
  for (int p = 0; p < points; ++p) {
    if (p == skipped) continue;
    std::vector<Rational> next(product.size() + 1);
    for (size_t i = 0; i <= product.size(); ++i) {
      const Rational shifted = i > 0 ? product[i - 1] : Rational();
      next[i] = i < product.size() ? shifted - kPoints[p] * product[i] : shifted;
    }
    product = std::move(next);
  }
  return product;
}

}  // namespace

CookToom MakeCookToom(int m, int r) {
  const int n = m + r - 1, points = n - 1;
  CookToom transform{Matrix(n, n), Matrix(n, r), Matrix(m, n)};
  for (int j = 0; j < n; ++j) {
    const std::vector<Rational> product = ProductWithout(points, j);   // j == points: infinity skips none
    for (size_t i = 0; i < product.size(); ++i) transform.input(j, static_cast<int>(i)) = product[i].value();
  }
  for (int j = 0; j < points; ++j) {
    Rational norm = 1;
    for (int l = 0; l < points; ++l) {
      if (l != j) norm = norm * (kPoints[j] - kPoints[l]);
    }
    Rational power = 1;
    for (int k = 0; k < std::max(m, r); ++k) {
      if (k < r) transform.kernel(j, k) = (power / norm).value();
      if (k < m) transform.output(k, j) = power.value();
      power = power * kPoints[j];
    }
  }
  transform.kernel(points, r - 1) = 1;
  transform.output(m - 1, points) = 1;
  return transform;
}

Matrix PhasedKernel(const Matrix& kernel, int taps, int stride) {
  const int phases = std::min(stride, taps);
  Matrix phased(kernel.rows * phases, taps);
  for (int point = 0; point < kernel.rows; ++point) {
    for (int tap = 0; tap < taps; ++tap) phased(point * phases + tap % stride, tap) = kernel(point, tap / stride);
  }
  return phased;
}

}  // namespace hone
