#include "client/progress.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/table.h"
#include "client/units.h"

namespace hone {
namespace {

constexpr absl::Duration kLineEvery = absl::Seconds(10);  // when piped
constexpr int kTaskRows = 12;
constexpr int kOtherRows = 5;  // of the screen: progress line, titles, "more tasks", the prompt
constexpr uint64_t kWorthALine = 1'000'000;

double TaskSeconds(const v1::TaskProgress& task) {
  const double one = task.best_seconds() > 0 ? task.best_seconds() : task.default_seconds();
  return one * task.weight();
}

std::string TrialsText(const v1::JobProgress& progress) {
  if (progress.trials_budget() == 0) return absl::StrCat(progress.trials_done(), " trials");
  return absl::StrCat(progress.trials_done(), "/", progress.trials_budget(), " trials");
}

std::string PhaseText(const v1::Job& job) {
  const std::string& phase = job.progress().phase();
  return job.state() == v1::JOB_STATE_RUNNING && !phase.empty() ? phase : JobStateName(job.state());
}

std::string TimeText(const v1::JobProgress& progress) {
  std::string text = FormatDuration(progress.seconds_spent());
  // What comes after the search (compiling, verifying) is not the budget's.
  if (progress.seconds_budget() > 0 && progress.seconds_spent() <= progress.seconds_budget()) {
    absl::StrAppend(&text, " of ", FormatDuration(progress.seconds_budget()));
  }
  return text;
}

}  // namespace

std::string JobStateName(v1::JobState state) {
  absl::string_view name = v1::JobState_Name(state);
  absl::ConsumePrefix(&name, "JOB_STATE_");
  return absl::AsciiStrToLower(name);
}

bool HasEnded(const v1::Job& job) {
  switch (job.state()) {
    case v1::JOB_STATE_SUCCEEDED:
    case v1::JOB_STATE_FAILED:
      return true;
    case v1::JOB_STATE_CANCELLED:
      return job.end_time_micros() != 0;
    default:
      return false;
  }
}

std::string ProgressLine(const v1::Job& job) {
  const v1::JobProgress& progress = job.progress();
  const bool running = job.state() == v1::JOB_STATE_RUNNING;
  std::vector<std::string> parts = {PhaseText(job), TrialsText(progress), TimeText(progress)};
  if (progress.predicted_seconds() > 0) {
    std::string predicted = absl::StrCat("predicted ", FormatLatency(progress.predicted_seconds()));
    if (progress.default_predicted_seconds() > 0) {
      absl::StrAppendFormat(&predicted, " (default %s, %.2fx)",
                            FormatLatency(progress.default_predicted_seconds()),
                            progress.default_predicted_seconds() / progress.predicted_seconds());
    }
    parts.push_back(predicted);
  }
  if (running && progress.eta_seconds() > 0) parts.push_back("ETA " + FormatDuration(progress.eta_seconds()));
  if (job.child_restarts() > 0) parts.push_back(absl::StrCat("restarted ", job.child_restarts(), "x"));
  std::string line = absl::StrFormat("%-10s", parts[0]);
  for (size_t i = 1; i < parts.size(); ++i) absl::StrAppend(&line, i == 1 ? " " : "  ", parts[i]);
  return line;
}

std::string TaskTable(const v1::Job& job, int width, int max_rows) {
  std::vector<const v1::TaskProgress*> tasks;
  double total = 0;
  for (const v1::TaskProgress& task : job.progress().tasks()) {
    tasks.push_back(&task);
    total += TaskSeconds(task);
  }
  std::stable_sort(tasks.begin(), tasks.end(),
                   [](auto* a, auto* b) { return TaskSeconds(*a) > TaskSeconds(*b); });
  std::vector<std::vector<std::string>> rows;
  for (const v1::TaskProgress* task : tasks) {
    if (static_cast<int>(rows.size()) == max_rows) break;
    rows.push_back({total > 0 ? FormatPercent(TaskSeconds(*task) / total) : "-", absl::StrCat(task->trials()),
                    FormatLatency(task->best_seconds()), FormatLatency(task->default_seconds()),
                    FormatLatency(task->floor_seconds()), absl::StrCat(task->weight()), task->label()});
  }
  if (rows.empty()) return "";
  std::string text = FormatTable({{"share", Align::kRight},
                                  {"trials", Align::kRight, Narrow::kDrop},
                                  {"best", Align::kRight},
                                  {"default", Align::kRight, Narrow::kDrop},
                                  {"floor", Align::kRight, Narrow::kDrop},
                                  {"times", Align::kRight, Narrow::kDrop},
                                  {"task", Align::kLeft, Narrow::kShrink}},
                                 rows, width);
  if (tasks.size() > rows.size())
    absl::StrAppend(&text, "... and ", tasks.size() - rows.size(), " more tasks\n");
  return text;
}

std::string ProgressBlock(const v1::Job& job, int width, int max_rows) {
  std::string line = ProgressLine(job);
  if (width > 0 && static_cast<int>(line.size()) > width) line.resize(width);
  return absl::StrCat(line, "\n", TaskTable(job, width, max_rows));
}

void ProgressDisplay::Update(const v1::Job& job, absl::Time now) {
  if (console_.json) return;
  if (console_.redraw) {
    const int rows = std::clamp(console_.err_height - kOtherRows, 0, kTaskRows);
    return Redraw(ProgressBlock(job, console_.err_width, rows));
  }
  const std::string phase = PhaseText(job);
  const bool news = phase != phase_;
  const bool more = job.progress().trials_done() != trials_ && now - last_line_ >= kLineEvery;
  if (!news && !more) return;
  phase_ = phase;
  trials_ = job.progress().trials_done();
  last_line_ = now;
  console_.Note(ProgressLine(job));
}

void ProgressDisplay::Redraw(const std::string& block) {
  // A line that wraps would be two on the screen: every one is cut to the terminal's width.
  std::string cut;
  for (absl::string_view line : absl::StrSplit(absl::StripSuffix(block, "\n"), '\n')) {
    absl::StrAppend(&cut, line.substr(0, console_.err_width - 1), "\n");
  }
  if (lines_ > 0) console_.err << "\x1b[" << lines_ << "A\x1b[J";  // up, then clear to the end of the screen
  console_.err << cut << std::flush;
  lines_ = static_cast<int>(std::count(cut.begin(), cut.end(), '\n'));
}

void ProgressDisplay::Finish() { lines_ = 0; }

void TransferDisplay::Update(const std::string& name, uint64_t done, uint64_t total) {
  if (console_.json) return;
  const int percent = total == 0 ? 100 : static_cast<int>(done * 100 / total);
  if (percent == percent_ && done < total) return;
  percent_ = percent;
  if (console_.redraw) {
    console_.err << "\r\x1b[K" << verb_ << " " << name << "  " << FormatBytes(done) << " of "
                 << FormatBytes(total) << "  " << percent << " %" << (done >= total ? "\r\x1b[K" : "")
                 << std::flush;
  } else if (done >= total && total >= kWorthALine) {
    console_.Note(absl::StrCat(verb_, " ", name, ": ", FormatBytes(total), ", done"));
  }
}

}  // namespace hone
