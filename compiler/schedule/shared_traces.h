#pragma once

#include <vector>

#include "compiler/schedule/schedule.h"

namespace hone {

// Sound direct schedules of matmul-like tasks for several threads, which share out rows or panels, the panels
// of one to three vectors; which of them pays, a cost model must tell. None for one thread.
std::vector<Trace> SharedTraces(const Task& task, const TensorProgram& program);

}  // namespace hone
