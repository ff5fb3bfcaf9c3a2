/* Values of test tensors from (seed, tensor, element): the same on every machine, any element on its own.
 * Counter-based: Philox-like mixing is not needed, two rounds of the SplitMix64 finaliser (Steele et al., OOPSLA 2014)
 * over a unique counter pass what a tuner needs. Tensors of a task are numbered inputs first, then constants; elements
 * row-major. proto/values/tensor_values.h writes whole tensors of any dtype. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline uint64_t HoneMix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/* Uniform in [0, 1) with 24 random bits: exactly representable as f32. */
static inline double HoneUniform(uint64_t seed, uint64_t tensor, uint64_t element) {
  uint64_t x = HoneMix64(HoneMix64(seed ^ (tensor * 0xd1342543de82ef95ull)) ^ element);
  return (double)(x >> 40) * (1.0 / 16777216.0);
}

/* Element of a float tensor: uniform in [low, high). Rounded to f32 by the caller where the dtype is f32. */
static inline double HoneGenerateReal(uint64_t seed, uint64_t tensor, uint64_t element, double low, double high) {
  return low + (high - low) * HoneUniform(seed, tensor, element);
}

/* Element of an integer or bool tensor: uniform in [low, high), rounding down. */
static inline int64_t HoneGenerateInteger(uint64_t seed, uint64_t tensor, uint64_t element, double low, double high) {
  double value = low + (high - low) * HoneUniform(seed, tensor, element);
  int64_t truncated = (int64_t)value;
  return truncated > value ? truncated - 1 : truncated;
}

#ifdef __cplusplus
}
#endif
