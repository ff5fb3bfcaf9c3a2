#include "worker/cpu_probes.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>

#include "compiler/runtime/thread_pool.h"
#include "worker/stopwatch.h"

namespace hone {
namespace {

#define HONE_PROBE __attribute__((noinline, no_sanitize("address", "thread", "undefined")))

// clang-format off
#define HONE_STEP(x) x = x * scale + step;
#define HONE_KEEP(x, constraint) asm volatile("" : "+" constraint(x));

// multiply_add: twelve chains, more than latency x throughput of any core's multiply-add, each in its own register.
// read: sums words, 16 vectors in flight. What no compiler may know passes through a register constraint.
#define HONE_CPU_PROBE(name, attribute, lanes, constraint)                                          \
  attribute HONE_PROBE double name##MultiplyAdd(int64_t iterations) {                               \
    typedef float Vector __attribute__((vector_size(4 * lanes)));                                   \
    Vector scale = {}, step = {}, a = {}, b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a,   \
           j = a, k = a, l = a;                                                                     \
    scale += 0.999f;                                                                                \
    step += 1e-3f;                                                                                  \
    HONE_KEEP(a, constraint) HONE_KEEP(b, constraint) HONE_KEEP(c, constraint)                      \
    HONE_KEEP(d, constraint) HONE_KEEP(e, constraint) HONE_KEEP(f, constraint)                      \
    HONE_KEEP(g, constraint) HONE_KEEP(h, constraint) HONE_KEEP(i, constraint)                      \
    HONE_KEEP(j, constraint) HONE_KEEP(k, constraint) HONE_KEEP(l, constraint)                      \
    for (int64_t n = 0; n < iterations; ++n) {                                                      \
      HONE_STEP(a) HONE_STEP(b) HONE_STEP(c) HONE_STEP(d) HONE_STEP(e) HONE_STEP(f)                 \
      HONE_STEP(g) HONE_STEP(h) HONE_STEP(i) HONE_STEP(j) HONE_STEP(k) HONE_STEP(l)                 \
    }                                                                                               \
    a += b + c + d + e + f + g + h + i + j + k + l;                                                 \
    HONE_KEEP(a, constraint)                                                                        \
    return static_cast<double>(iterations) * 2 * lanes * 12;                                        \
  }                                                                                                 \
  attribute HONE_PROBE void name##Read(const void* memory, int64_t bytes) {                         \
    typedef int Vector __attribute__((vector_size(4 * lanes)));                                     \
    const Vector* vectors = static_cast<const Vector*>(memory);                                     \
    Vector sums[8] = {};                                                                            \
    for (int64_t i = 0; i < bytes / static_cast<int64_t>(sizeof(Vector)); i += 16) {                \
      _Pragma("GCC unroll 16") for (int j = 0; j < 16; ++j) sums[j % 8] += vectors[i + j];          \
    }                                                                                               \
    for (Vector& sum : sums) asm volatile("" : : constraint(sum));                                  \
  }

// clang-format on
#if defined(__x86_64__)
HONE_CPU_PROBE(V2, __attribute__((target("sse4.2"))), 4, "x")
HONE_CPU_PROBE(V3, __attribute__((target("avx2,fma"))), 8, "x")
HONE_CPU_PROBE(V4, __attribute__((target("avx512f,avx512vl,prefer-vector-width=512"))), 16, "v")

