/* The one table that a candidate shared object exports. Freestanding C. */
#pragma once

#include <stdint.h>

#include "hone_parallel.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HONE_CANDIDATE_ABI 1

/* Packed areas are 64-byte aligned. "logical" tensors are dense row-major, in TaskKey order. run returns 0 when ok. */
typedef struct HoneCandidateV1 {
  uint32_t abi_version, struct_size;
  uint64_t input_bytes, constant_bytes, output_bytes, scratch_bytes;
  void (*pack_inputs)(const void* const* logical, void* packed);
  void (*pack_constants)(const void* const* logical, void* packed);
  int (*run)(const void* in, const void* constants, void* out, void* scratch, const HoneParallel* parallel);
  void (*unpack_outputs)(const void* packed, void* const* logical);
} HoneCandidateV1;

const HoneCandidateV1* hone_candidate(void);

#ifdef __cplusplus
}
#endif
