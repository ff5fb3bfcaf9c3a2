/* A HoneCandidateV1: packed by its own functions, run over guarded buffers. */
#include <string.h>

#include "compiler/runtime/hone_candidate.h"
#include "worker/runner_subject.h"

static struct {
  const HoneCandidateV1* table;
  GuardedBuffer input, constants, output, scratch;
  uint64_t constant_stride, constant_copies, next_copy;
  HoneParallel parallel;
} candidate;

static int Allocate(RunnerContext* context, GuardedBuffer* buffer, uint64_t bytes, const char* what) {
  if (GuardedAllocate(buffer, bytes) == 0) return 0;
  return RunnerFail(context, "out of memory: %llu bytes of %s", (unsigned long long)bytes, what);
}

static int PackConstants(RunnerContext* context) {
  const RunnerSetup* setup = &context->setup;
  const void* logical[kRunnerMaxTensors];
  for (uint32_t i = 0; i < setup->constants; ++i) {
    logical[i] = context->inputs + setup->tensors[setup->inputs + i].offset;
  }
  const uint64_t bytes = candidate.table->constant_bytes;
  candidate.constant_stride = (bytes + 63) / 64 * 64;
  candidate.constant_copies = 1;
  if (bytes > 0 && setup->rotation_bytes > candidate.constant_stride) {
    candidate.constant_copies =
        (setup->rotation_bytes + candidate.constant_stride - 1) / candidate.constant_stride;
  }
  const uint64_t before_last = candidate.constant_stride * (candidate.constant_copies - 1);
  if (Allocate(context, &candidate.constants, before_last + bytes, "packed constants") != 0) return -1;
  /* The last copy touches the guard page: that one is packed, the others are its images. */
  char* last = candidate.constants.data + before_last;
  if (candidate.table->pack_constants) candidate.table->pack_constants(logical, last);
  for (uint64_t i = 0; i + 1 < candidate.constant_copies; ++i) {
    memcpy(candidate.constants.data + i * candidate.constant_stride, last, bytes);
  }
  return GuardedProtect(&candidate.constants, 0);
}

static int Select(RunnerContext* context, uint32_t input_set) {
  const RunnerSetup* setup = &context->setup;
  const void* logical[kRunnerMaxTensors];
  for (uint32_t i = 0; i < setup->inputs; ++i) {
    logical[i] = context->inputs + setup->tensors[i].offset + input_set * setup->input_set_stride;
  }
  if (GuardedProtect(&candidate.input, 1) != 0) return RunnerFail(context, "mprotect failed");
  candidate.table->pack_inputs(logical, candidate.input.data);
  return GuardedProtect(&candidate.input, 0);
}

static int Load(RunnerContext* context, const void* table) {
  const HoneCandidateV1* t = candidate.table = table;
  if (t->abi_version != HONE_CANDIDATE_ABI || t->struct_size < sizeof(*t)) {
    return RunnerFail(context, "candidate of ABI version %u, size %u", t->abi_version, t->struct_size);
  }
  if (!t->pack_inputs || !t->run || !t->unpack_outputs ||
      (context->setup.constants > 0 && !t->pack_constants)) {
    return RunnerFail(context, "candidate with a NULL function");
  }
  candidate.parallel.threads = HoneThreadPoolThreads(context->pool);
  candidate.parallel.parallel_for = HoneThreadPoolParallelFor;
  candidate.parallel.pool = context->pool;
  if (Allocate(context, &candidate.input, t->input_bytes, "packed inputs") != 0) return -1;
  if (Allocate(context, &candidate.output, t->output_bytes, "packed outputs") != 0) return -1;
  if (Allocate(context, &candidate.scratch, t->scratch_bytes, "scratch") != 0) return -1;
  if (PackConstants(context) != 0) return -1;
  return Select(context, 0);
}

static int Poison(RunnerContext* context) {
  memset(candidate.output.data, 0xff, candidate.output.bytes);
  memset(candidate.scratch.data, 0xff, candidate.scratch.bytes);
  return 0;
}

/* The windows of the others have evicted the copies, as no other task of the model would. From the next one to be used
 * on, so that the nearest caches hold those that are used last. */
static void Warm(RunnerContext* context) {
  if (!context->setup.rotation_is_cached) return;
  const uint64_t line = 64, bytes = candidate.constants.bytes, begin = candidate.next_copy * candidate.constant_stride;
  const volatile char* data = candidate.constants.data;
  for (uint64_t i = begin; i < bytes; i += line) (void)data[i];
  for (uint64_t i = 0; i < begin; i += line) (void)data[i];
}

static int Run(RunnerContext* context) {
  const char* constants = candidate.constants.data + candidate.next_copy * candidate.constant_stride;
  if (++candidate.next_copy == candidate.constant_copies) candidate.next_copy = 0;
  const int code = candidate.table->run(candidate.input.data, constants, candidate.output.data,
                                        candidate.scratch.data, &candidate.parallel);
  return code == 0 ? 0 : RunnerFail(context, "run returned %d", code);
}

static int Publish(RunnerContext* context) {
  const RunnerSetup* setup = &context->setup;
  void* logical[kRunnerMaxTensors];
  for (uint32_t i = 0; i < setup->outputs; ++i) {
    logical[i] = context->outputs + setup->tensors[setup->inputs + setup->constants + i].offset;
  }
  candidate.table->unpack_outputs(candidate.output.data, logical);
  return 0;
}

static int Inspect(RunnerContext* context) {
  if (!GuardedIsIntact(&candidate.output)) return RunnerFail(context, "wrote outside its outputs");
  if (!GuardedIsIntact(&candidate.scratch)) return RunnerFail(context, "wrote outside its scratch");
  if (!GuardedIsIntact(&candidate.input)) return RunnerFail(context, "packed outside its inputs");
  if (!GuardedIsIntact(&candidate.constants)) return RunnerFail(context, "packed outside its constants");
  return 0;
}

const RunnerSubject kRunnerCandidateSubject = {"hone_candidate", Load, Select, Poison, Warm, Run, Publish, Inspect};
