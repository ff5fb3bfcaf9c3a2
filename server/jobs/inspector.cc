#include "server/jobs/inspector.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "proto/values/readable_text.h"
#include "server/execution/status_macros.h"
#include "server/workers/record_message.h"

namespace hone {

namespace {

constexpr absl::Duration kLook = absl::Milliseconds(200);  // between looks whether the caller is still there
constexpr size_t kMaxFeatureName = 64;
// An inspection maps the model's files, reads them into messages and keeps what it needs of those.
constexpr uint64_t kOwnBytes = uint64_t{1} << 30, kBytesPerByte = 3;

v1::JobMessage MessageFor(const v1::InspectModelRequest& request, const ModelRow& model) {
  v1::JobMessage message;
  v1::InspectModelRequest& inspect = *message.mutable_inspect();
  inspect = request;
  inspect.set_model_display_name(model.display_name);
  inspect.set_main_file(model.main_file);
  inspect.clear_file_names();
  for (const FileRow& file : model.files) inspect.add_file_names(file.name);
  return message;
}

// The child's answer, a message of the kind that is wanted, or why there is none.
absl::StatusOr<v1::JobMessage> Await(JobChild& child, v1::JobMessage::BodyCase wanted, absl::Duration limit,
                                     const std::function<bool()>& cancelled) {
  const absl::Time deadline = absl::Now() + limit;
  for (;;) {
    absl::StatusOr<JobFrame> frame = child.link().ReadFrame(std::min(deadline, absl::Now() + kLook));
    if (absl::IsUnavailable(frame.status())) {
      const std::string text =
          absl::StrCat("inspecting the model failed: hone-job ", child.Reap(absl::Seconds(5)));
      return child.ran_out_of_memory() ? absl::ResourceExhaustedError(text) : absl::InternalError(text);
    }
    if (absl::IsDeadlineExceeded(frame.status())) {
      if (cancelled()) return absl::CancelledError("the caller has gone");
      if (absl::Now() < deadline) continue;
      return absl::DeadlineExceededError(
          absl::StrCat("inspecting the model took longer than ", absl::FormatDuration(limit)));
    }
    HONE_RETURN_IF_ERROR(frame.status());
    if (frame->message.has_failed()) return FailureOf(frame->message.failed());
    if (frame->message.body_case() == wanted) return std::move(frame->message);
  }
}

absl::StatusOr<v1::JobMessage> Ask(JobServices& services, const v1::JobMessage& question,
                                   const ModelRow& model, v1::JobMessage::BodyCase wanted, uint64_t memory,
                                   const std::function<bool()>& cancelled) {
  HONE_RETURN_IF_ERROR(CountFiles(question).status());
  HONE_ASSIGN_OR_RETURN(std::vector<FileDescriptor> files, OpenFiles(services.blobs, model.files));
  const absl::Duration limit = services.options.inspect_limit;
  JobChildOptions options = services.options.child;
  options.log_path = services.options.log_directory + "/inspect.log";
  options.cpu_seconds = static_cast<uint64_t>(absl::ToInt64Seconds(limit)) * 4;  // of all its threads
  options.outbox_bytes = 0;
  options.address_space_bytes = std::min(options.address_space_bytes, memory);
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<JobChild> child, JobChild::Start(options));
  child->link().Send(question, std::move(files));
  return Await(*child, wanted, limit, cancelled);
}

// Leaves what the job knew when it proposed the batch.
void ForgetFrom(uint32_t batch, v1::StartJob& start) {
  auto& batches = *start.mutable_batches();
  while (!batches.empty() && batches.rbegin()->number() >= batch) batches.RemoveLast();
  auto& log = *start.mutable_log();
  log.erase(std::remove_if(log.begin(), log.end(),
                           [&](const v1::TuningRecord& record) { return record.batch() >= batch; }),
            log.end());
}

}  // namespace

absl::StatusOr<v1::InspectModelResponse> InspectModel(JobServices& services,
                                                      const v1::InspectModelRequest& request,
                                                      const std::function<bool()>& cancelled) {
  const std::string id(absl::StripPrefix(request.model(), "models/"));
  HONE_ASSIGN_OR_RETURN(const ModelRow model, services.store.GetModel(id));
  uint64_t bytes = kOwnBytes;
  for (const FileRow& file : model.files) bytes += kBytesPerByte * file.blob.size;
  HONE_ASSIGN_OR_RETURN(v1::JobMessage answer, Ask(services, MessageFor(request, model), model,
                                                   v1::JobMessage::kInspected, bytes, cancelled));
  return std::move(*answer.mutable_inspected());
}

absl::StatusOr<v1::RecordExplanation> ExplainRecord(JobServices& services, const JobRow& job,
                                                    const RecordRow& record,
                                                    const std::function<bool()>& cancelled) {
  HONE_ASSIGN_OR_RETURN(const ModelRow model, services.store.GetModel(job.model));
  v1::TuningRecord message = RecordMessage(record, /*full=*/true);
  if (message.task_key().empty() || record.trace.empty() || job.device_class.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("records/", record.id, " is not of a task's schedule: no cost model predicts it"));
  }
  v1::JobMessage question;
  v1::ExplainTrial& explain = *question.mutable_explain();
  HONE_ASSIGN_OR_RETURN(*explain.mutable_start(), DescribeJob(services.store, job, model));
  ForgetFrom(record.batch, *explain.mutable_start());
  explain.set_task_key(message.task_key());
  explain.set_trace(record.trace);
  HONE_ASSIGN_OR_RETURN(v1::JobMessage answer,
                        Ask(services, question, model, v1::JobMessage::kExplained, UINT64_MAX, cancelled));
  // The child is the model's; what the record is, the server knows.
  v1::RecordExplanation& explanation = *answer.mutable_explained();
  *explanation.mutable_record() = std::move(message);
  for (v1::FeatureEffect& feature : *explanation.mutable_features())
    feature.set_feature(ReadableText(feature.feature(), kMaxFeatureName));
  return std::move(explanation);
}

}  // namespace hone
