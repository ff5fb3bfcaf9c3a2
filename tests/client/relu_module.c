/* A hand-written Hone module: y = max(x, 0) over f32 [2, 3]; HONE_TEST_WRONG adds 1. It stands in for a compiled one. */
#include "compiler/runtime/hone.h"

#include <string.h>

struct HoneSession {
  void (*observe)(void* observer, uint32_t step);
  void* observer;
};
static struct HoneSession session;

static const char* Describe(void) {
  return "{\"name\":\"relu\",\"threads\":1,\"data\":null,"
         "\"inputs\":[{\"name\":\"x\",\"dtype\":\"f32\",\"shape\":[2,3]}],"
         "\"outputs\":[{\"name\":\"y\",\"dtype\":\"f32\",\"shape\":[2,3]}],"
         "\"tasks\":[{\"task\":\"relu\",\"id\":\"4e1\",\"trace\":\"trace 1; algorithm direct; leaf map\"}],"
         "\"steps\":[0,-1]}";
}

static int Open(const HoneOptions* options, HoneSession** out) {
  if (options->threads == 13) {
    strncpy(options->error, "unlucky", options->error_size);
    return HONE_UNSUPPORTED;
  }
  session.observe = options->observe;
  session.observer = options->observer;
  *out = &session;
  return HONE_OK;
}

static int OutputBounds(HoneSession* s, const DLTensor* in, int32_t n_in, DLTensor* out, int32_t n_out) {
  (void)s;
  if (n_in != 1 || n_out != 1) return HONE_INVALID;
  memcpy(out[0].shape, in[0].shape, 2 * sizeof(int64_t));
  return HONE_OK;
}

static int Run(HoneSession* s, const DLTensor* in, int32_t n_in, DLTensor* out, int32_t n_out) {
  int code = OutputBounds(s, in, n_in, out, n_out);
  if (code != HONE_OK) return code;
  if (s->observe) s->observe(s->observer, 0);
  const float* x = in[0].data;
  float* y = out[0].data;
  for (int i = 0; i < 6; ++i) {
    y[i] = x[i] > 0 ? x[i] : 0;
#ifdef HONE_TEST_WRONG
    y[i] += 1;
#endif
  }
  for (uint32_t step = 1; s->observe && step <= 2; ++step) s->observe(s->observer, step);
  return HONE_OK;
}

static const char* Error(HoneSession* s) {
  (void)s;
  return "";
}
static void Close(HoneSession* s) { (void)s; }

const HoneModuleV1* hone_module(void);
const HoneModuleV1* hone_module(void) {
  static const HoneModuleV1 table = {HONE_MODULE_ABI, sizeof(table), Describe, Open, OutputBounds, Run, Error, Close};
  return &table;
}
