// A hone-job for tests: speaks the job link and obeys its model, whose text is `key=value` words:
//   batches=N trials=N   proposes so many batches of so many trials each (then builds a module)
//   more=N               a resumed job proposes so many more batches
//   rejected=N           of each batch's trials the last N end before running
//   die_at=N             dies by SIGKILL right after batch N, which it proposed itself, is stored
//   always_die=1         dies at once, always
//   fail=TEXT            JobFailed with that text
//   deaf=1               hears nothing any more, and asks for a device before it fails
//   hang=1               answers nothing
// The module's only file, "log.txt", lists the trial ids of the log it saw, one a line.
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/values/sha256.h"
#include "server/execution/status_macros.h"
#include "server/jobs/job_link.h"

namespace hone {
namespace {

using Options = std::map<std::string, std::string>;

Options ReadOptions(int file) {
  Options options;
  std::string text(4096, '\0');
  text.resize(static_cast<size_t>(std::max<ssize_t>(0, pread(file, text.data(), text.size(), 0))));
  for (const auto word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    std::pair<std::string, std::string> pair = absl::StrSplit(word, absl::MaxSplits('=', 1));
    options.insert(pair);
  }
  return options;
}

int Number(const Options& options, const std::string& key) {
  auto found = options.find(key);
  return found == options.end() ? 0 : std::stoi(found->second);
}

// Puts the blobs of one message into the outbox.
class Cargo {
 public:
  void Add(const std::string& content, v1::BlobRef& ref) {
    ref.set_sha256(Sha256Hex(content));
    ref.set_size(content.size());
    if (!added_.insert(content).second) return;
    if (pwrite(kOutbox, content.data(), content.size(), used_) != static_cast<ssize_t>(content.size())) _exit(9);
    used_ += static_cast<off_t>(content.size());
  }

 private:
  static constexpr int kOutbox = 4;
  off_t used_ = 0;
  std::set<std::string> added_;
};

class FakeJob {
 public:
  explicit FakeJob(JobLink& link) : link_(link) {}

  absl::Status Run() {
    HONE_ASSIGN_OR_RETURN(JobFrame first, link_.ReadFrame(absl::InfiniteFuture()));
    if (first.message.has_inspect()) return Inspect(first);
    if (first.message.has_explain()) return Explain(first.message.explain());
    options_ = ReadOptions(first.files.at(0).get());
    start_ = first.message.start();
    if (options_.contains("always_die")) raise(SIGKILL);
    if (options_.contains("deaf")) {
      shutdown(link_.descriptor(), SHUT_RD);
      Ask(start_.spec().target());
      absl::SleepFor(absl::Milliseconds(200));
    }
    if (options_.contains("fail")) return Fail(options_["fail"]);
    for (const v1::StoredBatch& batch : start_.batches()) {
      for (const std::string& id : batch.trial_ids()) waiting_.insert(id);
      stored_ = batch.number();
    }
    for (const v1::TuningRecord& record : start_.log()) See(record);
    if (!start_.has_device()) HONE_RETURN_IF_ERROR(WantDevice());
    const int resumed = static_cast<int>(start_.resumed_after());
    const int batches = resumed > 0 ? resumed + Number(options_, "more") : Number(options_, "batches");
    while (stored_ < batches && !cancelled_) {
      HONE_RETURN_IF_ERROR(WaitForRecords());
      if (!cancelled_) HONE_RETURN_IF_ERROR(Propose());
    }
    HONE_RETURN_IF_ERROR(WaitForRecords());
    return Finish();
  }

 private:
  absl::Status Inspect(const JobFrame& frame) {
    const Options options = ReadOptions(frame.files.at(0).get());
    if (options.contains("always_die")) raise(SIGKILL);
    if (options.contains("hang")) return link_.ReadFrame(absl::InfiniteFuture()).status();
    if (options.contains("out_of_memory")) _exit(4);
    v1::JobMessage message;
    message.mutable_inspected()->set_report_json(
        absl::StrCat("{\"main\":\"", frame.message.inspect().main_file(), "\"}"));
    link_.Send(message);
    return link_.ReadFrame(absl::InfiniteFuture()).status();
  }

  // Learnt from the whole log, and predicts as many seconds as there were batches.
  absl::Status Explain(const v1::ExplainTrial& question) {
    v1::JobMessage message;
    v1::RecordExplanation& explanation = *message.mutable_explained();
    explanation.set_learnt_from(static_cast<uint32_t>(question.start().log_size()));
    explanation.set_predicted_seconds(question.start().batches_size());
    explanation.add_features()->set_feature(absl::StrCat(question.task_key(), ", ", question.trace()));
    link_.Send(message);
    return link_.ReadFrame(absl::InfiniteFuture()).status();
  }

