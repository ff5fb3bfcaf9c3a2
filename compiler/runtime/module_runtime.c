/* The HoneModuleV1 table of every module, generic over hone_module_data. Freestanding; baseline code of the
 * architecture, so that it can refuse a CPU that the module's tasks would crash. */
#include "cpu_features.h"
#include "error_text.h"
#include "float_control.h"
#include "hone.h"
#include "huge_pages.h"
#include "memory_map.h"
#include "module_data.h"
#include "module_pool.h"
#include "sidecar.h"
#include "tensor_check.h"
#include "thread_placement.h"

#define HONE_EXPORT __attribute__((visibility("default")))

enum { kAlignment = 64, kErrorBytes = 512 };

struct HoneSession {
  uint32_t running;                 /* 0, or the HoneModuleGeneration() in which the run under way began */
  int32_t threads;
  HoneOptions options;
  const unsigned char* constants;
  HoneHugePages own_pages;          /* of constants in a sidecar file, which this session alone has mapped */
  unsigned char* arena;             /* buffers, then scratch */
  unsigned char* bounce;            /* aligned stand-ins for the caller's unaligned tensors, inputs then outputs */
  void* memory;                     /* everything of this session, itself included */
  uint64_t memory_bytes;
  void** operands;                  /* of all steps, constants and arena resolved */
  char error[kErrorBytes];
};

static const HoneModuleData* const module = &hone_module_data;
static HoneHugePages constant_pages;   /* of module->constants, for all sessions */

static int IsAligned(const void* pointer) { return ((uintptr_t)pointer & (kAlignment - 1)) == 0; }

/* ---- open ---- */

static uint64_t BounceBytes(const HoneTensorData* tensors, uint32_t count) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < count; ++i) bytes += HoneAlignUp(tensors[i].bytes, kAlignment);
  return bytes;
}

/* Takes the caller's options as far as its struct reaches; what this module does not know of must be zero. */
static int ReadOptions(const HoneOptions* given, HoneOptions* options, HoneText* why) {
  __builtin_memset(options, 0, sizeof *options);
  const HoneOptions defaults = {0};
  if (given == NULL) given = &defaults;
  const size_t bytes = given->struct_size == 0 ? sizeof *options : given->struct_size;
  __builtin_memcpy(options, given, bytes < sizeof *options ? bytes : sizeof *options);
  *why = HoneStartText(options->error, options->error_size);
  for (size_t i = sizeof *options; i < bytes; ++i) {
    if (((const unsigned char*)given)[i] != 0) {
      HoneAppend(why, "options that this module does not know (struct_size is larger than its own)");
      return HONE_INVALID;
    }
  }
  if ((options->allocate == NULL) != (options->release == NULL)) {
    HoneAppend(why, "allocate and release go together");
    return HONE_INVALID;
  }
  const int sidecar = module->constants == NULL && module->constant_bytes > 0;
  if (sidecar && options->data_path == NULL) {
    HoneAppend(why, "this module's constants are in a file beside it: data_path must name it");
    return HONE_DATA;
  }
  if (!sidecar && options->data_path != NULL) {
    HoneAppend(why, "this module needs no data_path");
    return HONE_INVALID;
  }
  return HONE_OK;
}

static int CheckCpu(HoneText* why) {
  const uint64_t missing = module->cpu_features & ~HoneCpuFeatures();
  if (missing == 0) return HONE_OK;
  HoneAppend(why, "this CPU or operating system lacks what the module was compiled for:");
  for (int bit = 0; bit < 64; ++bit) {
    if (((missing >> bit) & 1) == 0) continue;
    HoneAppend(why, " ");
    HoneAppend(why, HoneCpuFeatureName(bit));
  }
  return HONE_UNSUPPORTED;
}

static int32_t WantedThreads(const HoneOptions* options) {
  if (options->threads != 0) return options->threads > INT32_MAX ? INT32_MAX : (int32_t)options->threads;
  HoneCpuSet cpus;
  const int32_t cores = HoneGetCpus(0, &cpus);
  return cores > 0 ? cores : 1;
}

/* One block: session, operand table, arena, bounce area. The latter two lie in huge pages if they fill some: a first
 * inference then takes hundreds of page faults less. */
