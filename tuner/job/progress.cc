#include "tuner/job/progress.h"

#include <algorithm>

namespace hone {

void AddTasks(const TuningSession& session, v1::JobProgress* progress) {
  progress->set_trials_done(session.trials_done());
  progress->set_predicted_seconds(session.PredictedSeconds());
  progress->set_default_predicted_seconds(session.DefaultPredictedSeconds());
  for (const TaskSearch& task : session.tasks()) {
    if (task.weight() == 0) continue;
    v1::TaskProgress& row = *progress->add_tasks();
    row.set_task_id(task.task().Id());
    row.set_label(task.task().Label());
    row.set_weight(static_cast<uint32_t>(task.weight()));
    row.set_trials(static_cast<uint32_t>(task.trials()));
    row.set_best_seconds(task.measured() ? task.best_seconds() : 0);
    row.set_default_seconds(task.measured() ? task.default_seconds() : 0);
    row.set_floor_seconds(task.floor_seconds());
    row.set_best_trace(task.best_trace().ToString());
  }
  const double spent = progress->seconds_spent(), seconds = progress->seconds_budget();
  double eta = seconds > 0 ? seconds - spent : 0;
  if (progress->trials_budget() > 0 && session.trials_done() > 0) {
    const double each = spent / session.trials_done();
    const double rest = each * (progress->trials_budget() - std::min(progress->trials_budget(), session.trials_done()));
    eta = seconds > 0 ? std::min(eta, rest) : rest;
  }
  progress->set_eta_seconds(std::max(0.0, eta));
}

}  // namespace hone
