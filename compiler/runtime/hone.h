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
  uint32_t struct_size;         /* sizeof(HoneOptions); 0 means this version's */
  uint32_t threads;             /* 0 = all cores of the affinity mask */
  char* error;                  /* why open failed; a note if there are fewer threads than asked for */
  size_t error_size;
  void* (*allocate)(void* allocator, size_t bytes, size_t alignment);   /* with release; default: mmap */
  void (*release)(void* allocator, void* memory);
  void* allocator;
  void (*parallel_for)(void* pool, int n, void (*body)(void*, int), void* context);
  void* pool;                   /* replaces the module's own pool */
  const char* data_path;        /* sidecar with the constants; required if and only if describe() says so ("data") */
  /* Called by the running thread before each step of a run, and after the last with the number of steps: the clock of
   * a profiler. describe() says what the steps are ("steps": positions in "tasks", -1 is a copy). */
  void (*observe)(void* observer, uint32_t step);
  void* observer;
  /* 1: constants stay in the file's pages, which processes share. Else they move to huge pages of this
   * process, a part after each run but the first, which makes runs of models with many constants some percent
   * faster; not with an allocator of the caller's. */
  uint32_t share_constants;
} HoneOptions;

/* Functions return HONE_OK or one of the codes above. Sessions are independent; they share one pool of threads, and a
 * run that finds it busy proceeds on its caller alone. One session runs one inference at a time.
 *
 * Tensors are on the CPU, of any alignment (64 bytes saves a copy), compact: strides NULL or row-major. Outputs overlap
 * nothing. Denormal numbers are taken as zero; the caller's floating-point mode is restored.
 *
 * After fork() a child may go on with its parent's sessions, single-threaded. */
typedef struct HoneModuleV1 {
  uint32_t abi_version, struct_size;
  /* JSON: the model's digest, inputs and outputs, target, how each part was scheduled. Lives as long as the module. */
  const char* (*describe)(void);
  /* Options may be NULL. HONE_UNSUPPORTED on a CPU that lacks a needed feature: nothing has been run then. */
  int (*open)(const HoneOptions*, HoneSession**);
  /* Writes type, device and shape (an upper bound where it depends on values) of each output for inputs of these
   * shapes. All data may be NULL; shape arrays have the rank that describe() states. */
  int (*output_bounds)(HoneSession*, const DLTensor* in, int32_t n_in, DLTensor* out, int32_t n_out);
  /* The caller allocates the outputs; their shapes state the room there is (HONE_SHAPE if too small) and
   * become those of the results. HONE_BUSY while another run of this session is under way. Allocates nothing,
   * but for the pages that constants move to. */
  int (*run)(HoneSession*, const DLTensor* in, int32_t n_in, DLTensor* out, int32_t n_out);
  /* What went wrong in the session's last call but for HONE_BUSY; "" if nothing. Not during a run. */
  const char* (*error)(HoneSession*);
  /* Ends the session (NULL is fine), not during a run; the last one of a module ends its threads. */
  void (*close)(HoneSession*);
} HoneModuleV1;

/* Thin wrappers, so that callers need not spell the table. */
static inline const char* HoneDescribe(const HoneModuleV1* module) { return module->describe(); }
static inline int HoneOpen(const HoneModuleV1* module, const HoneOptions* options, HoneSession** session) {
  return module->open(options, session);
}
static inline int HoneOutputBounds(const HoneModuleV1* module, HoneSession* session, const DLTensor* in, int32_t n_in,
                                   DLTensor* out, int32_t n_out) {
  return module->output_bounds(session, in, n_in, out, n_out);
}
static inline int HoneRun(const HoneModuleV1* module, HoneSession* session, const DLTensor* in, int32_t n_in,
                          DLTensor* out, int32_t n_out) {
  return module->run(session, in, n_in, out, n_out);
}
static inline const char* HoneError(const HoneModuleV1* module, HoneSession* session) {
  return module->error(session);
}
static inline void HoneClose(const HoneModuleV1* module, HoneSession* session) { module->close(session); }

#ifdef __cplusplus
}
#endif
