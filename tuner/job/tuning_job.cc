#include "tuner/job/tuning_job.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "proto/values/sha256.h"
#include "proto/values/value_messages.h"
#include "tuner/job/batch_message.h"
#include "tuner/job/explanation.h"
#include "tuner/job/module_reference.h"
#include "tuner/job/oracle.h"
#include "tuner/job/progress.h"
#include "tuner/measured_costs.h"

namespace hone {
namespace {

constexpr double kFirstCutShare = 0.5;  // of the budget, before the model is cut again
constexpr double kMeasuredShare = 0.9;  // of the model's time: below, prices would be compared with prices
constexpr double kTaskTolerance = 2e-5;        // of the largest reference value
constexpr double kModuleTolerance = 1e-4;
constexpr uint32_t kCandidateWindows = 12, kModuleWindows = 15;
constexpr double kLeaseSeconds = 30;
constexpr double kRunLimitSeconds = 20;

absl::Status Within(const Task& task, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("task '", task.Label(), "': ", status.message()));
}

}  // namespace

TuningJob::TuningJob(v1::StartJob start, ModelFiles files, JobLink* link, const HostLockFiles* host)
    : start_(std::move(start)),
      files_(std::move(files)),
      link_(link),
      host_(host),
      model_(start_.spec().seed()),
      begin_(Clock::now()) {}

