#include "tuner/job/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace hone {
namespace {

using nlohmann::json;

json Times(const Measurement& measurement) {
  return {{"median_seconds", measurement.median_seconds},
          {"p20_seconds", measurement.p20_seconds},
          {"p95_seconds", measurement.p95_seconds}};
}

// Of the schedule that is handed over, which is not the best one where the tuned module as a whole did not win.
json TaskRow(const TaskSearch& task, bool tuned, double total) {
  const Trace& trace = tuned ? task.best_trace() : task.default_trace();
  const double once = tuned ? task.best_seconds() : task.default_seconds();
  const double seconds = task.weight() * once;
  json row = {{"task_id", task.task().Id()},
          {"label", task.task().Label()},
          {"weight", task.weight()},
          {"seconds", seconds},
          {"share", total > 0 ? seconds / total : 0},
          {"default_seconds", task.weight() * task.default_seconds()},
          {"best_seconds", task.weight() * task.best_seconds()},
          {"floor_seconds", task.weight() * task.floor_seconds()},
          {"roofline_fraction", once > 0 ? task.floor_seconds() / once : 0},
          {"measured", task.measured()},
          {"trace", trace.ToString()},
          {"algorithm", AlgorithmOf(trace)},
          {"trials", task.trials()}};
  if (const std::optional<double> error = task.ErrorOf(trace)) row["max_error"] = *error;
  return row;
}

}  // namespace

std::string ReportJson(const ReportInput& input) {
  const bool tuned = input.DeliversTuned();
  const double total = tuned ? input.session.PredictedSeconds() : input.session.DefaultPredictedSeconds();
  json report = {{"model", input.model},
                 {"job", input.job},
                 {"target", input.target},
                 {"threads", input.threads},
                 {"device", {{"cpu_name", input.device.cpu_name}, {"device_class", input.device.device_class}}},
                 {"trials", input.session.trials_done()},
                 {"seconds", input.seconds},
                 {"verdict", "no gain"},
                 {"sum_of_tasks_seconds", total}};
  if (input.comparison) {
    const ModuleComparison& c = *input.comparison;
    report["default"] = Times(c.by_default);
    if (c.tuned.outcome == Outcome::kOk) {
      report["tuned"] = Times(c.tuned);
      report["tuned"]["ratio"] = c.tuned.ratio_to_incumbent;
      report["tuned"]["ratio_low"] = c.tuned.ratio_low;
      report["tuned"]["ratio_high"] = c.tuned.ratio_high;
    }
    if (c.tuned_wins()) report["verdict"] = "faster";
    const double error = c.tuned_wins() ? c.tuned.max_error : c.by_default.max_error;
    if (c.verified()) {
      report["verified"] = {
          {"max_error", error}, {"tolerance", c.tolerance}, {"inputs", c.inputs}, {"against", c.reference + " schedules"}};
    }
    if (c.tuned.outcome != Outcome::kOk) {
      report["tuned_outcome"] = {{"outcome", std::string(OutcomeName(c.tuned.outcome))}, {"message", c.tuned.message}};
    }
  }
  json rows = json::array();
  for (const TaskSearch& task : input.session.tasks()) {
    if (task.weight() > 0) rows.push_back(TaskRow(task, tuned, total));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const json& a, const json& b) { return a["seconds"] > b["seconds"]; });
  report["tasks"] = std::move(rows);
  return report.dump(1);
}

}  // namespace hone
