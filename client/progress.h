#pragma once

#include <string>

#include "absl/time/time.h"
#include "client/console.h"
#include "hone/v1/jobs.pb.h"

namespace hone {

std::string JobStateName(v1::JobState state);  // "queued", "running", ...
// Nothing more will happen to it. A cancelled job ends once its best so far is compiled.
bool HasEnded(const v1::Job& job);

// One line: phase, trials of the budget, time, predicted latency against the default, ETA.
std::string ProgressLine(const v1::Job& job);
// The tasks, largest share of the predicted time first, at most `max_rows` of them.
std::string TaskTable(const v1::Job& job, int width, int max_rows);
// Both, the line cut to the width.
std::string ProgressBlock(const v1::Job& job, int width, int max_rows);

// Shows a job as it goes: on a terminal one block redrawn in place, else a line per phase and one now and
// then.
class ProgressDisplay {
 public:
  explicit ProgressDisplay(const Console& console) : console_(console) {}

  void Update(const v1::Job& job, absl::Time now);
  void Finish();  // leaves the last block standing

 private:
  void Redraw(const std::string& block);

  const Console& console_;
  int lines_ = 0;  // of the block on the screen
  std::string phase_;
  uint32_t trials_ = 0;
  absl::Time last_line_ = absl::InfinitePast();
};

// Progress of transfers: a bar on a terminal, one line per file of more than a megabyte else.
class TransferDisplay {
 public:
  TransferDisplay(const Console& console, std::string verb) : console_(console), verb_(std::move(verb)) {}
  void Update(const std::string& name, uint64_t done, uint64_t total);

 private:
  const Console& console_;
  std::string verb_;  // "uploading"
  int percent_ = -1;  // shown last
};

}  // namespace hone
