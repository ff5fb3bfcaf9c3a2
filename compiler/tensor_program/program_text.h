#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "compiler/tensor_program/tensor_program.h"

// The text form of TensorProgram: what its writer and its reader share. Statements stand in order; a name that is no
// plain identifier is quoted:
//   symbol s0 1 64 1                                         (lower, upper or *, divisor)
//   input x f32[s0,3]
//   stage pad (n:s0, c:5) y = select(lessequal(i64 1, index(c)), x[n, c - 1], f32 0)
//   stage sum (n:s0) sum (c:5) z = y[n, c]
//   stage best (n:s0) tuple (c:5) v = y[n, c]; i = index(c) identity f32 -inf; i64 0 combine $0:f32; $1:i64
//   scan steps length (s0) reverse carry (first -> last) over (x) stack (h) {
//     ... the body ...
//   }
// An axis whose variable has other bounds than its extent implies states them: c:5{0,*,1}. A computed index is @scalar.
namespace hone {

inline constexpr std::string_view kRoleNames[] = {"input", "constant", "temporary", "output"};   // by Role
inline constexpr std::string_view kCombineNames[] = {"map", "sum", "prod", "max", "min", "tuple"};   // by Combine

inline bool StartsName(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_'; }
inline bool ContinuesName(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '/';
}

// The bounds that an axis' variable has unless stated otherwise. One of extent one is a variable still: a constant
// would vanish from the indices that name it.
inline Symbol ImpliedVariable(const std::string& name, const DimExpr& extent) {
  const int64_t most = extent.Bounds().upper;
  return {name, 0, most == Interval().upper ? Symbol::kUnbounded : std::max<int64_t>(1, most - 1), 1};
}

}  // namespace hone
