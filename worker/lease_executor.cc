#include "worker/lease_executor.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/values/host_lock.h"
#include "worker/calibration_store.h"
#include "worker/comparison.h"
#include "worker/cpu_probes.h"
#include "worker/device_detection.h"

namespace hone {
namespace {

constexpr uint32_t kModuleInputSets = 2;  // whole modules are compared on at least two inputs
constexpr double kLoadLimitSeconds = 30;  // loading and packing, beside the run limit
constexpr double kSlowestFactor = 30, kSlowestExtraSeconds = 0.5;  // of the incumbent's first call
constexpr size_t kMostEntrants = 24;                               // runners alive at once
constexpr absl::Duration kProbeTime = absl::Milliseconds(1);
constexpr uint64_t kProbeReadBytes = uint64_t{4} << 20;
constexpr double kMinKeptFraction = 0.5;  // of a round, or the rotation moves to another core

uint64_t TotalBytes(const std::vector<TensorSpec>& specs) {
  uint64_t bytes = 0;
  for (const TensorSpec& spec : specs) bytes += static_cast<uint64_t>(spec.Bytes());
  return bytes;
}

// How many runners may be alive at once: together they get a third of the machine's memory.
size_t EntrantsAtOnce(const Lease& lease) {
  uint64_t largest = 0;
  for (const LeaseTrial& trial : lease.trials) largest = std::max(largest, trial.object.size);
  const uint64_t each = std::max(2 * TotalBytes(lease.constants), lease.model_constant_bytes) + 4 * TotalBytes(lease.inputs) +
                        4 * TotalBytes(lease.outputs) + 2 * largest + (uint64_t{64} << 20);
  const auto memory =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return std::clamp<size_t>(memory / 3 / each, 2, kMostEntrants);
}

// Everything that decides the values of a task's tensors.
std::string InputsKey(const Lease& lease, uint32_t input_sets) {
  std::string key = absl::StrCat(lease.seed, "/", input_sets);
  for (const auto* specs : {&lease.inputs, &lease.constants, &lease.outputs}) {
    absl::StrAppend(&key, "|");
    for (const TensorSpec& spec : *specs) {
      absl::StrAppend(&key, std::string(DTypeName(spec.dtype)), " ", spec.low, " ", spec.high);
      for (int64_t d : spec.dims) absl::StrAppend(&key, " ", d);
      absl::StrAppend(&key, ";");
    }
  }
  return key;
}

// The cores this process may use, taken in turn: all runners of a rotation share the same ones, hence their caches, and
// move together when a neighbour takes one.
class CoreChoice {
 public:
  CoreChoice() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return;
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; --cpu) {
      if (CPU_ISSET(cpu, &set)) cores_.push_back(cpu);
    }
  }
  // As many as there are threads; none if they would have to share.
  std::vector<int> Take(size_t threads) const {
    std::vector<int> taken;
    for (size_t i = 0; i < threads && threads <= cores_.size(); ++i) {
      taken.push_back(cores_[(next_ + i) % cores_.size()]);
    }
    return taken;
  }
  void Move() { ++next_; }

 private:
  std::vector<int> cores_;
  size_t next_ = 0;
};

class RunnerContestant : public Contestant {
 public:
  RunnerContestant(RunnerProcess* runner, absl::Duration run_limit)
      : runner_(runner), run_limit_(run_limit) {}

  Report RunWindow(uint32_t calls) override {
    const StepResult step = runner_->RunWindow(calls, absl::Seconds(kWindowSeconds), run_limit_);
    if (step.ending) return {.ending = step.ending};
    const RunnerReply& reply = step.reply;
    if (reply.calls == 0 || reply.wall_nanoseconds == 0) {
      return {.ending = Ending{Outcome::kCrash, "broke the runner's protocol"}};
    }
    const auto wall = static_cast<double>(reply.wall_nanoseconds),
               cpu = static_cast<double>(reply.cpu_nanoseconds);
    Window window{.seconds = wall * 1e-9 / reply.calls,
                  .calls = reply.calls,
                  .cpu_fraction = std::min(cpu / wall, 1.0)};
    window.kept = reply.involuntary_switches == 0 && window.cpu_fraction > kKeptCpuFraction;
    return {.window = window};
  }

 private:
  RunnerProcess* const runner_;
  const absl::Duration run_limit_;
};

Measurement FromEnding(const Ending& ending) {
  return {.outcome = ending.outcome, .message = ending.message};
}

}  // namespace

// A trial or the incumbent on its way through a lease.
struct LeaseExecutor::Entrant {
  const LeaseTrial* trial = nullptr;
  bool is_incumbent = false;
  std::unique_ptr<RunnerProcess> runner;
  double first_seconds = 0;
  Measurement measurement;

