/* A HoneModuleV1, run as a user would: one session, compact tensors. */
#include <string.h>

#include "compiler/runtime/hone.h"
#include "worker/runner_subject.h"

static struct {
  const HoneModuleV1* table;
  HoneSession* session;
  DLTensor tensors[kRunnerMaxTensors]; /* inputs, then outputs */
  int64_t shapes[kRunnerMaxTensors][kRunnerMaxRank];
} module;

static DLTensor MakeTensor(const RunnerTensor* spec, void* data, int64_t* shape) {
  memcpy(shape, spec->dims, sizeof(spec->dims));
  DLTensor tensor = {.data = data, .device = {kDLCPU, 0}, .ndim = spec->rank, .shape = shape};
  tensor.dtype.code = spec->dl_code;
  tensor.dtype.bits = spec->dl_bits;
  tensor.dtype.lanes = 1;
  return tensor;
}

static int Select(RunnerContext* context, uint32_t input_set) {
  const RunnerSetup* setup = &context->setup;
  for (uint32_t i = 0; i < setup->inputs; ++i) {
    const char* data = context->inputs + setup->tensors[i].offset + input_set * setup->input_set_stride;
    module.tensors[i] = MakeTensor(&setup->tensors[i], (void*)data, module.shapes[i]);
  }
  for (uint32_t i = setup->inputs; i < setup->inputs + setup->outputs; ++i) {
    const RunnerTensor* spec = &setup->tensors[setup->constants + i];
    module.tensors[i] = MakeTensor(spec, context->outputs + spec->offset, module.shapes[i]);
  }
  return 0;
}

static int Load(RunnerContext* context, const void* table) {
  const HoneModuleV1* t = module.table = table;
  if (t->abi_version != HONE_MODULE_ABI || t->struct_size < sizeof(*t)) {
    return RunnerFail(context, "module of ABI version %u, size %u", t->abi_version, t->struct_size);
  }
  char error[kRunnerMessageBytes / 2] = "";
  HoneOptions options = {.struct_size = sizeof(options), .threads = context->setup.threads};
  options.error = error;
  options.error_size = sizeof(error);
  const int code = HoneOpen(t, &options, &module.session);
  if (code != HONE_OK) return RunnerFail(context, "open returned %d: %.80s", code, error);
  return Select(context, 0);
}

static int Poison(RunnerContext* context) {
  memset(context->outputs, 0xff, context->setup.outputs_file_bytes);
  return 0;
}

static int Run(RunnerContext* context) {
  const int32_t inputs = (int32_t)context->setup.inputs, outputs = (int32_t)context->setup.outputs;
  const int code =
      HoneRun(module.table, module.session, module.tensors, inputs, module.tensors + inputs, outputs);
  if (code == HONE_OK) return 0;
  return RunnerFail(context, "run returned %d: %.120s", code, module.table->error(module.session));
}

static int Publish(RunnerContext* context) {
  const RunnerSetup* setup = &context->setup;
  for (uint32_t i = setup->inputs; i < setup->inputs + setup->outputs; ++i) {
    const RunnerTensor* spec = &setup->tensors[setup->constants + i];
    for (int32_t d = 0; d < spec->rank; ++d) {
      if (module.shapes[i][d] != spec->dims[d]) {
        return RunnerFail(context, "output %u has extent %lld in dimension %d instead of %lld",
                          i - setup->inputs, (long long)module.shapes[i][d], d, (long long)spec->dims[d]);
      }
    }
  }
  return 0;
}

static void Warm(RunnerContext* context) {} /* the untimed call does */

static int Inspect(RunnerContext* context) { return 0; }

const RunnerSubject kRunnerModuleSubject = {"hone_module", Load, Select, Poison, Warm, Run, Publish, Inspect};
