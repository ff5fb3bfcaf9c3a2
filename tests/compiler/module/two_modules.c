/* Two modules linked into one program, with symbols of its own that are named as their internals are. */
#include <stdio.h>
#include <string.h>

#include "first.h"
#include "second.h"

int hone_module_data = 1, tiny_add = 2;

static int Works(const HoneModuleV1* module) {
  HoneSession* session;
  if (HoneOpen(module, NULL, &session) != HONE_OK) return 0;
  float x[6] = {0, 1, 2, 3, 4, 5}, y[6];
  int32_t state[8];
  int64_t x_shape[2] = {2, 3}, y_shape[1] = {6}, state_shape[1] = {8};
  DLTensor in = {x, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, x_shape, NULL, 0};
  DLTensor out[2] = {{y, {kDLCPU, 0}, 1, {kDLFloat, 32, 1}, y_shape, NULL, 0},
                     {state, {kDLCPU, 0}, 1, {kDLInt, 32, 1}, state_shape, NULL, 0}};
  const int code = HoneRun(module, session, &in, 1, out, 2);
  const float expected[6] = {2, 6, 10, 14, 18, 22};
  HoneClose(module, session);
  return code == HONE_OK && memcmp(y, expected, sizeof y) == 0;
}

int main(void) {
  if (first_hone_module() == second_hone_module()) return 1;
  if (!Works(first_hone_module()) || !Works(second_hone_module())) return 2;
  puts("ok");
  return hone_module_data + tiny_add - 3;
}
