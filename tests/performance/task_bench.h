#pragma once

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/compiler/codegen/candidate_runner.h"
#include "tuner/task_search.h"

namespace hone {

// The value, or the end of the program.
template <typename T>
T Must(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
  std::exit(2);
}

// Compiles schedules of one task and measures them in this process.
class TaskBench {
 public:
  explicit TaskBench(const Task& task);

  // In rotation with the first one, which is the incumbent of a race: what has lost ends early. Wrong outputs are outcomes.
  std::vector<Measurement> Measure(const std::vector<Trace>& traces, uint32_t windows, bool race);

 private:
  std::unique_ptr<CandidateRunner> Load(const Trace& trace);
  std::vector<HostTensor> Outputs(CandidateRunner& runner) const;

  Task task_;
  TensorProgram program_;
  std::vector<HostTensor> inputs_, constants_, expected_;
  std::map<std::string, std::string> objects_;   // by trace
};

// The tasks of ResNet-50 on which the tuner is judged.
std::vector<Task> JudgedTasks(const Target& target);

}  // namespace hone
