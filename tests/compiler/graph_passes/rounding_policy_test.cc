#include "compiler/graph_passes/rounding_policy.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

constexpr char kMatmul[] =
    "input x f32[4,8] ab\n"
    "input w f32[8,8] ab\n"
    "y f32[4,8] ab = matmul(x, w) {}\n";
constexpr char kSquares[] =
    "s f32[4,8] ab = mul(y, y) {}\n"
    "n f32[4,1] ab = reduce_sum(s) {axes=[1], keepdims=1}\n";

// Of the matmul, node 0.
AlgorithmPolicy PolicyOf(const std::string& rest, AlgorithmPolicy asked = AlgorithmPolicy::kFast) {
  const absl::StatusOr<Graph> graph = Graph::Parse(absl::StrCat(kMatmul, rest, "output z\n"));
  EXPECT_TRUE(graph.ok()) << graph.status();
  return graph.ok() ? RoundingPolicy(*graph, asked).For({0}) : AlgorithmPolicy::kFast;
}

TEST(RoundingPolicyTest, AResultDividedByItsOwnSizeIsExact) {
  // x / max(|x|, 1e-12), through a view and a transpose as attention has them.
  EXPECT_EQ(PolicyOf(absl::StrCat(kSquares,
                                  "r f32[4,1] ab = sqrt(n) {}\n"
                                  "c f32[4,1] ab = clip(r) {high=inf, low=1e-12}\n"
                                  "e f32[4,8] ab = expand(c) {shape=[4, 8]}\n"
                                  "z f32[4,8] ab = div(y, e) {}\n")),
            AlgorithmPolicy::kExact);
  EXPECT_EQ(PolicyOf("v f32[8,4] ab = transpose(y) {perm=[1, 0]}\n"
                     "n f32[1,4] ab = reduce_sum(v) {axes=[0], keepdims=1}\n"
                     "z f32[8,4] ab = div(v, n) {}\n"),
            AlgorithmPolicy::kExact);
  // x rsqrt(sum(x x)), x (1 / sum).
  EXPECT_EQ(PolicyOf(absl::StrCat(kSquares, "i f32[4,1] ab = rsqrt(n) {}\nz f32[4,8] ab = mul(y, i) {}\n")),
            AlgorithmPolicy::kExact);
  EXPECT_EQ(
      PolicyOf(absl::StrCat(kSquares, "i f32[4,1] ab = reciprocal(n) {}\nz f32[4,8] ab = mul(i, y) {}\n")),
      AlgorithmPolicy::kExact);
}

TEST(RoundingPolicyTest, DivisorsKeptFromZeroAreTame) {
  for (const auto& [epsilon, policy] :
       {std::pair("1e-5", AlgorithmPolicy::kFast), std::pair("1e-12", AlgorithmPolicy::kExact)}) {
    EXPECT_EQ(PolicyOf(absl::StrCat("constant epsilon f32[1] a = ", epsilon, "\n", kSquares,
                                    "m f32[4,1] ab = add(n, epsilon) {}\n"
                                    "r f32[4,1] ab = sqrt(m) {}\n"
                                    "z f32[4,8] ab = div(y, r) {}\n")),
              policy)
        << epsilon;
  }
  EXPECT_EQ(PolicyOf("constant one f32[1] a = 1\n"  // silu
                     "m f32[4,8] ab = neg(y) {}\n"
                     "e f32[4,8] ab = exp(m) {}\n"
                     "p f32[4,8] ab = add(e, one) {}\n"
                     "z f32[4,8] ab = div(y, p) {}\n"),
            AlgorithmPolicy::kFast);
}

TEST(RoundingPolicyTest, WhatIsDividedByOthersMayBeFast) {
  EXPECT_EQ(PolicyOf("constant six f32[1] a = 6\nz f32[4,8] ab = div(y, six) {}\n"), AlgorithmPolicy::kFast);
  EXPECT_EQ(PolicyOf("n f32[4,1] ab = reduce_sum(x) {axes=[1], keepdims=1}\nz f32[4,8] ab = div(y, n) {}\n"),
            AlgorithmPolicy::kFast);
  // Behind another matmul there are other values.
  EXPECT_EQ(PolicyOf("u f32[4,8] ab = matmul(y, w) {}\n"
                     "n f32[4,1] ab = reduce_sum(u) {axes=[1], keepdims=1}\n"
                     "z f32[4,8] ab = div(u, n) {}\n"),
            AlgorithmPolicy::kFast);
  EXPECT_EQ(PolicyOf("z f32[4,8] ab = relu(y) {}\n", AlgorithmPolicy::kExact), AlgorithmPolicy::kExact);
}

// A chain of quotients, each of all before it, would take time in proportion to its length's square.
TEST(RoundingPolicyTest, WhatTakesTooLongToKnowIsExact) {
  for (const auto& [length, policy] :
       {std::pair(10, AlgorithmPolicy::kFast), std::pair(4000, AlgorithmPolicy::kExact)}) {
    std::string last = "x", chain;
    for (int i = 0; i < length; ++i) {
      const std::string name = absl::StrCat("q", i);
      absl::StrAppend(&chain, name, " f32[4,8] ab = div(x, ", last, ") {}\n");
      last = name;
    }
    EXPECT_EQ(PolicyOf(absl::StrCat(chain, "z f32[4,8] ab = add(y, ", last, ") {}\n")), policy) << length;
  }
}

}  // namespace
}  // namespace hone
