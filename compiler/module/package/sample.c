/* Runs the module @TITLE@ on raw tensors (dense, row-major, little-endian) and prints times and first outputs.
 *   make && ./sample                          random inputs
 *   ./sample --threads 2 --runs 50 a.bin b.bin   inputs from files, in the module's order
 *   ./sample --output out a.bin               also writes out.0, out.1, ... */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "@NAME@.h"

typedef struct {
  const char* name;
  const char* type_name;
  DLDataType type;
  int32_t rank;
  int64_t shape[@MAX_RANK@];
} TensorInfo;

static const TensorInfo inputs[] = {
@INPUTS@};
static const TensorInfo outputs[] = {
@OUTPUTS@};
enum { kInputs = sizeof inputs / sizeof inputs[0] - 1, kOutputs = sizeof outputs / sizeof outputs[0] - 1 };

typedef struct {
  int threads, runs;
  const char* output;
  const char* data_path;
  const char* files[kInputs + 1];
} Arguments;

static void Fail(const char* what, const char* detail) {
  fprintf(stderr, "sample: %s%s%s\n", what, *detail ? ": " : "", detail);
  exit(1);
}

static Arguments ReadArguments(int argc, char** argv) {
  Arguments arguments = {0, 20, NULL, @DATA_PATH@, {NULL}};
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    const int has_value = i + 1 < argc;
    if (strcmp(argv[i], "--threads") == 0 && has_value) {
      arguments.threads = atoi(argv[++i]);
    } else if (strcmp(argv[i], "--runs") == 0 && has_value) {
      arguments.runs = atoi(argv[++i]);
    } else if (strcmp(argv[i], "--output") == 0 && has_value) {
      arguments.output = argv[++i];
    } else if (strcmp(argv[i], "--data") == 0 && has_value) {
      arguments.data_path = argv[++i];
    } else if (argv[i][0] != '-' && files < kInputs) {
      arguments.files[files++] = argv[i];
    } else {
      Fail("usage: sample [--threads N] [--runs N] [--output PREFIX] [--data FILE] [input files]", "");
    }
  }
  if (files != 0 && files != kInputs) Fail("give a file for each input, or none", "");
  if (arguments.runs < 1) arguments.runs = 1;
  return arguments;
}

static size_t Elements(const TensorInfo* info) {
  size_t n = 1;
  for (int32_t d = 0; d < info->rank; ++d) n *= (size_t)info->shape[d];
  return n;
}

static size_t Bytes(const TensorInfo* info) { return Elements(info) * (info->type.bits / 8u); }

static void ReadFile(const char* path, void* data, size_t bytes) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) Fail("cannot open", path);
  if (fread(data, 1, bytes, file) != bytes || fgetc(file) != EOF) Fail("wrong size", path);
  fclose(file);
}

/* Floats uniform in [-1, 1); integers and bools 1, half floats 0. */
static void FillInput(const TensorInfo* info, void* data) {
  static uint64_t state = 1;
  const size_t n = Elements(info), bytes = info->type.bits / 8u;
  for (size_t i = 0; i < n; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const double uniform = (double)(state >> 40) / 8388608.0 - 1.0;
    if (info->type.code == kDLFloat && bytes == 4) {
      ((float*)data)[i] = (float)uniform;
    } else if (info->type.code == kDLFloat && bytes == 8) {
      ((double*)data)[i] = uniform;
    } else if (info->type.code != kDLFloat && info->type.code != kDLBfloat) {
      ((char*)data)[i * bytes] = 1;
    }
  }
}

/* The tensor's shape array is a copy: run() writes it. */
static DLTensor MakeTensor(const TensorInfo* info, int64_t* shape) {
  void* data = NULL;
  const size_t bytes = Bytes(info);
  if (posix_memalign(&data, 64, bytes > 0 ? bytes : 64) != 0) Fail("out of memory", "");
  memset(data, 0, bytes);
  memcpy(shape, info->shape, (size_t)info->rank * sizeof *shape);
  DLTensor tensor = {data, {kDLCPU, 0}, info->rank, info->type, shape, NULL, 0};
  return tensor;
}

