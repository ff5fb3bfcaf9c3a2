// How fast the interpreter reads: the oracle has one second for some ten thousand elements, so tens of millions of loads
// per second are wanted. Prints rates; asserts only ratios taken within one run.
#include <gtest/gtest.h>

#include <cstdio>
#include <ctime>
#include <functional>

#include "compiler/tensor_program/interpreter.h"

namespace hone {
namespace {

struct Workload {
  const char* name;
  const char* text;
  std::vector<std::vector<int64_t>> operands;
  int64_t output_elements, loads_per_element;
};

const std::vector<Workload>& Workloads() {
  static const std::vector<Workload> workloads = {
      {"matmul",
       "input a f32[96,256]\ninput b f32[256,128]\noutput c f32[96,128]\n"
       "stage mm (m:96, n:128) sum (k:256) c = mul(a[m, k], b[k, n])\n",
       {{96, 256}, {256, 128}}, 96 * 128, 2 * 256},
      {"padded convolution",
       "input x f32[1,32,28,28]\ninput w f32[32,32,3,3]\ntemporary p f32[1,32,30,30]\noutput y f32[1,32,28,28]\n"
       "stage pad (n:1, c:32, h:30, w:30) p = select(and(and(less(i64 0, index(h)), less(index(h), i64 29)), "
       "and(less(i64 0, index(w)), less(index(w), i64 29))), x[n, c, h - 1, w - 1], f32 0)\n"
       "stage conv (n:1, o:32, h:28, w:28) sum (c:32, i:3, j:3) y = mul(p[n, c, h + i, w + j], w[o, c, i, j])\n",
       {{1, 32, 28, 28}, {32, 32, 3, 3}}, 32 * 28 * 28, 2 * 288},
      {"blocked copy (divisions)",
       "input x f32[256,4096]\noutput y f32[64,4,64,64]\n"
       "stage copy (a:64, b:4, c:64, d:64) y = x[floordiv(256*a + 64*b + c, 64), 64*mod(c + d, 64) + d]\n",
       {{256, 4096}}, 64 * 4 * 64 * 64, 1},
  };
  return workloads;
}

// Of the processor, so that neighbours do not count.
double Seconds(const std::function<void()>& run) {
  const std::clock_t begin = std::clock();
  run();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

TEST(InterpreterBenchmark, LoadsPerSecond) {
  for (const Workload& workload : Workloads()) {
    const auto program = TensorProgram::Parse(workload.text);
    ASSERT_TRUE(program.ok()) << workload.name << ": " << program.status();
    std::vector<HostTensor> operands;
    for (const std::vector<int64_t>& dims : workload.operands) operands.push_back(HostTensor::Zeros(DType::kF32, dims));
    const double whole = Seconds([&] { EXPECT_TRUE(Interpret(*program, operands).ok()); });
    std::vector<int64_t> elements;
    for (int64_t i = 0; i < 8192; ++i) elements.push_back(i * 7919 % workload.output_elements);
    const double single =
        Seconds([&] { EXPECT_TRUE(InterpretElements(*program, operands, 0, elements, int64_t{1} << 40).ok()); });
    const double loads = static_cast<double>(workload.loads_per_element);
    const double whole_rate = loads * static_cast<double>(workload.output_elements) / whole;
    const double single_rate = loads * static_cast<double>(elements.size()) / single;
    printf("%-26s whole %6.1f Mload/s, elements %6.1f Mload/s\n", workload.name, whole_rate / 1e6, single_rate / 1e6);
    // On-demand evaluation of a good part of the elements must not lose what skipping the rest gains.
    EXPECT_GT(single_rate * 20, whole_rate) << workload.name;
  }
}

}  // namespace
}  // namespace hone
