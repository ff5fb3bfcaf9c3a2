#pragma once

#include <map>
#include <set>
#include <string>

#include "tuner/task_search.h"

namespace hone {

// Measured once, replayed often: many schedules of one task and their times.
struct Swept {
  double seconds = 0;
  bool mutated = false;   // found by looking around the best: random search does not see it
};
using Sweep = std::map<std::string, Swept>;   // by trace

std::set<std::string> TracesOf(const Sweep& sweep, bool random_only);

// The sweep that `folder` keeps of the task, completed as far as it lacks measurements: `schedules` drawn at random, a
// third as many mutations of the best, the default one, and the best of them all once more, many at a time.
// Traces of the same loop nest are given the same time, the median of theirs.
Sweep SweepOf(const TaskSearch& start, const std::string& folder, size_t schedules);

}  // namespace hone
