#include "tuner/job/explanation.h"

#include <algorithm>
#include <cmath>

#include "proto/values/host_lock.h"
#include "tuner/features.h"

namespace hone {
namespace {

// Largest effect first, whichever its sign.
void AddFeatures(const CostSample& sample, const Attribution& attribution,
                 v1::RecordExplanation* explanation) {
  std::vector<size_t> order(attribution.effects.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::fabs(attribution.effects[a]) > std::fabs(attribution.effects[b]);
  });
  for (const size_t i : order) {
    v1::FeatureEffect& feature = *explanation->add_features();
    feature.set_feature(std::string(FeatureTable()[i].name));
    feature.set_value(sample.features[i]);
    feature.set_effect(attribution.effects[i]);
  }
}

}  // namespace

absl::StatusOr<v1::RecordExplanation> ExplainSchedule(const TuningSession& session,
                                                      const std::string& task_key, const std::string& trace,
                                                      const HostLockFiles& host, Booster* model) {
  const auto task = std::find_if(session.tasks().begin(), session.tasks().end(),
                                 [&](const TaskSearch& search) { return search.task().Key() == task_key; });
  if (task == session.tasks().end()) {
    return absl::FailedPreconditionError(
        "this compiler does not make this task of the model: the record is of another version");
  }
  const absl::StatusOr<Trace> schedule = Trace::Parse(trace);
  if (!schedule.ok()) return schedule.status();
  const absl::StatusOr<CostSample> sample = task->SampleOf(*schedule);
  if (!sample.ok()) return sample.status();
  const absl::StatusOr<HostShare> share = HostShare::Begin(host);
  if (!share.ok()) return share.status();
  if (absl::Status status = session.Train(model); !status.ok()) return status;
  const absl::StatusOr<std::vector<CostEstimate>> estimate = model->Estimate({*sample});
  if (!estimate.ok()) return estimate.status();
  const absl::StatusOr<Attribution> attribution = model->Explain(*sample);
  if (!attribution.ok()) return attribution.status();
  v1::RecordExplanation explanation;
  if (model->trained()) {
    for (const TaskSearch& each : session.tasks()) {
      explanation.set_learnt_from(explanation.learnt_from() + static_cast<uint32_t>(each.samples().size()));
    }
    explanation.set_learnt_from_task(static_cast<uint32_t>(task->samples().size()));
  }
  explanation.set_prior_seconds(std::exp(sample->log_prior));
  explanation.set_bias(attribution->bias);
  AddFeatures(*sample, *attribution, &explanation);
  explanation.set_predicted_seconds(std::exp(estimate->front().log_seconds));
  explanation.set_deviation(estimate->front().deviation);
  explanation.set_feature_version(FeatureVersion());
  return explanation;
}

}  // namespace hone