  void End(const Ending& ending) {
    measurement = FromEnding(ending);
    runner.reset();
  }
};

struct LeaseExecutor::Batch {
  const Lease& lease;
  const Cancellation& cancellation;
  RunnerSubjectKind subject = kRunnerCandidate;
  uint32_t input_sets = 1;
  const TensorFile* inputs = nullptr;
  const Expected* expected = nullptr;
  double incumbent_seconds = 0;   // its first call; 0 = unknown
  std::vector<Entrant> entrants;  // the incumbent first

  // How long one call may take. What is far slower than the incumbent is not worth its time.
  absl::Duration CallLimit() const {
    const double limit = lease.run_limit_seconds;
    if (incumbent_seconds <= 0) return absl::Seconds(limit);
    return absl::Seconds(std::min(limit, kSlowestFactor * incumbent_seconds + kSlowestExtraSeconds));
  }
};

LeaseExecutor::LeaseExecutor(LeaseExecutorOptions options)
    : options_(std::move(options)), inputs_(options_.cache_bytes), expected_(options_.cache_bytes) {}

LeaseResult LeaseExecutor::Execute(const Lease& lease, const Cancellation& cancellation) {
  if (lease.kind == LeaseKind::kCalibrate) return ExecuteCalibration(lease);
  LeaseResult result{.lease_id = lease.lease_id};
  const size_t step = EntrantsAtOnce(lease) - 1;  // beside the incumbent
  for (size_t begin = 0; begin == 0 || begin < lease.trials.size(); begin += step) {
    Batch batch{.lease = lease, .cancellation = cancellation};
    if (lease.kind == LeaseKind::kModule) {
      batch.subject = kRunnerModule;
      batch.input_sets = kModuleInputSets;
    }
    if (lease.incumbent) batch.entrants.push_back({.trial = &*lease.incumbent, .is_incumbent = true});
    for (size_t i = begin; i < std::min(begin + step, lease.trials.size()); ++i) {
      batch.entrants.push_back({.trial = &lease.trials[i]});
    }
    const absl::Status status = Run(batch);
    if (!status.ok() || cancellation.cancelled()) {
      result.outcome = Outcome::kInfrastructure;
      result.message = cancellation.cancelled() ? "cancelled" : std::string(status.message());
      result.trials.clear();
      result.incumbent.reset();
      return result;
    }
    for (Entrant& entrant : batch.entrants) {
      entrant.measurement.cold = !ConstantsStayCached(lease);
      if (entrant.is_incumbent) {
        result.incumbent = std::move(entrant.measurement);
      } else {
        result.trials.push_back({entrant.trial->trial_id, std::move(entrant.measurement)});
      }
    }
  }
  return result;
}

LeaseResult LeaseExecutor::ExecuteCalibration(const Lease& lease) {
  LeaseResult result{.lease_id = lease.lease_id};
  if (const absl::Status status = Calibrate(); status.ok()) {
    result.device = options_.device;
  } else {
    result.outcome = Outcome::kInfrastructure;
    result.message = std::string(status.message());
  }
  return result;
}

absl::Status LeaseExecutor::Calibrate() {
  const absl::StatusOr<Calibration> now = CalibrateAlone(options_.device, options_.host_lock_path);
  if (now.ok()) options_.device.calibration = BestOf(options_.device.calibration, *now);
  return now.status();
}

absl::Status LeaseExecutor::Run(Batch& batch) {
  for (const auto step :
       {&LeaseExecutor::PrepareInputs, &LeaseExecutor::PrepareExpected, &LeaseExecutor::StartEntrants}) {
    if (absl::Status status = (this->*step)(batch); !status.ok()) return status;
  }
  for (Entrant& entrant : batch.entrants) {
    CheckEntrant(batch, entrant);
    if (entrant.is_incumbent) batch.incumbent_seconds = entrant.first_seconds;
  }
  if (absl::Status status = Measure(batch); !status.ok()) return status;
  // Once more after the timing: a race or a dependence on earlier calls shows in a later output.
  for (Entrant& entrant : batch.entrants) {
    if (entrant.measurement.outcome == Outcome::kOk) CheckEntrant(batch, entrant);
  }
  return absl::OkStatus();
}

absl::Status LeaseExecutor::PrepareInputs(Batch& batch) {
  const Lease& lease = batch.lease;
  const std::string key = InputsKey(lease, batch.input_sets);
  batch.inputs = inputs_.Find(key);
  if (!batch.inputs) {
    absl::StatusOr<TensorFile> inputs =
        TensorFile::Generate(lease.inputs, lease.constants, lease.seed, batch.input_sets);
    if (!inputs.ok()) return inputs.status();
    const uint64_t bytes = inputs->bytes();
    batch.inputs = inputs_.Insert(key, *std::move(inputs), bytes);
  }
  return absl::OkStatus();
}

