#include "proto/values/value_messages.h"

#include "absl/strings/str_cat.h"

namespace hone {

v1::Outcome ToMessage(Outcome outcome) { return static_cast<v1::Outcome>(static_cast<int>(outcome) + 1); }

Outcome FromMessage(v1::Outcome outcome) {
  if (outcome < v1::OUTCOME_OK || outcome > v1::OUTCOME_INFRASTRUCTURE) return Outcome::kInfrastructure;
  return static_cast<Outcome>(static_cast<int>(outcome) - 1);
}

v1::Measurement ToMessage(const Measurement& m) {
  v1::Measurement out;
  out.set_outcome(ToMessage(m.outcome));
  out.set_message(m.message);
  for (const Window& window : m.windows) {
    v1::Window* w = out.add_windows();
    w->set_seconds(window.seconds);
    w->set_calls(window.calls);
    w->set_cpu_fraction(window.cpu_fraction);
    w->set_kept(window.kept);
  }
  out.set_p20_seconds(m.p20_seconds);
  out.set_median_seconds(m.median_seconds);
  out.set_p95_seconds(m.p95_seconds);
  out.set_ratio_to_incumbent(m.ratio_to_incumbent);
  out.set_ratio_low(m.ratio_low);
  out.set_ratio_high(m.ratio_high);
  out.set_max_error(m.max_error);
  out.set_cold(m.cold);
  out.set_probe_gflops_before(m.probe_gflops_before);
  out.set_probe_gflops_after(m.probe_gflops_after);
  out.set_probe_read_gbps_before(m.probe_read_gbps_before);
  out.set_probe_read_gbps_after(m.probe_read_gbps_after);
  return out;
}

Measurement FromMessage(const v1::Measurement& message) {
  Measurement m;
  m.outcome = FromMessage(message.outcome());
  m.message = message.message();
  for (const v1::Window& w : message.windows()) {
    m.windows.push_back({w.seconds(), w.calls(), w.cpu_fraction(), w.kept()});
  }
  m.p20_seconds = message.p20_seconds();
  m.median_seconds = message.median_seconds();
  m.p95_seconds = message.p95_seconds();
  m.ratio_to_incumbent = message.ratio_to_incumbent();
  m.ratio_low = message.ratio_low();
  m.ratio_high = message.ratio_high();
  m.max_error = message.max_error();
  m.cold = message.cold();
  m.probe_gflops_before = message.probe_gflops_before();
  m.probe_gflops_after = message.probe_gflops_after();
  m.probe_read_gbps_before = message.probe_read_gbps_before();
  m.probe_read_gbps_after = message.probe_read_gbps_after();
  return m;
}

v1::Device ToMessage(const Device& device) {
  v1::Device out;
  out.set_device_class(device.device_class);
  out.set_cpu_name(device.cpu_name);
  out.set_target(device.target);
  for (const std::string& feature : device.features) out.add_features(feature);
  out.set_cores(device.cores);
  out.set_l1d_bytes(device.l1d_bytes);
  out.set_l2_bytes(device.l2_bytes);
  out.set_l3_bytes(device.l3_bytes);
  v1::Calibration* calibration = out.mutable_calibration();
  for (const auto& [row, gflops] : device.calibration.fma_gflops) (*calibration->mutable_fma_gflops())[row] = gflops;
  calibration->set_l1_read_gbps(device.calibration.l1_read_gbps);
  calibration->set_l2_read_gbps(device.calibration.l2_read_gbps);
  calibration->set_l3_read_gbps(device.calibration.l3_read_gbps);
  calibration->set_dram_read_gbps(device.calibration.dram_read_gbps);
  calibration->set_fork_join_us(device.calibration.fork_join_us);
  calibration->set_l3_held_bytes(device.calibration.l3_held_bytes);
  for (const auto& [key, value] : device.fingerprint) (*out.mutable_fingerprint())[key] = value;
  return out;
}

Device FromMessage(const v1::Device& message) {
  Device device;
  device.device_class = message.device_class();
  device.cpu_name = message.cpu_name();
  device.target = message.target();
  device.features.assign(message.features().begin(), message.features().end());
  device.cores = message.cores();
  device.l1d_bytes = message.l1d_bytes();
  device.l2_bytes = message.l2_bytes();
  device.l3_bytes = message.l3_bytes();
  const v1::Calibration& calibration = message.calibration();
  for (const auto& [row, gflops] : calibration.fma_gflops()) device.calibration.fma_gflops[row] = gflops;
  device.calibration.l1_read_gbps = calibration.l1_read_gbps();
  device.calibration.l2_read_gbps = calibration.l2_read_gbps();
  device.calibration.l3_read_gbps = calibration.l3_read_gbps();
  device.calibration.dram_read_gbps = calibration.dram_read_gbps();
  device.calibration.fork_join_us = calibration.fork_join_us();
  device.calibration.l3_held_bytes = calibration.l3_held_bytes();
  for (const auto& [key, value] : message.fingerprint()) device.fingerprint[key] = value;
  return device;
}

v1::TuningRecord ToMessage(const TuningRecord& record) {
  v1::TuningRecord out;
  out.set_name(record.name);
  out.set_job(record.job);
  out.set_model(record.model);
  out.set_sequence(record.sequence);
  out.set_batch(record.batch);
  out.set_trial_id(record.trial_id);
  out.set_task_key(record.task_key);
  out.set_task_id(record.task_id);
  out.set_task_label(record.task_label);
  out.set_trace(record.trace);
  out.set_trace_version(record.trace_version);
  out.set_target(record.target);
  out.set_device_class(record.device_class);
  out.set_worker(record.worker);
  out.set_compiler_build(record.compiler_build);
  out.set_seed(record.seed);
  out.set_predicted_seconds(record.predicted_seconds);
  *out.mutable_measurement() = ToMessage(record.measurement);
  out.set_create_time_micros(record.create_time_micros);
  out.set_attempts(record.attempts);
  *out.mutable_device() = ToMessage(record.device);
  return out;
}

TuningRecord FromMessage(const v1::TuningRecord& message) {
  TuningRecord record;
  record.name = message.name();
  record.job = message.job();
  record.model = message.model();
  record.sequence = message.sequence();
  record.batch = message.batch();
  record.trial_id = message.trial_id();
  record.task_key = message.task_key();
  record.task_id = message.task_id();
  record.task_label = message.task_label();
  record.trace = message.trace();
  record.trace_version = message.trace_version();
  record.target = message.target();
  record.device_class = message.device_class();
  record.worker = message.worker();
  record.compiler_build = message.compiler_build();
  record.seed = message.seed();
  record.predicted_seconds = message.predicted_seconds();
  record.measurement = FromMessage(message.measurement());
  record.create_time_micros = message.create_time_micros();
  record.attempts = message.attempts();
  record.device = FromMessage(message.device());
  return record;
}

v1::TensorSpec ToMessage(const TensorSpec& spec) {
  v1::TensorSpec out;
  out.set_dtype(std::string(DTypeName(spec.dtype)));
  for (int64_t dim : spec.dims) out.add_dims(dim);
  out.set_low(spec.low);
  out.set_high(spec.high);
  return out;
}

absl::StatusOr<TensorSpec> FromMessage(const v1::TensorSpec& message) {
  TensorSpec spec;
  const std::optional<DType> dtype = ParseDType(message.dtype());
  if (!dtype) return absl::InvalidArgumentError(absl::StrCat("unknown dtype '", message.dtype(), "'"));
  spec.dtype = *dtype;
  int64_t bytes = DTypeBytes(*dtype);
  for (int64_t dim : message.dims()) {
    if (dim < 0 || __builtin_mul_overflow(bytes, dim, &bytes) || bytes > (int64_t{1} << 40)) {
      return absl::InvalidArgumentError("tensor dimensions are negative or exceed 2^40 bytes");
    }
    spec.dims.push_back(dim);
  }
  spec.low = message.low();
  spec.high = message.high();
  return spec;
}

}  // namespace hone