static HoneSession* AllocateSession(const HoneOptions* options) {
  const uint64_t header = HoneAlignUp(sizeof(HoneSession) + module->operand_count * sizeof(void*), kAlignment);
  const uint64_t arena = HoneAlignUp(module->arena_bytes, kAlignment);
  const uint64_t bounce = BounceBytes(module->inputs, module->input_count) +
                          BounceBytes(module->outputs, module->output_count);
  const int huge = options->allocate == NULL && arena >= 2 * kHoneHugePage;
  const uint64_t bytes = header + arena + bounce + (huge ? 2 * kHoneHugePage : 0);   /* whole ones, wherever the block lies */
  char* memory = options->allocate != NULL ? options->allocate(options->allocator, bytes, kAlignment)
                                           : HoneMapMemory(bytes);
  if (memory == NULL) return NULL;
  __builtin_memset(memory, 0, header);
  HoneSession* session = (HoneSession*)memory;
  session->options = *options;
  session->memory = memory;
  session->memory_bytes = bytes;
  session->operands = (void**)(session + 1);
  session->arena = (unsigned char*)HoneAlignUp((uintptr_t)memory + header, huge ? kHoneHugePage : kAlignment);
  session->bounce = session->arena + arena;
  if (huge) HoneAdviseHugePages(session->arena, HoneAlignUp(arena + bounce, kHoneHugePage));
  return session;
}

static void FreeSession(HoneSession* session) {
  if (session->constants != NULL && session->constants != module->constants) {
    HoneUnmapMemory(session->constants, module->constant_bytes);
  }
  if (session->options.release != NULL) {
    session->options.release(session->options.allocator, session->memory);
  } else {
    HoneUnmapMemory(session->memory, session->memory_bytes);
  }
}

static void BindFixedOperands(HoneSession* session) {
  for (uint32_t i = 0; i < module->operand_count; ++i) {
    const HoneOperandData* operand = &module->operands[i];
    if (operand->place == HONE_PLACE_CONSTANT) session->operands[i] = (void*)(session->constants + operand->offset);
    if (operand->place == HONE_PLACE_ARENA) session->operands[i] = session->arena + operand->offset;
  }
}

/* The pool's share of opening: fills in session->threads. */
static int EnterPool(HoneSession* session, HoneText* why) {
  const int own_pool = session->options.parallel_for == NULL;
  const int32_t wanted = WantedThreads(&session->options);
  const int32_t got = HoneModuleEnter(own_pool ? wanted : 1);
  if (got == 0) {
    HoneAppend(why, "no memory for the thread pool");
    return HONE_MEMORY;
  }
  session->threads = own_pool ? got : wanted;
  if (session->threads < wanted) {   /* a note, not a failure */
    HoneText note = HoneStartText(session->error, sizeof session->error);
    HoneAppend(&note, "note: runs with fewer threads than asked for (no pthread_create, a forked process, or a limit)");
    HoneAppend(why, session->error);
  }
  return HONE_OK;
}

static int Open(const HoneOptions* given, HoneSession** result) {
  HoneText why = HoneStartText(NULL, 0);
  HoneOptions options;
  if (result == NULL) return HONE_INVALID;
  *result = NULL;
  int code = ReadOptions(given, &options, &why);
  if (code == HONE_OK) code = CheckCpu(&why);
  if (code != HONE_OK) return code;
  HoneSession* session = AllocateSession(&options);
  if (session == NULL) {
    HoneAppend(&why, "no memory for buffers");
    return HONE_MEMORY;
  }
  session->constants = module->constants;
  if (options.data_path != NULL) code = HoneMapSidecar(module, options.data_path, &session->constants, &why);
  if (code == HONE_OK) code = EnterPool(session, &why);
  if (code != HONE_OK) {
    FreeSession(session);
    return code;
  }
  static uint32_t expected;   /* by the first session */
  if (module->constants != NULL && __atomic_exchange_n(&expected, 1, __ATOMIC_RELAXED) == 0) {
    HoneExpectReads(module->constants, module->constant_bytes);
  }
  BindFixedOperands(session);
  *result = session;
  return HONE_OK;
}

static void Close(HoneSession* session) {
  if (session == NULL) return;
  HoneModuleLeave();
  FreeSession(session);
}

/* ---- run ---- */

/* What tasks see as their pool: sets the floating-point control word on every thread that runs a body. */
typedef struct {
  HoneThreadPool* pool;             /* or */
  const HoneOptions* options;       /* the caller's parallel_for; both NULL: on this thread */
} Region;

typedef struct {
  void (*body)(void*, int32_t);
  void* context;
} Job;

static void RunBody(void* argument, int32_t i) {
  const Job* job = argument;
  const uint64_t control = HoneEnterFloatControl();
  job->body(job->context, i);
  HoneLeaveFloatControl(control);
}

static void ParallelFor(void* argument, int32_t n, void (*body)(void*, int32_t), void* context) {
  const Region* region = argument;
  Job job = {body, context};
  if (n > 1 && region->pool != NULL) {
    HoneThreadPoolParallelFor(region->pool, n, RunBody, &job);
  } else if (n > 1 && region->options != NULL) {
    region->options->parallel_for(region->options->pool, n, RunBody, &job);
  } else {
    for (int32_t i = 0; i < n; ++i) body(context, i);
  }
}