uint64_t LeaseExecutor::LastLevelCache() const {
  const Device& device = options_.device;
  const uint64_t held = device.calibration.l3_held_bytes, whole = device.l3_bytes ? device.l3_bytes : uint64_t{64} << 20;
  return held > 0 ? std::min(held, whole) : whole;
}

// A quarter of the cache is left to activations.
bool LeaseExecutor::ConstantsStayCached(const Lease& lease) const {
  return lease.model_constant_bytes <= LastLevelCache() / 4 * 3;
}

absl::StatusOr<std::unique_ptr<RunnerProcess>> LeaseExecutor::StartRunner(const Batch& batch,
                                                                          const BlobId& object,
                                                                          uint32_t threads) const {
  const Lease& lease = batch.lease;
  absl::StatusOr<FileDescriptor> file = options_.open_blob(object);
  if (!file.ok()) return file.status();
  RunnerJob job{
      .subject = batch.subject, .threads = threads, .inputs = batch.inputs, .outputs = &lease.outputs};
  job.rotation_is_cached = ConstantsStayCached(lease);
  job.rotation_bytes = std::min(lease.model_constant_bytes, LastLevelCache() + LastLevelCache() / 2);
  // Generous: transformed weights (Winograd F(6,3)) are seven times as large as the weights.
  job.address_space_bytes = 3 * object.size + batch.inputs->bytes() + 12 * TotalBytes(lease.constants) +
                            8 * (TotalBytes(lease.inputs) + TotalBytes(lease.outputs)) + 2 * job.rotation_bytes +
                            threads * (uint64_t{16} << 20) + (uint64_t{1} << 30);
  job.cpu_seconds = static_cast<uint64_t>(
      threads * (kLoadLimitSeconds + options_.oracle_limit_seconds + 8 * lease.run_limit_seconds));
  job.allow_unsandboxed = options_.allow_unsandboxed;
  return RunnerProcess::Start(options_.runner_path, job, file->get(), &batch.cancellation);
}

absl::Status LeaseExecutor::PrepareExpected(Batch& batch) {
  // A module without an oracle of its own is compared with the incumbent.
  const BlobId& oracle = !batch.lease.oracle.empty() || !batch.lease.incumbent
                             ? batch.lease.oracle
                             : batch.lease.incumbent->object;
  if (oracle.empty()) return absl::InvalidArgumentError("the lease has neither an oracle nor an incumbent");
  const std::string key =
      absl::StrCat(InputsKey(batch.lease, batch.input_sets), "|", oracle.sha256, "|", batch.lease.task_key);
  batch.expected = expected_.Find(key);
  if (!batch.expected) {
    absl::StatusOr<Expected> expected = RunOracle(batch);
    if (!expected.ok()) return expected.status();
    batch.expected =
        expected_.Insert(key, *std::move(expected), batch.input_sets * TotalBytes(batch.lease.outputs));
  }
  return absl::OkStatus();
}

absl::StatusOr<LeaseExecutor::Expected> LeaseExecutor::RunOracle(Batch& batch) {
  const Lease& lease = batch.lease;
  const BlobId& object = !lease.oracle.empty() ? lease.oracle : lease.incumbent->object;
  const uint32_t threads = batch.subject == kRunnerModule ? lease.threads : 1;
  absl::StatusOr<std::unique_ptr<RunnerProcess>> runner = StartRunner(batch, object, threads);
  if (!runner.ok()) return runner.status();
  const absl::Duration limit = absl::Seconds(options_.oracle_limit_seconds);
  StepResult step = (*runner)->AwaitLoaded(limit);
  Expected expected;
  for (uint32_t set = 0; set < batch.input_sets && !step.ending; ++set) {
    step = (*runner)->Check(set, limit);
    std::vector<std::string>& tensors = expected.emplace_back();
    for (size_t i = 0; i < lease.outputs.size(); ++i) {
      tensors.emplace_back((*runner)->outputs().data(i), static_cast<size_t>(lease.outputs[i].Bytes()));
    }
  }
  if (step.ending) {
    return absl::UnavailableError(absl::StrCat(
        "the oracle failed: ", std::string(OutcomeName(step.ending->outcome)), ": ", step.ending->message));
  }
  for (const OracleSample& sample : lease.oracle_samples) {
    if (sample.output >= lease.outputs.size())
      return absl::InvalidArgumentError("an oracle sample of no output");
    const TensorSpec& spec = lease.outputs[sample.output];
    const Difference difference = CompareSamples(spec, sample, expected[0][sample.output].data());
    if (!(difference.max_error <= Bound(spec.dtype, lease.tolerance))) {
      return absl::UnavailableError(
          absl::StrCat("the oracle disagrees with the interpreter: ", Describe(sample.output, difference)));
    }
  }
  return expected;
}

