#include "server/jobs/job_session.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"
#include "server/storage/durable_file.h"
#include "server/workers/device_match.h"
#include "server/workers/record_message.h"

namespace hone {
namespace {

constexpr absl::Duration kExitPatience = absl::Seconds(10);  // after the last message
constexpr size_t kMaxTrialIdBytes = 64;
constexpr int kMaxTrials = 1024;                           // of a batch
constexpr uint64_t kMaxObjectBytes = uint64_t{256} << 20;  // of a batch of candidates, together
constexpr double kOracleSeconds = 600;
// A search sends some hundred messages a second at most.
constexpr absl::Duration kFloodWindow = absl::Seconds(10);
constexpr size_t kFloodBytes = size_t{256} << 20, kBytesPerFrame = 16 << 10;

BlobId IdOf(const v1::BlobRef& blob) { return {blob.sha256(), blob.size()}; }

BatchKind KindOf(const v1::ProposeBatch& proposal) {
  switch (proposal.lease().kind()) {
    case v1::LEASE_KIND_CALIBRATE:
      return BatchKind::kCalibrate;
    case v1::LEASE_KIND_MODULE:
      return BatchKind::kModule;
    default:
      return BatchKind::kCandidates;
  }
}

v1::LeaseKind KindOf(BatchKind kind) {
  switch (kind) {
    case BatchKind::kCalibrate:
      return v1::LEASE_KIND_CALIBRATE;
    case BatchKind::kCandidates:
      return v1::LEASE_KIND_CANDIDATES;
    case BatchKind::kModule:
      return v1::LEASE_KIND_MODULE;
  }
  return v1::LEASE_KIND_UNSPECIFIED;
}

// The backstop against a worker that lives but never ends: each candidate's limit twice over (making ready,
// measuring), and time for the oracle. The worker's own limits come first.
double LongestRun(const v1::ProposeBatch& proposal) {
  const double each = proposal.lease().run_limit_seconds();
  return each > 0 ? 2 * each * (proposal.trials_size() + 2) + kOracleSeconds : 0;
}

absl::Status CheckTrials(const v1::ProposeBatch& proposal) {
  std::set<std::string> ids;
  if (proposal.trials_size() > kMaxTrials)
    return absl::InvalidArgumentError(absl::StrCat("a batch of ", proposal.trials_size(), " trials"));
  for (const v1::ProposedTrial& trial : proposal.trials()) {
    if (trial.trial_id().empty() || trial.trial_id().size() > kMaxTrialIdBytes ||
        !ids.insert(trial.trial_id()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("batch ", proposal.number(), ": bad or repeated trial id '", trial.trial_id(), "'"));
    }
    if (trial.ended() == v1::OUTCOME_UNSPECIFIED && trial.object().sha256().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("trial ", trial.trial_id(), " has neither an object nor an outcome"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<FileDescriptor>> OpenFiles(BlobStore& blobs, const std::vector<FileRow>& files) {
  std::vector<FileDescriptor> opened;
  for (const FileRow& file : files) {
    HONE_ASSIGN_OR_RETURN(FileDescriptor descriptor, blobs.OpenBlob(file.blob.sha256));
    opened.push_back(std::move(descriptor));
  }
  return opened;
}

absl::StatusOr<JobSession::End> JobSession::Run() {
  wake_up_.Arm();
  absl::Status status = Start();
  if (status.ok()) status = Loop();
  starved_ = !gone_ && (absl::IsUnavailable(status) || absl::IsResourceExhausted(status));
  if (child_ == nullptr) return status;
  if (!ended_) FlushProgress(true).IgnoreError();  // only display; the child's death is what is told
  if (status.ok()) {
    if (!ended_) return End::kStopped;
    child_->Reap(kExitPatience);
    return End::kJobEnded;
  }
  const std::string death = child_->Reap(gone_ ? kExitPatience : absl::ZeroDuration());
  if (gone_) return absl::UnavailableError(absl::StrCat("hone-job ", death));
  return absl::Status(status.code(), absl::StrCat("hone-job was ended: ", status.message()));
}

absl::StatusOr<v1::StartJob> DescribeJob(Store& store, const JobRow& job, const ModelRow& model) {
  HONE_ASSIGN_OR_RETURN(std::vector<StoredBatchRow> batches, store.ListBatches(job.id));
  HONE_ASSIGN_OR_RETURN(std::vector<RecordRow> log, store.ListLog(job.id, 0));
  v1::StartJob start;
  v1::JobProgress progress;
  if (!start.mutable_spec()->ParseFromString(job.spec_bytes) ||
      !progress.ParseFromString(job.progress_bytes)) {
    return absl::DataLossError("the stored job does not parse");
  }
  start.set_job("jobs/" + job.id);
  start.set_model_display_name(job.model_display_name);
  start.set_main_file(model.main_file);
  for (const FileRow& file : model.files) start.add_file_names(file.name);
  for (const StoredBatchRow& stored : batches) {
    v1::ProposeBatch proposal;
    if (!proposal.ParseFromString(stored.batch.proposal_bytes))
      return absl::DataLossError("a stored batch does not parse");
    v1::StoredBatch& batch = *start.add_batches();
    batch.set_number(stored.batch.number);
    batch.set_task_key(proposal.task_key());
    batch.set_kind(KindOf(stored.batch.kind));
    for (const TrialRow& trial : stored.trials) {
      batch.add_trial_ids(trial.trial_id);
      batch.add_traces(trial.trace);
    }
  }
  for (const RecordRow& record : log) *start.add_log() = RecordForJob(record);
  if (!job.device_class.empty() && !start.mutable_device()->ParseFromString(job.device_bytes)) {
    return absl::DataLossError("the job's device does not parse");
  }
  start.set_seconds_spent(progress.seconds_spent());
  start.set_resumed_after(job.resumed_after);
  return start;
}

absl::Status JobSession::Start() {
  HONE_ASSIGN_OR_RETURN(row_, services_.store.GetJob(job_));
  HONE_ASSIGN_OR_RETURN(ModelRow model, services_.store.GetModel(row_.model));
  HONE_ASSIGN_OR_RETURN(std::vector<FileDescriptor> files, OpenFiles(services_.blobs, model.files));
  v1::JobMessage message;
  HONE_ASSIGN_OR_RETURN(*message.mutable_start(), DescribeJob(services_.store, row_, model));
  for (const v1::StoredBatch& batch : message.start().batches()) {
    unmeasured_.insert(batch.trial_ids().begin(), batch.trial_ids().end());
  }
  for (const v1::TuningRecord& record : message.start().log()) {
    last_sequence_ = record.sequence();
    unmeasured_.erase(record.trial_id());
  }
  JobChildOptions options = services_.options.child;
  options.log_path = absl::StrCat(services_.options.log_directory, "/", job_, ".log");
  HONE_ASSIGN_OR_RETURN(child_, JobChild::Start(options));
  child_->link().Send(message, std::move(files));
  last_word_ = absl::Now();
  LogEvent("job_child_started",
           {{"job", job_}, {"pid", absl::StrCat(child_->pid())}, {"log_rows", absl::StrCat(message.start().log_size())}});
  return absl::OkStatus();
}

void JobSession::Send(const v1::JobMessage& message) {
  child_->link().Send(message);
  last_word_ = absl::Now();
}

absl::Time JobSession::SilenceDeadline() const {
  const bool our_turn = wanted_target_.has_value() || !unmeasured_.empty();
  return our_turn ? absl::InfiniteFuture() : last_word_ + services_.options.silence_limit;
}

absl::Status JobSession::CountBytes(size_t bytes) {
  const absl::Time now = absl::Now();
  if (now > flood_until_) {
    flood_until_ = now + kFloodWindow;
    flood_bytes_ = 0;
  }
  flood_bytes_ += bytes + kBytesPerFrame;
  if (flood_bytes_ <= kFloodBytes) return absl::OkStatus();
  return absl::InvalidArgumentError("it floods its link with messages");
}

int JobSession::PollTimeout() const {
  absl::Time next = std::min(cancel_deadline_, SilenceDeadline());
  if (progress_bytes_) next = std::min(next, next_progress_);
  if (next == absl::InfiniteFuture()) return -1;
  return static_cast<int>(std::clamp<int64_t>(absl::ToInt64Milliseconds(next - absl::Now()) + 1, 0, 60'000));
}

absl::Status JobSession::Loop() {
  JobLink& link = child_->link();
  bool look = true;
  while (!ended_ && !wake_up_.stopped()) {
    if (look) HONE_RETURN_IF_ERROR(LookAtJob());
    // A child that is gone, or hears nothing more, is judged after all that it said.
    const absl::Status sent = OfLink(link.Flush());
    const bool write = sent.ok() && link.wants_write();
    pollfd wait[] = {{link.descriptor(), static_cast<short>(write ? POLLIN | POLLOUT : POLLIN), 0},
                     {wake_up_.descriptor(), POLLIN, 0}};
    if (poll(wait, 2, PollTimeout()) < 0 && errno != EINTR) return ErrnoStatus("waiting for hone-job");
    look = (wait[1].revents & POLLIN) != 0;
    if (look) wake_up_.Arm();
    if ((wait[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      const absl::Status received = OfLink(link.Receive());
      for (;;) {
        HONE_ASSIGN_OR_RETURN(std::optional<JobFrame> frame, link.Next());
        if (!frame) break;
        last_word_ = absl::Now();
        HONE_RETURN_IF_ERROR(CountBytes(frame->bytes));
        HONE_RETURN_IF_ERROR(Handle(*std::move(frame)));
        if (ended_) return absl::OkStatus();
      }
      HONE_RETURN_IF_ERROR(received);
      HONE_RETURN_IF_ERROR(sent);
    }
    HONE_RETURN_IF_ERROR(FlushProgress(false));
    if (absl::Now() > SilenceDeadline()) {
      return absl::DeadlineExceededError(
          absl::StrCat("it said nothing for ", absl::FormatDuration(services_.options.silence_limit)));
    }
    if (absl::Now() > cancel_deadline_) {
      return EndJob(JobState::kCancelled, "cancelled; hone-job did not finish the best so far in time",
                    std::nullopt);
    }
  }
  return absl::OkStatus();
}

absl::Status JobSession::OfLink(absl::Status status) {
  gone_ = gone_ || absl::IsUnavailable(status);
  return status;
}

absl::Status JobSession::Handle(JobFrame frame) {
  switch (frame.message.body_case()) {
    case v1::JobMessage::kProgress:
      progress_bytes_ = frame.message.progress().SerializeAsString();
      return absl::OkStatus();
    case v1::JobMessage::kPropose:
      return HandleBatch(frame.message);
    case v1::JobMessage::kModule:
      return HandleModule(frame.message);
    case v1::JobMessage::kFailed: {
      HONE_RETURN_IF_ERROR(FlushProgress(true));
      const absl::Status failure = FailureOf(frame.message.failed());
      const std::string error =
          absl::StrCat(absl::StatusCodeToString(failure.code()), ": ", failure.message());
      return EndJob(row_.cancel_requested ? JobState::kCancelled : JobState::kFailed, error, std::nullopt);
    }
    case v1::JobMessage::kWantDevice:
      wanted_target_ = frame.message.want_device().target();
      return ChooseDevice();
    default:
      return absl::InvalidArgumentError("a message that no job sends");
  }
}

absl::Status JobSession::HandleBatch(const v1::JobMessage& message) {
  const v1::ProposeBatch& proposal = message.propose();
  HONE_RETURN_IF_ERROR(CheckTrials(proposal));
  if (!unmeasured_.empty())
    return absl::InvalidArgumentError(absl::StrCat("batch ", proposal.number(), " before the last one is measured"));
  std::vector<BlobId> objects;
  uint64_t bytes = 0;
  for (const v1::BlobRef& blob : BlobsOf(message)) {
    objects.push_back(IdOf(blob));
    bytes += blob.size();
  }
  if (KindOf(proposal) == BatchKind::kCandidates && bytes > kMaxObjectBytes)
    return absl::InvalidArgumentError(absl::StrCat("a batch of ", bytes, " bytes of objects"));
  HONE_RETURN_IF_ERROR(services_.blobs.Import(objects, child_->outbox()));
  HONE_RETURN_IF_ERROR(child_->EmptyOutbox());

  v1::JobSpec spec;
  if (!spec.ParseFromString(row_.spec_bytes)) return absl::DataLossError("the stored job does not parse");
  RecordContext context{.job = job_,
                        .model_display_name = row_.model_display_name,
                        .kind = KindOf(proposal),
                        .seed = spec.seed(),
                        .device_class = row_.device_class};
  context.proposal = proposal;
  context.proposal.clear_trials();
  BatchRow batch{.job = job_,
                 .number = proposal.number(),
                 .kind = context.kind,
                 .proposal_bytes = context.proposal.SerializeAsString(),
                 .run_seconds = LongestRun(proposal)};
  for (const BlobId& object : objects) batch.objects.push_back(object.sha256);
  std::vector<TrialRow> trials;
  std::vector<RecordRow> ended;
  for (const v1::ProposedTrial& trial : proposal.trials()) {
    trials.push_back({.trial_id = trial.trial_id(),
                      .trace = trial.trace(),
                      .object = IdOf(trial.object()),
                      .predicted_seconds = trial.predicted_seconds()});
    if (trial.ended() == v1::OUTCOME_UNSPECIFIED) continue;
    v1::Measurement measurement;
    measurement.set_outcome(trial.ended());
    measurement.set_message(trial.message());
    ended.push_back(MakeRecordRow(context, trials.back(), measurement));
  }
  HONE_RETURN_IF_ERROR(services_.store.StoreBatch(batch, trials, ended));
  progressed_ = true;
  for (const TrialRow& trial : trials) unmeasured_.insert(trial.trial_id);
  v1::JobMessage stored;
  stored.mutable_batch_stored()->set_number(proposal.number());
  Send(stored);
  services_.hub.Notify(kLeasesTopic);
  services_.hub.Notify(JobTopic(job_));  // wakes this session too, for the records of those that ended
  return absl::OkStatus();
}

absl::Status JobSession::HandleModule(const v1::JobMessage& message) {
  const v1::ModuleBuilt& built = message.module();
  ModuleRow module{.id = job_,
                   .job = job_,
                   .model = row_.model,
                   .target = built.target(),
                   .report_json = built.report_json()};
  std::vector<BlobId> blobs;
  for (const v1::NamedBlob& file : built.files()) module.files.push_back({file.name(), IdOf(file.blob())});
  for (const v1::BlobRef& blob : BlobsOf(message)) blobs.push_back(IdOf(blob));
  HONE_RETURN_IF_ERROR(services_.blobs.Import(blobs, child_->outbox()));
  HONE_RETURN_IF_ERROR(FlushProgress(true));
  HONE_ASSIGN_OR_RETURN(row_, services_.store.GetJob(job_));
  return EndJob(row_.cancel_requested ? JobState::kCancelled : JobState::kSucceeded, "", module);
}

absl::Status JobSession::EndJob(JobState state, const std::string& error,
                                const std::optional<ModuleRow>& module) {
  HONE_RETURN_IF_ERROR(services_.store.EndJob(job_, state, error, module));
  ended_ = true;
  services_.hub.Notify(JobTopic(job_));
  services_.hub.Notify(kLeasesTopic);  // workers drop what is left of it
  LogEvent("job_ended", {{"job", job_}, {"error", error}, {"module", module ? module->id : ""}});
  return absl::OkStatus();
}

absl::Status JobSession::LookAtJob() {
  const uint64_t suspect = row_.suspect_records;
  HONE_ASSIGN_OR_RETURN(row_, services_.store.GetJob(job_));
  if (row_.suspect_records != suspect)
    return absl::AbortedError("a worker was quarantined; the job begins again without its records");
  HONE_ASSIGN_OR_RETURN(std::vector<RecordRow> records, services_.store.ListLog(job_, last_sequence_));
  if (!records.empty()) {
    v1::JobMessage message;
    for (const RecordRow& record : records) {
      *message.mutable_records()->add_records() = RecordForJob(record);
      last_sequence_ = record.sequence;
      unmeasured_.erase(record.trial_id);
    }
    Send(message);
    progressed_ = true;
  }
  if (row_.cancel_requested && cancel_deadline_ == absl::InfiniteFuture()) {
    cancel_deadline_ = absl::Now() + services_.options.cancel_grace;
    v1::JobMessage message;
    message.mutable_cancel();
    Send(message);
  }
  return wanted_target_ ? ChooseDevice() : absl::OkStatus();
}

absl::Status JobSession::ChooseDevice() {
  v1::JobMessage message;
  v1::Device& device = *message.mutable_device()->mutable_device();
  if (row_.device_class.empty()) {
    HONE_ASSIGN_OR_RETURN(std::vector<WorkerRow> workers, services_.store.ListWorkers({0, 10'000}));
    const WorkerRow* chosen = nullptr;
    for (const WorkerRow& worker : workers) {
      if (worker.device_class.empty() || worker.hold != WorkerHold::kNone ||
          services_.broker.IsLost(worker) || !device.ParseFromString(worker.device_bytes))
        continue;
      if (!DeviceRuns(device, *wanted_target_)) continue;
      if (chosen == nullptr || (chosen->busy && !worker.busy)) chosen = &worker;
    }
    if (chosen == nullptr) return absl::OkStatus();  // the workers' topic wakes us
    HONE_ASSIGN_OR_RETURN(row_,
                          services_.store.ChooseDevice(job_, chosen->device_class, chosen->device_bytes));
    LogEvent("job_device_chosen", {{"job", job_}, {"device_class", row_.device_class}});
    services_.hub.Notify(JobTopic(job_));
  }
  if (!device.ParseFromString(row_.device_bytes))
    return absl::DataLossError("the job's device does not parse");
  Send(message);
  wanted_target_.reset();
  return absl::OkStatus();
}

absl::Status JobSession::FlushProgress(bool now) {
  if (!progress_bytes_ || (!now && absl::Now() < next_progress_)) return absl::OkStatus();
  HONE_RETURN_IF_ERROR(services_.store.SetProgress(job_, *progress_bytes_));
  progress_bytes_.reset();
  next_progress_ = absl::Now() + services_.options.progress_interval;
  services_.hub.Notify(JobTopic(job_));
  return absl::OkStatus();
}

}  // namespace hone
