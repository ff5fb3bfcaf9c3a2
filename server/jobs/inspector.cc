#include "server/jobs/inspector.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "server/execution/status_macros.h"

namespace hone {

namespace {

constexpr absl::Duration kLook = absl::Milliseconds(200);  // between looks whether the caller is still there
// An inspection maps the model's files, reads them into messages and keeps what it needs of those.
constexpr uint64_t kOwnBytes = uint64_t{1} << 30, kBytesPerByte = 3;

absl::StatusOr<v1::JobMessage> MessageFor(const v1::InspectModelRequest& request, const ModelRow& model) {
  v1::JobMessage message;
  v1::InspectModelRequest& inspect = *message.mutable_inspect();
  inspect = request;
  inspect.set_model_display_name(model.display_name);
  inspect.set_main_file(model.main_file);
  inspect.clear_file_names();
  for (const FileRow& file : model.files) inspect.add_file_names(file.name);
  HONE_RETURN_IF_ERROR(CountFiles(message).status());
  return message;
}

// The child's answer or why there is none.
absl::StatusOr<v1::InspectModelResponse> Await(JobChild& child, absl::Duration limit,
                                               const std::function<bool()>& cancelled) {
  const absl::Time deadline = absl::Now() + limit;
  for (;;) {
    absl::StatusOr<JobFrame> frame = child.link().ReadFrame(std::min(deadline, absl::Now() + kLook));
    if (absl::IsUnavailable(frame.status())) {
      return absl::InternalError(
          absl::StrCat("inspecting the model failed: hone-job ", child.Reap(absl::Seconds(5))));
    }
    if (absl::IsDeadlineExceeded(frame.status())) {
      if (cancelled()) return absl::CancelledError("the caller has gone");
      if (absl::Now() < deadline) continue;
      return absl::DeadlineExceededError(
          absl::StrCat("inspecting the model took longer than ", absl::FormatDuration(limit)));
    }
    HONE_RETURN_IF_ERROR(frame.status());
    if (frame->message.has_inspected()) return std::move(*frame->message.mutable_inspected());
    if (frame->message.has_failed()) return FailureOf(frame->message.failed());
  }
}

}  // namespace

absl::StatusOr<v1::InspectModelResponse> InspectModel(JobServices& services,
                                                      const v1::InspectModelRequest& request,
                                                      const std::function<bool()>& cancelled) {
  const std::string id(absl::StripPrefix(request.model(), "models/"));
  HONE_ASSIGN_OR_RETURN(ModelRow model, services.store.GetModel(id));
  HONE_ASSIGN_OR_RETURN(std::vector<FileDescriptor> files, OpenFiles(services.blobs, model.files));
  HONE_ASSIGN_OR_RETURN(const v1::JobMessage message, MessageFor(request, model));
  const absl::Duration limit = services.options.inspect_limit;
  JobChildOptions options = services.options.child;
  options.log_path = services.options.log_directory + "/inspect.log";
  options.cpu_seconds = static_cast<uint64_t>(absl::ToInt64Seconds(limit)) * 4;  // of all its threads
  options.outbox_bytes = 0;
  uint64_t model_bytes = 0;
  for (const FileRow& file : model.files) model_bytes += file.blob.size;
  options.address_space_bytes = std::min(options.address_space_bytes, kOwnBytes + kBytesPerByte * model_bytes);
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<JobChild> child, JobChild::Start(options));
  child->link().Send(message, std::move(files));
  return Await(*child, limit, cancelled);
}

}  // namespace hone
