#include "tensor_check.h"

static int Fault(const char* role, const HoneTensorData* wanted, HoneText* why, int code, const char* what) {
  HoneAppend(why, role);
  HoneAppend(why, " '");
  HoneAppend(why, wanted->name);
  HoneAppend(why, "': ");
  HoneAppend(why, what);
  return code;
}

static void AppendShape(HoneText* text, const int64_t* shape, int32_t rank) {
  HoneAppend(text, "[");
  for (int32_t d = 0; d < rank; ++d) {
    if (d > 0) HoneAppend(text, ",");
    HoneAppendNumber(text, shape[d]);
  }
  HoneAppend(text, "]");
}

static int ShapeFault(const char* role, const HoneTensorData* wanted, const DLTensor* tensor, HoneText* why,
                      const char* what) {
  Fault(role, wanted, why, HONE_SHAPE, what);
  AppendShape(why, tensor->shape, tensor->ndim);
  HoneAppend(why, ", the module has ");
  AppendShape(why, wanted->shape, wanted->rank);
  return HONE_SHAPE;
}

/* What inputs and outputs share: device, element type, rank. */
static int CheckKind(const char* role, const HoneTensorData* wanted, const DLTensor* tensor, HoneText* why) {
  if (tensor->device.device_type != kDLCPU) return Fault(role, wanted, why, HONE_DTYPE, "not on the CPU");
  const DLDataType type = tensor->dtype;
  if (type.code != wanted->code || type.bits != wanted->bits || type.lanes != 1) {
    Fault(role, wanted, why, HONE_DTYPE, "DLPack type code ");
    HoneAppendNumber(why, type.code);
    HoneAppend(why, " of ");
    HoneAppendNumber(why, type.bits);
    HoneAppend(why, " bits x ");
    HoneAppendNumber(why, type.lanes);
    HoneAppend(why, ", the module has code ");
    HoneAppendNumber(why, wanted->code);
    HoneAppend(why, " of ");
    HoneAppendNumber(why, wanted->bits);
    HoneAppend(why, " bits x 1");
    return HONE_DTYPE;
  }
  if (tensor->ndim != wanted->rank) {
    Fault(role, wanted, why, HONE_SHAPE, "rank ");
    HoneAppendNumber(why, tensor->ndim);
    HoneAppend(why, ", the module has ");
    HoneAppendNumber(why, wanted->rank);
    return HONE_SHAPE;
  }
  if (tensor->shape == NULL && wanted->rank > 0) return Fault(role, wanted, why, HONE_SHAPE, "shape is NULL");
  return HONE_OK;
}

/* Strides of the module's shape, row-major; those of dimensions of size 1 mean nothing. */
static int IsCompact(const HoneTensorData* wanted, const int64_t* strides) {
  int64_t expected = 1;
  if (strides == NULL || wanted->bytes == 0) return 1;
  for (int32_t d = wanted->rank - 1; d >= 0; --d) {
    if (wanted->shape[d] == 1) continue;
    if (strides[d] != expected) return 0;
    expected *= wanted->shape[d];
  }
  return 1;
}

static int CheckMemory(const char* role, const HoneTensorData* wanted, const DLTensor* tensor, HoneText* why) {
  if (!IsCompact(wanted, tensor->strides)) return Fault(role, wanted, why, HONE_LAYOUT, "strides are not compact");
  if (tensor->data == NULL && wanted->bytes > 0) return Fault(role, wanted, why, HONE_INVALID, "data is NULL");
  return HONE_OK;
}

int HoneCheckInput(const HoneTensorData* wanted, const DLTensor* tensor, HoneText* why) {
  const int code = CheckKind("input", wanted, tensor, why);
  if (code != HONE_OK) return code;
  for (int32_t d = 0; d < wanted->rank; ++d) {
    if (tensor->shape[d] != wanted->shape[d]) return ShapeFault("input", wanted, tensor, why, "shape ");
  }
  return CheckMemory("input", wanted, tensor, why);
}

int HoneCheckOutput(const HoneTensorData* wanted, const DLTensor* tensor, HoneText* why) {
  const int code = CheckKind("output", wanted, tensor, why);
  if (code != HONE_OK) return code;
  const uint64_t needed = wanted->bytes / (wanted->bits / 8u);
  uint64_t room = 1;
  for (int32_t d = 0; d < wanted->rank; ++d) {
    const int64_t size = tensor->shape[d];
    if (size < 0) return ShapeFault("output", wanted, tensor, why, "negative size in shape ");
    if (size != 0 && room > UINT64_MAX / (uint64_t)size) {
      return ShapeFault("output", wanted, tensor, why, "too many elements in shape ");
    }
    room *= (uint64_t)size;
  }
  if (room < needed) return ShapeFault("output", wanted, tensor, why, "too small: shape ");
  return CheckMemory("output", wanted, tensor, why);
}

int HoneTensorsOverlap(const DLTensor* a, uint64_t a_bytes, const DLTensor* b, uint64_t b_bytes) {
  const uintptr_t a_begin = (uintptr_t)HoneTensorBytes(a), b_begin = (uintptr_t)HoneTensorBytes(b);
  return a_begin < b_begin + b_bytes && b_begin < a_begin + a_bytes;
}