// All runners start together: loading and packing overlap.
absl::Status LeaseExecutor::StartEntrants(Batch& batch) {
  for (Entrant& entrant : batch.entrants) {
    auto runner = StartRunner(batch, entrant.trial->object, batch.lease.threads);
    if (!runner.ok()) return runner.status();
    entrant.runner = *std::move(runner);
  }
  const absl::Duration limit = absl::Seconds(kLoadLimitSeconds + batch.lease.run_limit_seconds);
  for (Entrant& entrant : batch.entrants) {
    const StepResult step = entrant.runner->AwaitLoaded(limit);
    if (step.ending) entrant.End(*step.ending);
  }
  return absl::OkStatus();
}

void LeaseExecutor::CheckEntrant(Batch& batch, Entrant& entrant) const {
  const Lease& lease = batch.lease;
  double max_error = entrant.measurement.max_error;
  for (uint32_t set = 0; set < batch.input_sets && entrant.runner; ++set) {
    const StepResult step = entrant.runner->Check(set, batch.CallLimit());
    if (step.ending) return entrant.End(*step.ending);
    entrant.first_seconds = static_cast<double>(step.reply.wall_nanoseconds) * 1e-9;
    for (size_t i = 0; i < lease.outputs.size(); ++i) {
      const Difference difference = CompareTensors(lease.outputs[i], (*batch.expected)[set][i].data(),
                                                   entrant.runner->outputs().data(i));
      if (!(difference.max_error <= Bound(lease.outputs[i].dtype, lease.tolerance))) {
        entrant.End({Outcome::kWrongOutput, Describe(i, difference)});
        entrant.measurement.max_error = difference.max_error;
        return;
      }
      max_error = std::max(max_error, difference.max_error);
    }
  }
  entrant.measurement.max_error = max_error;
}

absl::Status LeaseExecutor::Measure(Batch& batch) const {
  const Lease& lease = batch.lease;
  std::vector<Entrant*> live;
  for (Entrant& entrant : batch.entrants) {
    if (entrant.runner) live.push_back(&entrant);
  }
  if (live.empty()) return absl::OkStatus();
  // A rotation on every core, and a whole module's, shares the host with nobody.
  const bool alone = lease.threads >= options_.device.cores || batch.subject == kRunnerModule;
  absl::StatusOr<HostLock> lock =
      HostLock::Acquire(alone ? HostLock::Mode::kExclusive : HostLock::Mode::kShared,
                        absl::Now() + absl::Seconds(lease.lease_seconds + 60), options_.host_lock_path);
  if (!lock.ok()) return lock.status();

  std::vector<RunnerContestant> contestants;
  std::vector<Contestant*> pointers;
  std::vector<double> first_seconds;
  RotationOptions options{
      .windows = lease.windows, .run_limit_seconds = lease.run_limit_seconds, .seed = lease.seed};
  contestants.reserve(live.size());
  for (size_t i = 0; i < live.size(); ++i) {
    if (live[i]->is_incumbent) options.incumbent = i;
    contestants.emplace_back(live[i]->runner.get(), absl::Seconds(lease.run_limit_seconds));
    pointers.push_back(&contestants.back());
    first_seconds.push_back(live[i]->first_seconds);
  }
  CoreChoice cores;
  const auto pin = [&] {
    for (Entrant* entrant : live) entrant->runner->PinTo(cores.Take(lease.threads));
  };
  pin();
  const auto after_round = [&](double kept) {
    if (kept >= kMinKeptFraction) return;
    cores.Move();
    pin();
  };
  const ReadProbe read_probe(kProbeReadBytes);
  const double probe_seconds = absl::ToDoubleSeconds(kProbeTime);
  const double gflops_before = MeasureGflops(BestCpuProbe(), probe_seconds);
  const double gbps_before = read_probe.Gbps(kProbeReadBytes, probe_seconds);
  std::vector<Measurement> measurements = Rotate(pointers, first_seconds, options, after_round);
  const double gflops_after = MeasureGflops(BestCpuProbe(), probe_seconds);
  const double gbps_after = read_probe.Gbps(kProbeReadBytes, probe_seconds);
  for (size_t i = 0; i < live.size(); ++i) {
    Measurement& m = measurements[i];
    m.max_error = live[i]->measurement.max_error;
    m.probe_gflops_before = gflops_before;
    m.probe_gflops_after = gflops_after;
    m.probe_read_gbps_before = gbps_before;
    m.probe_read_gbps_after = gbps_after;
    live[i]->measurement = std::move(m);
  }
  return absl::OkStatus();
}

}  // namespace hone