static int CheckCounts(int32_t n_in, const DLTensor* in, int32_t n_out, const DLTensor* out, HoneText* why) {
  const char* what = NULL;
  if (n_in != (int32_t)module->input_count) what = "wrong number of inputs: ";
  if (n_out != (int32_t)module->output_count) what = "wrong number of outputs: ";
  if (what == NULL && (in != NULL || n_in == 0) && (out != NULL || n_out == 0)) return HONE_OK;
  HoneAppend(why, what != NULL ? what : "tensors are NULL: ");
  HoneAppendNumber(why, n_in);
  HoneAppend(why, " in, ");
  HoneAppendNumber(why, n_out);
  HoneAppend(why, " out; the module has ");
  HoneAppendNumber(why, module->input_count);
  HoneAppend(why, " and ");
  HoneAppendNumber(why, module->output_count);
  return HONE_INVALID;
}

/* Outputs may not overlap each other or an input: no aliasing is declared. */
static int CheckOverlaps(const DLTensor* in, const DLTensor* out, HoneText* why) {
  for (uint32_t o = 0; o < module->output_count; ++o) {
    int overlap = 0;
    for (uint32_t i = 0; i < module->input_count; ++i) {
      overlap |= HoneTensorsOverlap(&out[o], module->outputs[o].bytes, &in[i], module->inputs[i].bytes);
    }
    for (uint32_t i = 0; i < o; ++i) {
      overlap |= HoneTensorsOverlap(&out[o], module->outputs[o].bytes, &out[i], module->outputs[i].bytes);
    }
    if (overlap) {
      HoneAppend(why, "output '");
      HoneAppend(why, module->outputs[o].name);
      HoneAppend(why, "' overlaps another tensor");
      return HONE_INVALID;
    }
  }
  return HONE_OK;
}

static int CheckTensors(const DLTensor* in, int32_t n_in, const DLTensor* out, int32_t n_out, HoneText* why) {
  int code = CheckCounts(n_in, in, n_out, out, why);
  for (int32_t i = 0; code == HONE_OK && i < n_in; ++i) code = HoneCheckInput(&module->inputs[i], &in[i], why);
  for (int32_t i = 0; code == HONE_OK && i < n_out; ++i) code = HoneCheckOutput(&module->outputs[i], &out[i], why);
  return code == HONE_OK ? CheckOverlaps(in, out, why) : code;
}

/* Points the steps at the caller's tensors, through the bounce area where they are not aligned. */
static void BindTensors(HoneSession* session, const DLTensor* in, DLTensor* out) {
  for (uint32_t i = 0; i < module->operand_count; ++i) {
    const HoneOperandData* operand = &module->operands[i];
    if (operand->place != HONE_PLACE_INPUT && operand->place != HONE_PLACE_OUTPUT) continue;
    const int is_input = operand->place == HONE_PLACE_INPUT;
    const uint32_t position = (uint32_t)operand->offset;
    char* bytes = HoneTensorBytes(is_input ? &in[position] : &out[position]);
    if (!IsAligned(bytes)) {
      bytes = (char*)session->bounce + BounceBytes(module->inputs, is_input ? position : module->input_count) +
              (is_input ? 0 : BounceBytes(module->outputs, position));
    }
    session->operands[i] = bytes;
  }
}

static void CopyUnalignedInputs(HoneSession* session, const DLTensor* in) {
  unsigned char* bounce = session->bounce;
  for (uint32_t i = 0; i < module->input_count; ++i) {
    const char* bytes = HoneTensorBytes(&in[i]);
    if (!IsAligned(bytes)) __builtin_memcpy(bounce, bytes, module->inputs[i].bytes);
    bounce += HoneAlignUp(module->inputs[i].bytes, kAlignment);
  }
}

static void FinishOutputs(HoneSession* session, DLTensor* out) {
  const unsigned char* bounce = session->bounce + BounceBytes(module->inputs, module->input_count);
  for (uint32_t i = 0; i < module->output_count; ++i) {
    char* bytes = HoneTensorBytes(&out[i]);
    if (!IsAligned(bytes)) __builtin_memcpy(bytes, bounce, module->outputs[i].bytes);
    bounce += HoneAlignUp(module->outputs[i].bytes, kAlignment);
    for (int32_t d = 0; d < module->outputs[i].rank; ++d) out[i].shape[d] = module->outputs[i].shape[d];
  }
}

static int RunSteps(HoneSession* session, const HoneParallel* parallel, HoneText* why) {
  void* scratch = session->arena + module->arena_bytes - module->scratch_bytes;
  const HoneOptions* options = &session->options;
  for (uint32_t i = 0; i < module->step_count; ++i) {
    if (options->observe != NULL) options->observe(options->observer, i);
    const HoneStepData* step = &module->steps[i];
    void* const* operands = session->operands + step->first_operand;
    if (step->task == NULL) {
      __builtin_memcpy(operands[1], operands[0], step->bytes);
      continue;
    }
    const int32_t code = step->task(operands, scratch, parallel);
    if (code == 0) continue;
    HoneAppend(why, "step ");
    HoneAppendNumber(why, i);
    HoneAppend(why, " failed with code ");
    HoneAppendNumber(why, code);
    return HONE_INTERNAL;
  }
  if (options->observe != NULL) options->observe(options->observer, module->step_count);
  return HONE_OK;
}