  absl::Status Fail(const std::string& text) {
    v1::JobMessage message;
    message.mutable_failed()->set_code(static_cast<int>(absl::StatusCode::kInvalidArgument));
    message.mutable_failed()->set_message(text);
    link_.Send(message);
    return link_.ReadFrame(absl::InfiniteFuture()).status();
  }

  void See(const v1::TuningRecord& record) {
    if (record.sequence() != last_sequence_ + 1) _exit(7);  // the log has a gap or a repetition
    last_sequence_ = record.sequence();
    waiting_.erase(record.trial_id());
    log_.push_back(record.trial_id());
  }

  absl::Status Step() {
    HONE_ASSIGN_OR_RETURN(JobFrame frame, link_.ReadFrame(absl::InfiniteFuture()));
    for (const v1::TuningRecord& record : frame.message.records().records()) See(record);
    if (frame.message.has_cancel()) cancelled_ = true;
    if (frame.message.has_device()) have_device_ = true;
    if (frame.message.has_batch_stored()) acknowledged_ = frame.message.batch_stored().number();
    return absl::OkStatus();
  }

  void Ask(const std::string& target) {
    v1::JobMessage message;
    message.mutable_want_device()->set_target(target);
    link_.Send(message);
    link_.Flush().IgnoreError();
  }

  absl::Status WantDevice() {
    Ask(start_.spec().target());
    while (!have_device_ && !cancelled_) HONE_RETURN_IF_ERROR(Step());
    return absl::OkStatus();
  }

  absl::Status WaitForRecords() {
    while (!waiting_.empty()) HONE_RETURN_IF_ERROR(Step());
    return absl::OkStatus();
  }

  absl::Status Propose() {
    const uint32_t number = static_cast<uint32_t>(++stored_);
    v1::JobMessage message;
    v1::ProposeBatch& batch = *message.mutable_propose();
    batch.set_number(number);
    batch.set_task_key("fake task");
    batch.set_task_label("fake 1x1");
    batch.set_target("x86-64-v3");
    batch.set_trace_version(1);
    batch.mutable_lease()->set_kind(v1::LEASE_KIND_CANDIDATES);
    batch.mutable_lease()->set_threads(1);
    Cargo cargo;
    const int trials = Number(options_, "trials"), rejected = Number(options_, "rejected");
    for (int i = 0; i < trials; ++i) {
      v1::ProposedTrial& trial = *batch.add_trials();
      trial.set_trial_id(absl::StrCat("b", number, ".", i));
      trial.set_trace(absl::StrCat("trace 1; fake ", number, " ", i));
      waiting_.insert(trial.trial_id());
      if (i >= trials - rejected) {
        trial.set_ended(v1::OUTCOME_REJECTED);
        trial.set_message("illegal");
        continue;
      }
      cargo.Add(absl::StrCat("object ", number, " ", i), *trial.mutable_object());
    }
    batch.mutable_lease()->mutable_incumbent()->set_trial_id("b1.0");
    cargo.Add("object 1 0", *batch.mutable_lease()->mutable_incumbent()->mutable_object());
    cargo.Add("oracle", *batch.mutable_lease()->mutable_oracle_object());
    link_.Send(message);
    while (acknowledged_ < number) HONE_RETURN_IF_ERROR(Step());
    if (Number(options_, "die_at") == static_cast<int>(number)) raise(SIGKILL);
    v1::JobMessage progress;
    progress.mutable_progress()->set_phase("tuning");
    progress.mutable_progress()->set_seconds_spent(number);
    link_.Send(progress);
    return absl::OkStatus();
  }

  absl::Status Finish() {
    const std::string content = absl::StrJoin(log_, "\n");
    v1::JobMessage message;
    v1::ModuleBuilt& module = *message.mutable_module();
    module.set_target("x86-64-v3");
    module.set_report_json("{}");
    module.add_files()->set_name("log.txt");
    Cargo().Add(content, *module.mutable_files(0)->mutable_blob());
    link_.Send(message);
    return link_.ReadFrame(absl::InfiniteFuture()).status();
  }

  JobLink& link_;
  Options options_;
  v1::StartJob start_;
  int stored_ = 0;
  uint32_t acknowledged_ = 0;
  uint64_t last_sequence_ = 0;
  bool cancelled_ = false;
  bool have_device_ = false;
  std::set<std::string> waiting_;
  std::vector<std::string> log_;
};

}  // namespace
}  // namespace hone

int main() {
  hone::JobLink link(hone::FileDescriptor(3), hone::JobLink::End::kChild);
  const absl::Status status = hone::FakeJob(link).Run();
  return absl::IsUnavailable(status) ? 0 : 1;  // the server has closed the link: the usual end
}
