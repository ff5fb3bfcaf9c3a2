/* What makes one module different from another: tables that compiler/module emits and module_runtime.c interprets.
 * Layout-compatible with compiler/module/data_object.cc (64-bit little-endian targets). */
#pragma once

#include <stdint.h>

#include "hone_parallel.h"

#define HONE_MODULE_DATA_VERSION 1

/* Entry point of a compiled task; 0 = ok. Buffers and scratch are 64-byte aligned. */
typedef int32_t (*HoneTaskFunction)(void* const* buffers, void* scratch, const HoneParallel* parallel);

typedef struct HoneTensorData {
  const char* name;
  const int64_t* shape;
  uint64_t bytes;
  int32_t rank;
  uint8_t code, bits;     /* DLDataType, one lane */
  uint16_t reserved;
} HoneTensorData;

enum { HONE_PLACE_INPUT = 0, HONE_PLACE_OUTPUT = 1, HONE_PLACE_CONSTANT = 2, HONE_PLACE_ARENA = 3 };
typedef struct HoneOperandData {
  uint64_t place;         /* HONE_PLACE_* */
  uint64_t offset;        /* bytes; input and output: position */
} HoneOperandData;

typedef struct HoneStepData {
  HoneTaskFunction task;  /* NULL: copy `bytes` bytes of the first operand to the second */
  uint64_t bytes;
  uint32_t first_operand, operand_count;
} HoneStepData;

typedef struct HoneModuleData {
  uint32_t version, threads;               /* threads: tuned for */
  uint64_t cpu_features;                   /* required: bits of cpu_features.h */
  const char* describe;
  const HoneTensorData* inputs;
  const HoneTensorData* outputs;
  const HoneStepData* steps;
  const HoneOperandData* operands;
  uint32_t input_count, output_count, step_count, operand_count;
  uint64_t arena_bytes, scratch_bytes;     /* the arena's last scratch_bytes are the scratch */
  const unsigned char* constants;          /* NULL: none, or in the sidecar file */
  uint64_t constant_bytes;
  uint64_t sidecar_digest;                 /* HoneContentDigest of the sidecar; only if constants is NULL */
} HoneModuleData;

extern __attribute__((visibility("hidden"))) const HoneModuleData hone_module_data;