absl::Status TuningJob::Run() {
  for (const auto step : {&TuningJob::Import, &TuningJob::ChooseDevice, &TuningJob::Cut, &TuningJob::Replay,
                          &TuningJob::Tune, &TuningJob::Finish}) {
    if (absl::Status status = (this->*step)(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::RecordExplanation> TuningJob::Explain(const std::string& task_key,
                                                         const std::string& trace) {
  for (const auto step :
       {&TuningJob::Import, &TuningJob::ChooseDevice, &TuningJob::Cut, &TuningJob::Replay}) {
    if (absl::Status status = (this->*step)(); !status.ok()) return status;
  }
  // The first trial behind a new cut.
  if (!recut_ && !session_->Find(task_key)) {
    if (absl::Status status = Recut(); !status.ok()) return status;
  }
  return ExplainSchedule(*session_, task_key, trace, *host_, &model_);
}

absl::Status TuningJob::Import() {
  if (absl::Status status = SendProgress("importing"); !status.ok()) return status;
  for (const v1::ShapeBinding& binding : start_.spec().shapes()) {
    options_.shapes[binding.input()] = {binding.dims().begin(), binding.dims().end()};
  }
  options_.policy = start_.spec().algorithms() == "exact" ? AlgorithmPolicy::kExact : AlgorithmPolicy::kFast;
  absl::StatusOr<Graph> graph = ImportModel(files_, options_);
  if (!graph.ok()) return graph.status();
  graph_ = *std::move(graph);
  return absl::OkStatus();
}

absl::Status TuningJob::ChooseDevice() {
  if (!start_.has_device()) {
    v1::JobMessage message;
    message.mutable_want_device()->set_target(start_.spec().target());
    if (absl::Status status = link_->Send(message); !status.ok()) return status;
    if (absl::Status status = SendProgress("waiting for a worker"); !status.ok()) return status;
  }
  while (!start_.has_device() && !cancelled_) {
    absl::StatusOr<v1::JobMessage> message = link_->Receive();
    if (!message.ok()) return message.status();
    if (absl::Status status = Handle(*message); !status.ok()) return status;
  }
  if (!start_.has_device()) return absl::CancelledError("cancelled before a worker was there");
  device_ = FromMessage(start_.device());
  const std::string& wanted = start_.spec().target();
  absl::StatusOr<Target> target = FindTarget(wanted.empty() || wanted == "host" ? device_.target : wanted);
  if (!target.ok()) return target.status();
  options_.target = *target;
  options_.threads = static_cast<int>(start_.spec().threads() > 0 ? start_.spec().threads() : std::max(1u, device_.cores));
  return absl::OkStatus();
}

absl::Status TuningJob::Cut() {
  absl::StatusOr<HostShare> share = HostShare::Begin(*host_);
  if (!share.ok()) return share.status();
  roofline_ = Roofline::Of(device_, options_.target);
  for (int i = 0; i < graph_.tensor_count(); ++i) {
    if (const ConstantRef& constant = graph_.tensor({i}).constant; constant != nullptr) {
      roofline_.model_constant_bytes += static_cast<double>(constant->size);
    }
  }
  prior_.emplace(roofline_);
  absl::StatusOr<CutGraph> cut = CutIntoTasks(graph_, options_, *prior_);
  if (!cut.ok()) return cut.status();
  for (size_t i = 0; i < cut->tasks.size(); ++i) {
    const auto calls = static_cast<uint64_t>(cut->WeightOf(static_cast<int>(i)));
    for (const TensorSpec& spec : cut->tasks[i].ConstantSpecs())
      constant_bytes_ += calls * static_cast<uint64_t>(spec.Bytes());
  }
  roofline_.model_constant_bytes = static_cast<double>(constant_bytes_);
  const v1::JobSpec& spec = start_.spec();
  SessionOptions options{.seed = spec.seed()};
  options.strategy = spec.strategy() == "random" ? SearchStrategy::kRandom : SearchStrategy::kEvolutionary;
  options.budget = {spec.budget().trials(), spec.budget().seconds(), spec.budget().zero_trials()};
  session_.emplace(std::vector<TaskSearch>(), options);
  code_.emplace(*host_);
  return AddCut(*std::move(cut));
}

absl::Status TuningJob::AddCut(CutGraph cut) {
  SearchedCut& searched = cuts_.emplace_back();
  std::vector<TaskSearch> joined;
  for (size_t i = 0; i < cut.tasks.size(); ++i) {
    const Task& task = cut.tasks[i];
    const std::optional<size_t> known = session_->Find(task.Key());
    searched.searches.push_back(known.value_or(session_->tasks().size() + joined.size()));
    if (known) continue;
    absl::StatusOr<TensorProgram> program = LowerTask(task);
    if (!program.ok()) return Within(task, program.status());
    absl::StatusOr<TaskSearch> search =
        TaskSearch::Make(task, *std::move(program), cut.WeightOf(static_cast<int>(i)), roofline_);
    if (!search.ok()) return Within(task, search.status());
    joined.push_back(*std::move(search));
    code_->Add(task);
  }
  searched.cut = std::move(cut);
  session_->Join(std::move(joined));
  session_->Weigh(WeightsOf(searched));
  return absl::OkStatus();
}

std::vector<int> TuningJob::WeightsOf(const SearchedCut& cut) const {
  std::vector<int> weights(session_->tasks().size(), 0);
  for (size_t i = 0; i < cut.searches.size(); ++i)
    weights[cut.searches[i]] = cut.cut.WeightOf(static_cast<int>(i));
  return weights;
}

// Follows from the session's state alone: a job that is restarted cuts the same.
absl::Status TuningJob::Recut() {
  recut_ = true;
  absl::StatusOr<HostShare> share = HostShare::Begin(*host_);
  if (!share.ok()) return share.status();
  const MeasuredCosts costs(session_->tasks(), *prior_);
  absl::StatusOr<CutGraph> again = CutIntoTasks(graph_, options_, costs);
  if (!again.ok()) return again.status();
  if (again->SecondsBy(costs) >= kClearlyCheaper * cuts_.front().cut.SecondsBy(costs))
    return absl::OkStatus();
  return AddCut(*std::move(again));
}

bool TuningJob::TimeToRecut(double seconds_spent) const {
  const v1::Budget& budget = start_.spec().budget();
  if (recut_) return false;
  double measured = 0;
  for (const TaskSearch& search : session_->tasks()) {
    if (search.measured()) measured += search.weight() * search.best_seconds();
  }
  if (measured < kMeasuredShare * session_->PredictedSeconds()) return false;
  return (budget.trials() > 0 && session_->trials_proposed() >= kFirstCutShare * budget.trials()) ||
         (budget.seconds() > 0 && seconds_spent >= kFirstCutShare * budget.seconds());
}

// The log is shown to the session batch by batch, as it was when each next batch was proposed. The first one
// behind a new cut is of a task that is new: it tells where that was, if time decided it.
absl::Status TuningJob::Replay() {
  for (const v1::TuningRecord& record : start_.log()) records_[record.batch()][record.trial_id()] = FromMessage(record);
  for (const v1::StoredBatch& batch : start_.batches()) {
    next_batch_ = batch.number() + 1;
    if (batch.kind() == v1::LEASE_KIND_MODULE) {
      if (batch.number() <= start_.resumed_after()) session_->SkipBatch();
      continue;
    }
    if (TimeToRecut(0) || (!recut_ && !session_->Find(batch.task_key()))) {
      if (absl::Status status = Recut(); !status.ok()) return status;
    }
    const absl::Status status =
        session_->ReplayBatch(batch.number(), batch.task_key(), {batch.trial_ids().begin(), batch.trial_ids().end()},
                              {batch.traces().begin(), batch.traces().end()});
    if (!status.ok()) return status;
    for (const auto& [trial, record] : records_[batch.number()]) session_->Observe(record);
  }
  start_.clear_log();
  return absl::OkStatus();
}

absl::Status TuningJob::Tune() {
  while (!cancelled_) {
    while (!session_->BatchComplete() && !cancelled_) {
      if (absl::Status status = SendProgress("tuning"); !status.ok()) return status;
      absl::StatusOr<v1::JobMessage> message = link_->Receive();
      if (!message.ok()) return message.status();
      if (absl::Status status = Handle(*message); !status.ok()) return status;
    }
    if (absl::Status status = ReceivePending(); !status.ok()) return status;
    if (cancelled_) break;
    // A module batch that is stored says that tuning had ended, unless the job was resumed since.
    if (next_batch_ != session_->next_number()) break;
    if (TimeToRecut(SecondsSpent())) {
      if (absl::Status status = Recut(); !status.ok()) return status;
    }
    absl::StatusOr<std::optional<Batch>> batch = NextBatch();
    if (!batch.ok()) return batch.status();
    if (batch->has_value()) {
      if (absl::Status status = SendBatch(**batch); !status.ok()) return status;
    } else if (recut_ || session_->trials_done() == 0) {
      break;
    } else if (absl::Status status = Recut(); !status.ok()) {
      return status;
    }
  }
  return SendProgress("compiling");
}

absl::StatusOr<std::optional<Batch>> TuningJob::NextBatch() {
  absl::StatusOr<HostShare> share = HostShare::Begin(*host_);
  if (!share.ok()) return share.status();
  return session_->Next(SecondsSpent(), &model_);
}

absl::Status TuningJob::Handle(const v1::JobMessage& message) {
  switch (message.body_case()) {
    case v1::JobMessage::kDevice: *start_.mutable_device() = message.device().device(); break;
    case v1::JobMessage::kCancel: cancelled_ = true; break;
    case v1::JobMessage::kBatchStored: outbox_full_ = false; break;
    case v1::JobMessage::kRecords:
      for (const v1::TuningRecord& stored : message.records().records()) {
        const TuningRecord record = FromMessage(stored);
        if (session_) session_->Observe(record);
        records_[record.batch][record.trial_id] = record;
      }
      break;
    default: return absl::InvalidArgumentError("a message that no server sends to a job");
  }
  return absl::OkStatus();
}

absl::Status TuningJob::ReceivePending() {
  while (link_->Waiting()) {
    absl::StatusOr<v1::JobMessage> message = link_->Receive();
    if (!message.ok()) return message.status();
    if (absl::Status status = Handle(*message); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status TuningJob::AwaitEmptyOutbox() {
  while (outbox_full_) {
    absl::StatusOr<v1::JobMessage> message = link_->Receive();
    if (!message.ok()) return message.status();
    if (absl::Status status = Handle(*message); !status.ok()) return status;
  }
  return absl::OkStatus();
}

double TuningJob::SecondsSpent() const {
  return start_.seconds_spent() + std::chrono::duration<double>(Clock::now() - begin_).count();
}

absl::Status TuningJob::SendProgress(const std::string& phase) {
  v1::JobMessage message;
  v1::JobProgress& progress = *message.mutable_progress();
  const v1::Budget& budget = start_.spec().budget();
  progress.set_phase(phase);
  progress.set_seconds_spent(SecondsSpent());
  progress.set_seconds_budget(budget.seconds());
  progress.set_trials_budget(budget.trials());
  if (session_) AddTasks(*session_, &progress);
  return link_->Send(message);
}

absl::Status TuningJob::SendBatch(const Batch& batch) {
  if (absl::Status status = AwaitEmptyOutbox(); !status.ok()) return status;
  const size_t t = static_cast<size_t>(batch.task);
  const TaskSearch& search = session_->tasks()[t];
  const Task& task = search.task();
  v1::JobMessage message;
  v1::ProposeBatch& proposal = *message.mutable_propose();
  proposal.set_number(batch.number);
  proposal.set_task_key(task.Key());
  proposal.set_task_label(task.Label());
  proposal.set_trace_version(Trace::kVersion);
  proposal.set_compiler_build(CompilerBuild());
  proposal.set_target(options_.target.ToString());
  Cargo cargo(link_->outbox());
  code_->KeepOnly(t, {ReferenceTrace().ToString(), search.default_trace().ToString(), search.best_trace().ToString()});
  for (size_t i = 0; i < batch.drafts.size(); ++i) {
    v1::ProposedTrial& trial = *proposal.add_trials();
    trial.set_trial_id(absl::StrCat("b", batch.number, ".", i));
    trial.set_trace(batch.drafts[i].trace.ToString());
    trial.set_predicted_seconds(batch.drafts[i].predicted_seconds);
    const absl::StatusOr<std::string> object = code_->CandidateOf(t, batch.drafts[i].trace);
    if (object.ok()) {
      if (absl::Status status = cargo.Add(*object, trial.mutable_object()); !status.ok()) return status;
    } else {
      trial.set_ended(v1::OUTCOME_COMPILE_ERROR);
      trial.set_message(std::string(object.status().message()));
    }
  }
  const absl::StatusOr<std::string> incumbent = code_->CandidateOf(t, batch.incumbent);
  if (!incumbent.ok()) return Within(task, incumbent.status());
  const absl::StatusOr<std::string> oracle = code_->CandidateOf(t, ReferenceTrace());
  if (!oracle.ok()) return Within(task, oracle.status());
  v1::Lease& lease = *proposal.mutable_lease();
  lease.set_kind(v1::LEASE_KIND_CANDIDATES);
  lease.set_task_key(task.Key());
  lease.set_threads(static_cast<uint32_t>(options_.threads));
  FillSpecs(task.InputSpecs(), lease.mutable_inputs());
  FillSpecs(task.ConstantSpecs(), lease.mutable_constants());
  FillSpecs(task.OutputSpecs(), lease.mutable_outputs());
  lease.set_seed(start_.spec().seed());
  lease.mutable_incumbent()->set_trial_id("incumbent");
  absl::Status added = cargo.Add(*incumbent, lease.mutable_incumbent()->mutable_object());
  if (added.ok()) added = cargo.Add(*oracle, lease.mutable_oracle_object());
  if (!added.ok()) return added;
  if (!oracle_samples_.contains(t)) {
    absl::StatusOr<HostShare> share = HostShare::Begin(*host_);
    if (!share.ok()) return share.status();
    absl::StatusOr<std::vector<v1::OracleSample>> samples = InterpretSamples(task, search.program(), start_.spec().seed());
    if (!samples.ok()) return Within(task, samples.status());
    oracle_samples_[t] = *std::move(samples);
  }
  for (const v1::OracleSample& sample : oracle_samples_[t]) *lease.add_oracle_samples() = sample;
  lease.set_tolerance(kTaskTolerance);
  lease.set_floor_seconds(search.floor_seconds());
  lease.set_model_constant_bytes(constant_bytes_);
  lease.set_windows(kCandidateWindows);
  lease.set_run_limit_seconds(kRunLimitSeconds);
  lease.set_lease_seconds(kLeaseSeconds);
  next_batch_ = batch.number + 1;
  outbox_full_ = true;
  return link_->Send(message);
}

// By what was measured. A cut with a task that nobody has measured is none to hand over.
const TuningJob::SearchedCut& TuningJob::FastestCut() const {
  const auto seconds = [&](const SearchedCut& cut) {
    double sum = 0;
    for (size_t i = 0; i < cut.searches.size(); ++i) {
      const TaskSearch& search = session_->tasks()[cut.searches[i]];
      if (cut.searches[i] >= cuts_.front().searches.size() && !search.measured()) return HUGE_VAL;
      sum += cut.cut.WeightOf(static_cast<int>(i)) * search.best_seconds();
    }
    return sum;
  };
  return seconds(cuts_.back()) < seconds(cuts_.front()) ? cuts_.back() : cuts_.front();
}

absl::StatusOr<ModuleFiles> TuningJob::BuildWith(const SearchedCut& cut, const std::vector<Trace>& traces,
                                                 double predicted_seconds) {
  if (model_digest_.empty()) model_digest_ = Sha256Hex(files_.files.at(files_.main_file).bytes);
  ModuleOptions options{.name = files_.name,
                        .model_digest = model_digest_,
                        .compiler_build = CompilerBuild(),
                        .target = options_.target,
                        .threads = options_.threads,
                        .predicted_seconds = predicted_seconds};
  std::vector<CompiledTask> tasks;
  for (const size_t search : cut.searches) {
    const absl::StatusOr<const CompiledTask*> task = code_->Of(search, traces[search]);
    if (!task.ok()) return Within(session_->tasks()[search].task(), task.status());
    tasks.push_back(**task);
    options.traces.push_back(traces[search].ToString());
  }
  absl::StatusOr<HostShare> share = HostShare::Begin(*host_);
  if (!share.ok()) return share.status();
  return BuildModule(cut.cut, tasks, options);
}

namespace {

// The shared library among a module's files.
absl::StatusOr<const std::string*> Library(const ModuleFiles& files) {
  for (const auto& [name, bytes] : files) {
    if (name.size() > 3 && name.compare(name.size() - 3, 3, ".so") == 0) return &bytes;
  }
  return absl::InternalError("the module has no shared library");
}

}  // namespace

absl::StatusOr<std::optional<ModuleComparison>> TuningJob::Compare(const ModuleFiles& by_default,
                                                                   const ModuleFiles& tuned) {
  const ModuleReference reference = ReferenceOf(*session_);
  const uint32_t number = session_->next_number();
  const std::string trial = absl::StrCat("b", number, ".0"), incumbent = absl::StrCat("b", number, ".incumbent");
  if (next_batch_ == number) {
    if (absl::Status status = AwaitEmptyOutbox(); !status.ok()) return status;
    v1::JobMessage message;
    v1::ProposeBatch& proposal = *message.mutable_propose();
    proposal.set_number(number);
    proposal.set_task_label("module");
    proposal.set_trace_version(Trace::kVersion);
    proposal.set_compiler_build(CompilerBuild());
    proposal.set_target(options_.target.ToString());
    Cargo cargo(link_->outbox());
    const auto add = [&](const ModuleFiles& module, v1::BlobRef* ref) -> absl::Status {
      const absl::StatusOr<const std::string*> library = Library(module);
      return library.ok() ? cargo.Add(**library, ref) : library.status();
    };
    v1::ProposedTrial& proposed = *proposal.add_trials();
    proposed.set_trial_id(trial);
    proposed.set_predicted_seconds(session_->PredictedSeconds());
    v1::Lease& lease = *proposal.mutable_lease();
    lease.set_kind(v1::LEASE_KIND_MODULE);
    lease.set_threads(static_cast<uint32_t>(options_.threads));
    const Graph& graph = cuts_.front().cut.graph;
    FillSpecs(ModuleSpecs(graph, graph.inputs()), lease.mutable_inputs());
    FillSpecs(ModuleSpecs(graph, graph.outputs()), lease.mutable_outputs());
    lease.set_seed(start_.spec().seed());
    lease.mutable_incumbent()->set_trial_id("incumbent");
    if (absl::Status status = add(tuned, proposed.mutable_object()); !status.ok()) return status;
    if (absl::Status status = add(by_default, lease.mutable_incumbent()->mutable_object()); !status.ok()) return status;
    if (reference.name != "default") {
      absl::StatusOr<ModuleFiles> oracle = BuildWith(cuts_.front(), reference.traces, 0);
      if (!oracle.ok()) return oracle.status();
      if (absl::Status status = add(*oracle, lease.mutable_oracle_object()); !status.ok()) return status;
    }
    lease.set_tolerance(kModuleTolerance);
    lease.set_windows(kModuleWindows);
    lease.set_run_limit_seconds(kRunLimitSeconds);
    lease.set_lease_seconds(kLeaseSeconds);
    next_batch_ = number + 1;
    outbox_full_ = true;
    if (absl::Status status = link_->Send(message); !status.ok()) return status;
  }
  if (absl::Status status = SendProgress("verifying"); !status.ok()) return status;
  while (!records_[number].contains(trial) || !records_[number].contains(incumbent)) {
    const auto lost = records_[number].find(trial);
    if (lost != records_[number].end() && lost->second.measurement.outcome != Outcome::kOk) break;
    absl::StatusOr<v1::JobMessage> message = link_->Receive();
    if (!message.ok()) return message.status();
    if (absl::Status status = Handle(*message); !status.ok()) return status;
  }
  ModuleComparison comparison{.tolerance = kModuleTolerance, .reference = reference.name};
  comparison.tuned = records_[number].at(trial).measurement;
  if (const auto found = records_[number].find(incumbent); found != records_[number].end()) {
    comparison.by_default = found->second.measurement;
  }
  return comparison;
}

ReportInput TuningJob::ReportOf(const std::optional<ModuleComparison>& comparison) const {
  return {.model = files_.name,
          .job = start_.job(),
          .target = options_.target.ToString(),
          .threads = options_.threads,
          .device = device_,
          .seconds = SecondsSpent(),
          .session = *session_,
          .comparison = comparison};
}

absl::Status TuningJob::Finish() {
  std::vector<Trace> defaults, best;
  for (const TaskSearch& task : session_->tasks()) {
    defaults.push_back(task.default_trace());
    best.push_back(task.best_trace());
  }
  session_->Weigh(WeightsOf(cuts_.front()));
  absl::StatusOr<ModuleFiles> by_default =
      BuildWith(cuts_.front(), defaults, session_->DefaultPredictedSeconds());
  if (!by_default.ok()) return by_default.status();
  std::optional<ModuleFiles> tuned;   // none: nothing beat its default, both are one module
  const SearchedCut& fastest = FastestCut();
  session_->Weigh(WeightsOf(fastest));
  if (&fastest != &cuts_.front() || best != defaults) {
    absl::StatusOr<ModuleFiles> built = BuildWith(fastest, best, session_->PredictedSeconds());
    if (!built.ok()) return built.status();
    tuned = *std::move(built);
  }
  std::optional<ModuleComparison> comparison;
  if (!cancelled_) {
    absl::StatusOr<std::optional<ModuleComparison>> compared = Compare(*by_default, tuned ? *tuned : *by_default);
    if (!compared.ok()) return compared.status();
    comparison = *std::move(compared);
    if (comparison->by_default.outcome != Outcome::kOk) {
      return absl::DataLossError(absl::StrCat("the module of default schedules is not right on the device: ",
                                              std::string(OutcomeName(comparison->by_default.outcome)), " ",
                                              comparison->by_default.message));
    }
  }
  const ReportInput input = ReportOf(comparison);
  if (!input.DeliversTuned()) session_->Weigh(WeightsOf(cuts_.front()));
  ModuleFiles files = tuned && input.DeliversTuned() ? *std::move(tuned) : *std::move(by_default);
  const std::string report = ReportJson(input);
  files["report.json"] = report;
  return SendModule(files, report);
}

absl::Status TuningJob::SendModule(const ModuleFiles& files, const std::string& report) {
  if (absl::Status status = AwaitEmptyOutbox(); !status.ok()) return status;
  v1::JobMessage message;
  v1::ModuleBuilt& built = *message.mutable_module();
  Cargo cargo(link_->outbox());
  for (const auto& [name, bytes] : files) {
    v1::NamedBlob& file = *built.add_files();
    file.set_name(name);
    if (absl::Status status = cargo.Add(bytes, file.mutable_blob()); !status.ok()) return status;
  }
  built.set_report_json(report);
  built.set_target(options_.target.ToString());
  return link_->Send(message);
}

}  // namespace hone