static void PrintOutput(const TensorInfo* info, const void* data) {
  const size_t n = Elements(info), shown = n < 8 ? n : 8;
  printf("%s %s[", info->name, info->type_name);
  for (int32_t d = 0; d < info->rank; ++d) printf("%s%lld", d > 0 ? "," : "", (long long)info->shape[d]);
  printf("] =");
  for (size_t i = 0; i < shown; ++i) {
    const int is_float = info->type.code == kDLFloat, bits = info->type.bits;
    if (is_float && bits == 32) printf(" %g", ((const float*)data)[i]);
    else if (is_float && bits == 64) printf(" %g", ((const double*)data)[i]);
    else if (bits == 64) printf(" %lld", (long long)((const int64_t*)data)[i]);
    else if (bits == 32) printf(" %d", ((const int32_t*)data)[i]);
    else if (bits == 16) printf(" 0x%04x", ((const uint16_t*)data)[i]);
    else printf(" %d", ((const uint8_t*)data)[i]);
  }
  printf("%s\n", n > shown ? " ..." : "");
}

static void WriteOutput(const char* prefix, int index, const void* data, size_t bytes) {
  char path[4096];
  snprintf(path, sizeof path, "%s.%d", prefix, index);
  FILE* file = fopen(path, "wb");
  if (file == NULL || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0) Fail("cannot write", path);
}

static double Now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int Ascending(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

int main(int argc, char** argv) {
  const Arguments arguments = ReadArguments(argc, argv);
  const HoneModuleV1* module = @NAME@_hone_module();
  char error[512] = "";
  HoneOptions options = {0};
  options.struct_size = sizeof options;
  options.threads = (uint32_t)arguments.threads;
  options.error = error;
  options.error_size = sizeof error;
  options.data_path = arguments.data_path;
  HoneSession* session = NULL;
  const double start = Now();
  if (HoneOpen(module, &options, &session) != HONE_OK) Fail("cannot open the module", error);
  const double opened = Now();

  DLTensor in[kInputs + 1], out[kOutputs + 1];
  int64_t in_shapes[kInputs + 1][@MAX_RANK@], out_shapes[kOutputs + 1][@MAX_RANK@];
  for (int i = 0; i < kInputs; ++i) {
    in[i] = MakeTensor(&inputs[i], in_shapes[i]);
    if (arguments.files[i] != NULL) ReadFile(arguments.files[i], in[i].data, Bytes(&inputs[i]));
    else FillInput(&inputs[i], in[i].data);
  }
  for (int i = 0; i < kOutputs; ++i) out[i] = MakeTensor(&outputs[i], out_shapes[i]);

  double* times = malloc((size_t)arguments.runs * sizeof *times);
  if (times == NULL) Fail("out of memory", "");
  double first = 0;
  for (int i = -1; i < arguments.runs; ++i) {   /* run -1 warms up */
    const double before = Now();
    if (HoneRun(module, session, in, kInputs, out, kOutputs) != HONE_OK) Fail("run", HoneError(module, session));
    if (i < 0) first = Now() - before;
    else times[i] = Now() - before;
  }
  qsort(times, (size_t)arguments.runs, sizeof *times, Ascending);
  for (int i = 0; i < kOutputs; ++i) {
    PrintOutput(&outputs[i], out[i].data);
    if (arguments.output != NULL) WriteOutput(arguments.output, i, out[i].data, Bytes(&outputs[i]));
  }
  printf("open %.3f ms, first run %.3f ms; %d runs: min %.3f, median %.3f, p95 %.3f ms\n", opened - start, first,
         arguments.runs, times[0], times[arguments.runs / 2], times[(arguments.runs * 95) / 100]);
  HoneClose(module, session);
  free(times);
  for (int i = 0; i < kInputs; ++i) free(in[i].data);
  for (int i = 0; i < kOutputs; ++i) free(out[i].data);
  return 0;
}
