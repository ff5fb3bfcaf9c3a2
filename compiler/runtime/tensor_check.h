/* Whether a caller's tensors are what a module takes. Freestanding. */
#pragma once

#include "error_text.h"
#include "hone.h"
#include "module_data.h"

/* Each returns HONE_OK or the code of the first fault, which `why` then names ("input 'x': ..."). */
int HoneCheckInput(const HoneTensorData* wanted, const DLTensor* tensor, HoneText* why);
/* Its shape states the room there is; it need not be the shape that the run will write. */
int HoneCheckOutput(const HoneTensorData* wanted, const DLTensor* tensor, HoneText* why);
/* Whether two tensors' memory overlaps, given their sizes in bytes. */
int HoneTensorsOverlap(const DLTensor* a, uint64_t a_bytes, const DLTensor* b, uint64_t b_bytes);

static inline char* HoneTensorBytes(const DLTensor* tensor) { return (char*)tensor->data + tensor->byte_offset; }
