#pragma once

#include <span>
#include <string_view>

namespace hone {

// Small programs by hand, each with a construct of its own; in canonical text.
struct ProgramSample {
  std::string_view name, text;
};

inline constexpr ProgramSample kProgramSamples[] = {
    {"matmul", R"(input a f32[3,5]
constant b f32[5,4]
output c f32[3,4]
stage mm (m:3, n:4) sum (k:5) c = mul(a[m, k], b[k, n])
)"},
    {"convolution", R"(input x f32[1,2,4,5]
constant w f32[3,2,3,3]
temporary padded f32[1,2,6,7]
output y f32[1,3,4,5]
stage pad (n:1, c:2, h:6, w:7) padded = select(and(and(lessequal(i64 1, index(h)), less(index(h), i64 5)), and(lessequal(i64 1, index(w)), less(index(w), i64 6))), x[n, c, h - 1, w - 1], f32 0)
stage conv (n:1, o:3, h:4, w:5) sum (c:2, kh:3, kw:3) y = mul(padded[n, c, h + kh, kw + w], w[o, c, kh, kw])
)"},
    {"softmax", R"(symbol rows 1 64 1
input x f32[rows,7]
temporary most f32[rows]
temporary e f32[rows,7]
temporary total f32[rows]
output y f32[rows,7]
stage max (i:rows) max (r:7) most = x[i, r]
stage exp (i:rows, j:7) e = exp(sub(x[i, j], most[i]))
stage sum (i:rows) sum (r:7) total = e[i, r]
stage divide (i:rows, j:7) y = div(e[i, j], total[i])
)"},
    {"arg_max", R"(input x f32[4,9]
temporary most f32[4]
output best i64[4]
stage arg_max (i:4) tuple (r:9) most = x[i, r]; best = index(r) identity f32 -inf; i64 0 combine select(less($0:f32, $2:f32), $2:f32, $0:f32); select(less($0:f32, $2:f32), $3:i64, $1:i64)
)"},
    {"cumulative_sum", R"(input x i32[6,3]
temporary zero i32[3]
output last i32[3]
output sums i32[6,3]
stage zero (i:3) zero = i32 0
scan steps length (6) reverse carry (zero -> last) over (x) stack (sums) {
  input carried i32[3]
  input item i32[3]
  output next i32[3]
  output stacked i32[3]
  stage next (i:3) next = add(carried[i], item[i])
  stage stacked (i:3) stacked = add(carried[i], item[i])
}
)"},
    {"recurrence", R"(symbol t 1 * 1
input x f32[t,2]
input h0 f32[2]
input c0 f32[2]
output h f32[2]
output c f32[2]
output all f32[t,2]
scan steps length (t) carry (h0 -> h, c0 -> c) over (x) stack (all) {
  input h f32[2]
  input c f32[2]
  input x f32[2]
  temporary gate f32[2]
  output c_next f32[2]
  output h_next f32[2]
  output y f32[2]
  stage gate (i:2) gate = sigmoid(add(x[i], h[i]))
  stage h (i:2) h_next = mul(gate[i], tanh(c[i]))
  stage c (i:2) c_next = add(mul(gate[i], c[i]), x[i])
  stage y (i:2) y = mul(gate[i], tanh(c[i]))
}
)"},
    {"gather", R"(input table f16[10,4]
input "ids:0" i64[3]
output "a \"b\"\n" f16[3,4]
stage "take it" (i:3, j:4) "a \"b\"\n" = table[@"ids:0"[i], j]
)"},
    {"integers", R"(input x u8[12]
input flag bool[12]
output y i32[3,4]
stage mix (i:3{0,*,1}, j:4) y = select(not(flag[floordiv(2*i, 2) + mod(j, 3)]), cast_i32(bitand(x[4*i + j], u8 15)), i32 -7)
)"},
};

}  // namespace hone