static int RunOnPool(HoneSession* session, HoneText* why) {
  Region region = {NULL, session->options.parallel_for != NULL ? &session->options : NULL};
  if (region.options == NULL && session->threads > 1) region.pool = HoneModuleTakePool(session->threads);
  const int many = region.pool != NULL || region.options != NULL;
  const HoneParallel parallel = {many ? session->threads : 1, ParallelFor, &region};
  const uint64_t control = HoneEnterFloatControl();
  const int code = RunSteps(session, &parallel, why);
  HoneLeaveFloatControl(control);
  if (region.pool != NULL) HoneModuleGivePool(region.pool);
  return code;
}

/* Marks the session as taken. A mark from before a fork counts as none. */
static int TakeSession(HoneSession* session) {
  const uint32_t generation = HoneModuleGeneration();
  uint32_t mark = __atomic_load_n(&session->running, __ATOMIC_RELAXED);
  return mark != generation && __atomic_compare_exchange_n(&session->running, &mark, generation, 0, __ATOMIC_ACQUIRE,
                                                           __ATOMIC_RELAXED);
}

static void GiveSession(HoneSession* session) { __atomic_store_n(&session->running, 0, __ATOMIC_RELEASE); }

static int Run(HoneSession* session, const DLTensor* in, int32_t n_in, DLTensor* out, int32_t n_out) {
  if (session == NULL) return HONE_INVALID;
  if (!TakeSession(session)) return HONE_BUSY;   /* the error text belongs to the run under way */
  HoneText why = HoneStartText(session->error, sizeof session->error);
  int code = CheckTensors(in, n_in, out, n_out, &why);
  if (code == HONE_OK) {
    CopyUnalignedInputs(session, in);
    BindTensors(session, in, out);
    code = RunOnPool(session, &why);
  }
  if (code == HONE_OK) FinishOutputs(session, out);
  const HoneOptions* options = &session->options;
  if (options->share_constants == 0 && options->allocate == NULL && session->constants != NULL) {
    const int embedded = session->constants == module->constants;
    HoneMoveToHugePages(embedded ? &constant_pages : &session->own_pages, session->constants, module->constant_bytes);
  }
  GiveSession(session);
  return code;
}

/* Writes type, device and shape of each output; its data may be NULL. */
static int OutputBounds(HoneSession* session, const DLTensor* in, int32_t n_in, DLTensor* out, int32_t n_out) {
  if (session == NULL) return HONE_INVALID;
  if (!TakeSession(session)) return HONE_BUSY;
  HoneText why = HoneStartText(session->error, sizeof session->error);
  int code = CheckCounts(n_in, in, n_out, out, &why);
  for (int32_t i = 0; code == HONE_OK && i < n_in; ++i) {
    DLTensor tensor = in[i];
    if (tensor.data == NULL) tensor.data = session;   /* bounds depend on shapes alone */
    code = HoneCheckInput(&module->inputs[i], &tensor, &why);
  }
  for (int32_t i = 0; code == HONE_OK && i < n_out; ++i) {
    const HoneTensorData* bound = &module->outputs[i];
    if (out[i].ndim != bound->rank || (out[i].shape == NULL && bound->rank > 0)) {
      HoneAppend(&why, "output '");
      HoneAppend(&why, bound->name);
      HoneAppend(&why, "': its shape array must have the rank that describe() states");
      code = HONE_SHAPE;
      break;
    }
    out[i].device = (DLDevice){kDLCPU, 0};
    out[i].dtype = (DLDataType){bound->code, bound->bits, 1};
    for (int32_t d = 0; d < bound->rank; ++d) out[i].shape[d] = bound->shape[d];
  }
  GiveSession(session);
  return code;
}

static const char* Error(HoneSession* session) { return session == NULL ? "no session" : session->error; }

static const char* Describe(void) { return module->describe; }

static const HoneModuleV1 table = {
    .abi_version = HONE_MODULE_ABI,
    .struct_size = sizeof(HoneModuleV1),
    .describe = Describe,
    .open = Open,
    .output_bounds = OutputBounds,
    .run = Run,
    .error = Error,
    .close = Close,
};

HONE_EXPORT const HoneModuleV1* hone_module(void) { return &table; }
/* compiler/module renames it after the model. */
HONE_EXPORT const HoneModuleV1* hone_named_module(void);
const HoneModuleV1* hone_named_module(void) { return &table; }
