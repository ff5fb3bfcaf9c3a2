#pragma once

#include "compiler/task/task.h"

namespace hone {

// What a task is expected to cost, seconds of one run; owned by the compiler, answered by the tuner (roofline
// prior). Infinity: it cannot be compiled. Equal tasks are asked for again and again.
class TaskCosts {
 public:
  virtual ~TaskCosts() = default;
  virtual double SecondsFor(const Task& task) const = 0;
};

}  // namespace hone
