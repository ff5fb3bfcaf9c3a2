// Stands in for hone-job in tests of server, worker and client together: neither compiler nor search, but the
// same protocol (proto/hone/v1/job_link.proto). It proposes batches of a hand-written candidate until the
// budget of trials is spent or it is told to stop, then hands over a hand-written module. Like the real one
// it keeps no state: what is stored counts.
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "hone/v1/job_link.pb.h"
#include "proto/values/sha256.h"

namespace hone {
namespace {

constexpr int kLink = 3, kOutbox = 4;
constexpr int kBatch = 4;
constexpr char kTaskKey[] = "stand-in task";
constexpr char kTaskLabel[] = "multiply 1000";
constexpr double kDefaultSeconds = 1e-3, kFloorSeconds = 1e-8;  // made up
constexpr int kElements = 1000;  // of tests/worker/candidate.c

[[noreturn]] void Die(const std::string& why) {
  std::cerr << "stand_in_job: " << why << std::endl;
  _exit(1);
}

std::string ReadWhole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) Die("cannot read " + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The blobs of one message, put into the outbox.
class Cargo {
 public:
  void Add(const std::string& bytes, v1::BlobRef* ref) {
    ref->set_sha256(Sha256Hex(bytes));
    ref->set_size(bytes.size());
    if (!added_.insert(ref->sha256()).second) return;
    if (pwrite(kOutbox, bytes.data(), bytes.size(), used_) != static_cast<ssize_t>(bytes.size())) Die("outbox");
    used_ += static_cast<off_t>(bytes.size());
  }

 private:
  off_t used_ = 0;
  std::set<std::string> added_;
};

void Send(const v1::JobMessage& message) {
  const std::string body = message.SerializeAsString();
  const uint32_t size = body.size();
  std::string frame(reinterpret_cast<const char*>(&size), 4);
  frame += body;
  for (size_t sent = 0; sent < frame.size();) {
    const ssize_t n = send(kLink, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
    if (n < 0) Die("the server is gone");
    sent += static_cast<size_t>(n);
  }
}

void ReadExactly(char* to, size_t bytes) {
  while (bytes > 0) {
    const ssize_t n =
        read(kLink, to, bytes);  // descriptors that ride along are dropped: the model does not matter here
    if (n <= 0) _exit(0);
    to += n;
    bytes -= n;
  }
}

v1::JobMessage Receive() {
  uint32_t size;
  ReadExactly(reinterpret_cast<char*>(&size), 4);
  std::string body(size, '\0');
  ReadExactly(body.data(), size);
  v1::JobMessage message;
  if (!message.ParseFromString(body)) Die("a frame does not parse");
  return message;
}

class StandInJob {
 public:
  explicit StandInJob(const v1::StartJob& start)
      : start_(start), candidate_(ReadWhole(HONE_STAND_IN_CANDIDATE)) {
    for (const v1::StoredBatch& batch : start.batches()) {
      batches_ = std::max(batches_, batch.number());
      for (const std::string& id : batch.trial_ids()) proposed_.insert(id);
    }
    for (const v1::TuningRecord& record : start.log()) Note(record);
  }

  void Run() {
    if (!start_.has_device()) {
      v1::JobMessage want;
      want.mutable_want_device()->set_target("x86-64-v2");
      Progress("waiting for a worker");
      Send(want);
      while (!start_.has_device()) Handle(Receive());
    }
    while (!cancelled_) {
      Progress("tuning");
      if (seen_.size() == proposed_.size()) {
        const uint32_t budget = start_.spec().budget().trials();
        if (budget > 0 && proposed_.size() >= budget) break;
        Propose(budget == 0 ? kBatch : std::min<size_t>(kBatch, budget - proposed_.size()));
      }
      Handle(Receive());
    }
    Finish();
  }

 private:
  void Handle(const v1::JobMessage& message) {
    if (message.has_device()) *start_.mutable_device() = message.device().device();
    if (message.has_cancel()) cancelled_ = true;
    if (message.has_batch_stored()) outbox_full_ = false;
    for (const v1::TuningRecord& record : message.records().records()) Note(record);
  }

  // The log also has the incumbents' measurements: they are no trials.
  void Note(const v1::TuningRecord& record) {
    if (proposed_.count(record.trial_id()) == 0) return;
    seen_.insert(record.trial_id());
    if (record.measurement().outcome() == v1::OUTCOME_OK)
      best_seconds_ = std::min(best_seconds_, record.measurement().p20_seconds());
  }

  void Progress(const std::string& phase) {
    v1::JobMessage message;
    v1::JobProgress& progress = *message.mutable_progress();
    progress.set_phase(phase);
    progress.set_trials_done(seen_.size());
    progress.set_trials_budget(start_.spec().budget().trials());
    progress.set_predicted_seconds(best_seconds_);
    progress.set_default_predicted_seconds(kDefaultSeconds);
    v1::TaskProgress& task = *progress.add_tasks();
    task.set_task_id(Sha256Hex(kTaskKey));
    task.set_label(kTaskLabel);
    task.set_weight(1);
    task.set_trials(seen_.size());
    task.set_best_seconds(best_seconds_);
    task.set_default_seconds(kDefaultSeconds);
    task.set_floor_seconds(kFloorSeconds);
    Send(message);
  }

  void Propose(size_t trials) {
    v1::JobMessage message;
    v1::ProposeBatch& batch = *message.mutable_propose();
    batch.set_number(++batches_);
    batch.set_task_key(kTaskKey);
    batch.set_task_label(kTaskLabel);
    batch.set_trace_version(1);
    batch.set_compiler_build("stand-in");
    batch.set_target("x86-64-v2");
    Cargo cargo;
    for (size_t i = 0; i < trials; ++i) {
      v1::ProposedTrial& trial = *batch.add_trials();
      trial.set_trial_id("b" + std::to_string(batches_) + "." + std::to_string(i));
      trial.set_trace("trace 1; algorithm stand_in; tile x " + std::to_string(proposed_.size()));
      cargo.Add(candidate_, trial.mutable_object());
      proposed_.insert(trial.trial_id());
    }
    v1::Lease& lease = *batch.mutable_lease();
    lease.set_kind(v1::LEASE_KIND_CANDIDATES);
    lease.set_task_key(batch.task_key());
    lease.set_threads(1);
    for (v1::TensorSpec* tensor : {lease.add_inputs(), lease.add_constants(), lease.add_outputs()}) {
      tensor->set_dtype("f32");
      tensor->add_dims(kElements);
      tensor->set_low(-1);
      tensor->set_high(1);
    }
    lease.set_seed(7);
    lease.mutable_incumbent()->set_trial_id("incumbent");
    cargo.Add(candidate_, lease.mutable_incumbent()->mutable_object());
    cargo.Add(candidate_, lease.mutable_oracle_object());
    lease.set_tolerance(2e-5);
    lease.set_windows(30);  // some 0.1 s a batch on an idle machine: time enough to disturb it
    lease.set_run_limit_seconds(10);
    lease.set_lease_seconds(5);
    outbox_full_ = true;
    Send(message);
  }

  void Finish() {
    Progress("compiling");
    while (outbox_full_) Handle(Receive());
    const std::string report = R"({"model":"stand-in","verdict":"no gain","default":{"median_seconds":1e-6},)"
                               R"("tuned":{"median_seconds":1e-6,"ratio":1},"tasks":[]})";
    v1::JobMessage message;
    v1::ModuleBuilt& built = *message.mutable_module();
    Cargo cargo;
    for (const auto& [name, bytes] :
         {std::pair("relu.so", ReadWhole(HONE_STAND_IN_MODULE)), std::pair("report.json", report)}) {
      v1::NamedBlob& file = *built.add_files();
      file.set_name(name);
      cargo.Add(bytes, file.mutable_blob());
    }
    built.set_report_json(report);
    built.set_target("x86-64-v2");
    Send(message);
    for (;;) Receive();  // until the server closes the link
  }

  v1::StartJob start_;
  const std::string candidate_;
  std::set<std::string> proposed_, seen_;  // trial ids
  double best_seconds_ = kDefaultSeconds;
  uint32_t batches_ = 0;
  bool cancelled_ = false;
  bool outbox_full_ = false;
};

void Inspect() {
  v1::JobMessage answer;
  answer.mutable_inspected()->set_report_json(
      R"({"model":"stand-in","nodes":1,"unsupported":[],"unbound_symbols":[]})");
  answer.mutable_inspected()->set_dump_text("stand-in dump\n");
  Send(answer);
}

}  // namespace
}  // namespace hone

int main() {
  const hone::v1::JobMessage first = hone::Receive();
  if (first.has_inspect()) {
    hone::Inspect();
  } else if (first.has_start()) {
    hone::StandInJob(first.start()).Run();
  } else {
    hone::Die("neither a job nor a model to inspect");
  }
  return 0;
}
