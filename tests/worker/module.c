/* A module as the runner sees it: y = 2 x + PLUS over [1, 64] floats. */
#include <stdlib.h>

#include "compiler/runtime/hone.h"

#ifndef PLUS
#define PLUS 0
#endif

static const char* Describe(void) { return "{}"; }
static int Open(const HoneOptions* options, HoneSession** session) {
  *session = (HoneSession*)malloc(1);
  return HONE_OK;
}
static int Run(HoneSession* session, const DLTensor* in, int32_t n_in, DLTensor* out, int32_t n_out) {
  if (n_in != 1 || n_out != 1 || in[0].ndim != 2 || in[0].dtype.code != kDLFloat) return HONE_SHAPE;
  out[0].shape[0] = in[0].shape[0];
  out[0].shape[1] = in[0].shape[1];
  const float* x = in[0].data;
  float* y = out[0].data;
  for (int64_t i = 0; i < in[0].shape[1]; ++i) y[i] = 2 * x[i] + PLUS;
  return HONE_OK;
}
static const char* Error(HoneSession* session) { return "no"; }
static void Close(HoneSession* session) { free(session); }

const HoneModuleV1* hone_module(void) {
  static const HoneModuleV1 table = {HONE_MODULE_ABI, sizeof(table), Describe, Open, 0, Run, Error, Close};
  return &table;
}
