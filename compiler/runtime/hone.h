/* C interface of a Hone module: one table per module, reached through <model>_hone_module(). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dlpack.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HONE_MODULE_ABI 1

enum {
  HONE_OK = 0,
  HONE_INVALID = 1,     /* wrong argument: NULL, unknown option, wrong number of tensors */
  HONE_DTYPE = 2,       /* wrong element type or device of a tensor */
  HONE_SHAPE = 3,       /* wrong rank or shape, or an output buffer that is too small */
  HONE_LAYOUT = 4,      /* strides that are not compact */
  HONE_BUSY = 5,        /* another run of this session is under way */
  HONE_UNSUPPORTED = 6, /* this CPU lacks a feature the module was compiled for */
  HONE_MEMORY = 7,      /* out of memory */
  HONE_DATA = 8,        /* the sidecar file is missing or does not match */
  HONE_INTERNAL = 9
};

typedef struct HoneSession HoneSession;

typedef struct HoneOptions {    /* zero = default */
  uint32_t struct_size, threads; /* threads 0 = all cores of the affinity mask */
  char* error;
  size_t error_size;            /* why open failed */
  void* (*allocate)(void* allocator, size_t bytes, size_t alignment);
  void (*release)(void* allocator, void* memory);
  void* allocator;
  void (*parallel_for)(void* pool, int n, void (*body)(void*, int), void* context);
  void* pool;                   /* replaces the module's own pool */
  const char* data_path;        /* sidecar with the constants; required if and only if describe() says so */
} HoneOptions;

typedef struct HoneModuleV1 {
  uint32_t abi_version, struct_size;
  const char* (*describe)(void);
  int (*open)(const HoneOptions*, HoneSession**);
  int (*output_bounds)(HoneSession*, const DLTensor* in, int32_t n_in, DLTensor* out, int32_t n_out);
  int (*run)(HoneSession*, const DLTensor* in, int32_t n_in, DLTensor* out, int32_t n_out);
  const char* (*error)(HoneSession*);
  void (*close)(HoneSession*);
} HoneModuleV1;

/* Thin wrappers, so that callers need not spell the table. */
static inline int HoneOpen(const HoneModuleV1* module, const HoneOptions* options, HoneSession** session) {
  return module->open(options, session);
}
static inline int HoneRun(const HoneModuleV1* module, HoneSession* session, const DLTensor* in, int32_t n_in,
                          DLTensor* out, int32_t n_out) {
  return module->run(session, in, n_in, out, n_out);
}
static inline void HoneClose(const HoneModuleV1* module, HoneSession* session) { module->close(session); }

#ifdef __cplusplus
}
#endif
