#pragma once

#include "absl/status/statusor.h"
#include "hone/v1/common.pb.h"
#include "hone/v1/workers.pb.h"
#include "proto/values/device.h"
#include "proto/values/measurement.h"
#include "proto/values/tensor_spec.h"
#include "proto/values/tuning_record.h"

// Conversions between value types and messages. Messages come from outside: FromMessage checks what it can.
namespace hone {

v1::Outcome ToMessage(Outcome outcome);
Outcome FromMessage(v1::Outcome outcome);   // unknown values become kInfrastructure

v1::Measurement ToMessage(const Measurement& measurement);
Measurement FromMessage(const v1::Measurement& message);

v1::Device ToMessage(const Device& device);
Device FromMessage(const v1::Device& message);

v1::TuningRecord ToMessage(const TuningRecord& record);
TuningRecord FromMessage(const v1::TuningRecord& message);

v1::TensorSpec ToMessage(const TensorSpec& spec);
// InvalidArgument: unknown dtype, negative dims, or more than 2^40 bytes.
absl::StatusOr<TensorSpec> FromMessage(const v1::TensorSpec& message);

}  // namespace hone
