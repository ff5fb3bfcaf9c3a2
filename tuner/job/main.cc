// hone-job: one job, or one inspection, in a process of its own, which shuts itself in before it hears of a model. File
// descriptor 3 is the link to the server, 4 the outbox; nothing else is inherited. Ends when the server does.
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"
#include "compiler/compile.h"
#include "proto/sandbox/sandbox.h"
#include "proto/values/readable_text.h"
#include "tuner/job/job_link.h"
#include "tuner/job/tuning_job.h"
#include "tuner/prior_costs.h"

namespace hone {
namespace {

constexpr int kLinkDescriptor = 3, kOutboxDescriptor = 4, kFirstForeignDescriptor = 5;

// Maps a file for as long as anything refers to it.
absl::StatusOr<ModelFile> Map(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return absl::InternalError("a file of the model cannot be read");
  const size_t size = static_cast<size_t>(status.st_size);
  void* bytes = size == 0 ? nullptr : mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  close(descriptor);
  if (size == 0) return ModelFile{};
  if (bytes == MAP_FAILED) return absl::ResourceExhaustedError("no memory for a file of the model");
  std::shared_ptr<const void> owner(bytes, [size](const void* p) { munmap(const_cast<void*>(p), size); });
  return ModelFile{{static_cast<const char*>(bytes), size}, std::move(owner)};
}

template <typename Names>
absl::StatusOr<ModelFiles> FilesOf(const std::string& display_name, const std::string& main_file, const Names& names,
                                   const std::vector<int>& descriptors) {
  if (static_cast<size_t>(names.size()) != descriptors.size()) {
    return absl::InternalError("the model's files did not all arrive");
  }
  ModelFiles files{.name = display_name, .main_file = main_file};
  for (size_t i = 0; i < descriptors.size(); ++i) {
    absl::StatusOr<ModelFile> file = Map(descriptors[i]);
    if (!file.ok()) return file.status();
    files.files[names[static_cast<int>(i)]] = *std::move(file);
  }
  if (!files.files.contains(main_file)) return absl::InvalidArgumentError(absl::StrCat("the model has no file '", main_file, "'"));
  return files;
}

absl::StatusOr<v1::InspectModelResponse> Inspect(const v1::InspectModelRequest& request, const std::vector<int>& descriptors) {
  absl::StatusOr<ModelFiles> files =
      FilesOf(request.model_display_name(), request.main_file(), request.file_names(), descriptors);
  if (!files.ok()) return files.status();
  CompileOptions options;
  absl::StatusOr<Target> target = FindTarget(request.target().empty() ? "host" : request.target());
  if (!target.ok()) return target.status();
  options.target = *target;
  options.threads = static_cast<int>(std::max(1u, request.threads()));
  for (const v1::ShapeBinding& binding : request.shapes()) {
    options.shapes[binding.input()] = {binding.dims().begin(), binding.dims().end()};
  }
  v1::InspectModelResponse response;
  const PriorCosts costs(Roofline::Of(Device(), options.target));
  absl::StatusOr<std::string> text = request.dump_after().empty()
                                         ? InspectModel(*files, options, costs)
                                         : DumpAfter(*files, options, costs, request.dump_after());
  if (!text.ok()) return text.status();
  *(request.dump_after().empty() ? response.mutable_report_json() : response.mutable_dump_text()) = ReadableText(*text);
  return response;
}

v1::JobMessage FailureOf(const absl::Status& status) {
  v1::JobMessage message;
  message.mutable_failed()->set_code(static_cast<int>(status.code()));
  message.mutable_failed()->set_message(ReadableText(std::string(status.message()), kMaxErrorBytes));
  return message;
}

absl::StatusOr<ModelFiles> FilesOf(const v1::StartJob& start, JobLink* link) {
  return FilesOf(start.model_display_name(), start.main_file(), start.file_names(), link->TakeFiles());
}

absl::Status RunJob(const v1::StartJob& start, JobLink* link, const absl::StatusOr<HostLockFiles>& host) {
  if (!host.ok()) return host.status();
  absl::StatusOr<ModelFiles> files = FilesOf(start, link);
  if (!files.ok()) return files.status();
  return TuningJob(start, *std::move(files), link, &*host).Run();
}

// The server sets limits before its first word, which so long only waits to be read.
absl::Status ShutIn(bool allow_unsandboxed) {
  pollfd word{kLinkDescriptor, POLLIN, 0};
  while (poll(&word, 1, -1) < 0 && errno == EINTR) {
  }
  const HoneSandboxFaults faults = HoneSandboxEnter(kHoneSandboxJob, kLinkDescriptor);
  const int fault = faults.namespaces ? faults.namespaces : faults.files ? faults.files : faults.calls;
  if (fault == 0 || allow_unsandboxed) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("cannot enter the sandbox: ", std::strerror(fault)));
}

[[noreturn]] void OutOfMemory() {
  std::fputs("out of memory: the model needs more than the server lets one job have\n", stderr);
  _exit(4);
}

absl::StatusOr<v1::RecordExplanation> Explain(const v1::ExplainTrial& question, JobLink* link,
                                              const absl::StatusOr<HostLockFiles>& host) {
  if (!host.ok()) return host.status();
  absl::StatusOr<ModelFiles> files = FilesOf(question.start(), link);
  if (!files.ok()) return files.status();
  return TuningJob(question.start(), *std::move(files), link, &*host).Explain(question.task_key(), question.trace());
}

// The exit code: 0 when the server has got an answer.
int Main(bool allow_unsandboxed) {
  signal(SIGPIPE, SIG_IGN);
  std::set_new_handler(OutOfMemory);
  syscall(SYS_close_range, kFirstForeignDescriptor, ~0u, 0);
  // Before the sandbox, in which nothing can be opened.
  const absl::StatusOr<HostLockFiles> host = HostLockFiles::Open();
  if (const absl::Status contained = ShutIn(allow_unsandboxed); !contained.ok()) {
    std::fprintf(stderr, "hone-job: %s\n", std::string(contained.message()).c_str());
    return 3;
  }
  JobLink link(kLinkDescriptor, kOutboxDescriptor);
  absl::StatusOr<v1::JobMessage> first = link.Receive();
  if (!first.ok()) {
    std::fprintf(stderr, "hone-job: %s\nhone-job is started by hone-server, not by hand.\n",
                 std::string(first.status().message()).c_str());
    return 2;
  }
  absl::Status status;
  v1::JobMessage answer;
  if (first->has_inspect()) {
    absl::StatusOr<v1::InspectModelResponse> response = Inspect(first->inspect(), link.TakeFiles());
    status = response.status();
    if (status.ok()) *answer.mutable_inspected() = *std::move(response);
    if (status.ok()) status = link.Send(answer);
    if (status.ok()) return 0;
  } else if (first->has_explain()) {
    absl::StatusOr<v1::RecordExplanation> explanation = Explain(first->explain(), &link, host);
    status = explanation.status();
    if (status.ok()) *answer.mutable_explained() = *std::move(explanation);
    if (status.ok()) status = link.Send(answer);
    if (status.ok()) return 0;
  } else if (first->has_start()) {
    status = RunJob(first->start(), &link, host);
    if (status.ok()) {
      while (link.Receive().ok()) {
      }   // until the server has stored the module and closes the link
      return 0;
    }
  } else {
    status = absl::InvalidArgumentError("neither a job nor a question");
  }
  std::fprintf(stderr, "hone-job: %s\n", status.ToString().c_str());
  if (absl::IsUnavailable(status)) return 1;
  return link.Send(FailureOf(status)).ok() ? 0 : 1;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  return hone::Main(argc == 2 && std::strcmp(argv[1], "--allow-unsandboxed") == 0);
}