bool RunsV2() { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"); }
bool RunsV3() {
  return RunsV2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
}
bool RunsV4() {
  return RunsV3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
constexpr CpuProbe kProbes[] = {{"x86-64-v2", RunsV2, V2MultiplyAdd, V2Read},
                                {"x86-64-v3", RunsV3, V3MultiplyAdd, V3Read},
                                {"x86-64-v4", RunsV4, V4MultiplyAdd, V4Read}};
#elif defined(__aarch64__)
HONE_CPU_PROBE(Neon, , 4, "w")
constexpr CpuProbe kProbes[] = {{"aarch64", [] { return true; }, NeonMultiplyAdd, NeonRead}};
#else
#error "worker/cpu_probes.cc has no probe for this architecture"
#endif

struct Free {
  void operator()(void* p) const { std::free(p); }
};

}  // namespace

std::span<const CpuProbe> CpuProbes() { return kProbes; }

const CpuProbe& BestCpuProbe() {
  const CpuProbe* best = &kProbes[0];
  for (const CpuProbe& probe : kProbes) {
    if (probe.runs_here()) best = &probe;
  }
  return *best;
}

double MeasureGflops(const CpuProbe& probe, double seconds) {
  constexpr int64_t kIterations = 5000;  // 20-60 us: short enough to fall between two disturbances
  double best = 0;
  for (const Stopwatch whole; whole.Seconds() < seconds || best == 0;) {
    const Stopwatch watch;
    const double flops = probe.multiply_add(kIterations);
    best = std::max(best, flops / watch.Seconds() * 1e-9);
  }
  return best;
}

ReadProbe::ReadProbe(uint64_t most_bytes) : memory_(nullptr, std::free) {
  most_bytes = (most_bytes + 1023) / 1024 * 1024;
  memory_.reset(std::aligned_alloc(1024, most_bytes));
  if (memory_) std::memset(memory_.get(), 1, most_bytes);
}

double ReadProbe::Gbps(uint64_t bytes, double seconds) const {
  if (!memory_) return 0;
  bytes = std::max<uint64_t>(bytes / 1024 * 1024, 1024);
  const CpuProbe& probe = BestCpuProbe();
  // Small sets are read often enough per timing that the clock does not count.
  const uint64_t passes = std::max<uint64_t>((uint64_t{1} << 20) / bytes, 1);
  double best = 0;
  for (const Stopwatch whole; whole.Seconds() < seconds || best == 0;) {
    const Stopwatch watch;
    for (uint64_t pass = 0; pass < passes; ++pass) probe.read(memory_.get(), static_cast<int64_t>(bytes));
    best = std::max(best, static_cast<double>(bytes * passes) / watch.Seconds() * 1e-9);
  }
  return best;
}

double ReadProbe::GbpsBetweenArithmetic(uint64_t bytes, double seconds) const {
  if (!memory_) return 0;
  constexpr uint64_t kPiece = uint64_t{1} << 20;
  bytes = std::max<uint64_t>(bytes / 1024 * 1024, 1024);
  const CpuProbe& probe = BestCpuProbe();
  double best = 0;
  int passes = 0;  // the first one finds what others have left in the caches
  for (const Stopwatch whole; whole.Seconds() < seconds || passes < 2; ++passes) {
    double reading = 0;
    for (uint64_t at = 0; at < bytes; at += kPiece) {
      const Stopwatch watch;
      probe.read(static_cast<const char*>(memory_.get()) + at,
                 static_cast<int64_t>(std::min(kPiece, bytes - at)));
      const double piece = watch.Seconds();
      reading += piece;
      while (watch.Seconds() < 3 * piece) probe.multiply_add(100);
    }
    best = std::max(best, static_cast<double>(bytes) / reading * 1e-9);
  }
  return best;
}

double MeasureForkJoinUs(int threads, double seconds) {
  if (threads <= 1) return 0;
  constexpr int kRegions = 100;
  constexpr double kWork = 2e-6;  // of each thread: without work of its own the caller would do all of it
  const size_t bytes = (HoneThreadPoolBytes(threads) + 63) / 64 * 64;
  std::unique_ptr<void, Free> memory(std::aligned_alloc(64, bytes));
  if (!memory) return 0;
  std::memset(memory.get(), 0, bytes);
  HoneThreadPool* pool = HoneThreadPoolInit(memory.get(), threads);
  HoneThreadPoolBegin(pool);
  double best = std::numeric_limits<double>::infinity();
  for (const Stopwatch whole; whole.Seconds() < seconds;) {
    const Stopwatch watch;
    for (int i = 0; i < kRegions; ++i) {
      const auto work = [](void*, int32_t) {
        for (const Stopwatch body; body.Seconds() < kWork;) {
        }
      };
      HoneThreadPoolParallelFor(pool, threads, work, nullptr);
    }
    best = std::min(best, watch.Seconds() / kRegions - kWork);
  }
  HoneThreadPoolEnd(pool);
  HoneThreadPoolDestroy(pool);
  return std::max(best, 0.0) * 1e6;
}

}  // namespace hone
