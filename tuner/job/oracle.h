#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "hone/v1/workers.pb.h"
#include "compiler/task/task.h"

namespace hone {

// What the interpreter says of single elements of a task's outputs, boundary ones and random ones: the device's oracle is
// checked against it. Operands are made from the seed by compiler/runtime/input_generator.h. At most 4,096 of either
// kind, and about one second of work.
absl::StatusOr<std::vector<v1::OracleSample>> InterpretSamples(const Task& task, const TensorProgram& program,
                                                               uint64_t seed);

}  // namespace hone
