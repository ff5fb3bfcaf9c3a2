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

json TaskRow(const TaskSearch& task, double total) {
  const double seconds = task.weight() * task.best_seconds();
  json row = {{"task_id", task.task().Id()},
          {"label", task.task().Label()},
          {"weight", task.weight()},
          {"seconds", seconds},
          {"share", total > 0 ? seconds / total : 0},
          {"default_seconds", task.weight() * task.default_seconds()},
          {"floor_seconds", task.weight() * task.floor_seconds()},
          {"roofline_fraction", task.best_seconds() > 0 ? task.floor_seconds() / task.best_seconds() : 0},
          {"measured", task.measured()},
          {"trace", task.best_trace().ToString()},
          {"algorithm", AlgorithmOf(task.best_trace())},
          {"trials", task.trials()}};
  if (const std::optional<double> error = task.best_error()) row["max_error"] = *error;
  return row;
}

}  // namespace

std::string ReportJson(const ReportInput& input) {
  const double total = input.session.PredictedSeconds();
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
    report["tuned"] = Times(c.tuned_wins() ? c.tuned : c.by_default);
    report["tuned"]["ratio"] = c.tuned_wins() ? c.tuned.ratio_to_incumbent : 1.0;
    report["tuned"]["ratio_low"] = c.tuned_wins() ? c.tuned.ratio_low : 1.0;
    report["tuned"]["ratio_high"] = c.tuned_wins() ? c.tuned.ratio_high : 1.0;
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
  for (const TaskSearch& task : input.session.tasks()) rows.push_back(TaskRow(task, total));
  std::stable_sort(rows.begin(), rows.end(), [](const json& a, const json& b) { return a["seconds"] > b["seconds"]; });
  report["tasks"] = std::move(rows);
  return report.dump(1);
}

}  // namespace hone
