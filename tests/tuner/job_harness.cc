#include "tests/tuner/job_harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "compiler/target/target.h"
#include "proto/values/file_descriptor.h"
#include "proto/values/sha256.h"
#include "proto/values/tensor_values.h"
#include "proto/values/value_messages.h"
#include "tests/compiler/codegen/candidate_runner.h"
#include "worker/comparison.h"

namespace hone {
namespace {

constexpr int kLinkDescriptor = 3, kOutboxDescriptor = 4;
constexpr uint64_t kOutboxBytes = uint64_t{256} << 20;

// Reads the blobs of a message out of the outbox, in order of first mention.
class Unloading {
 public:
  explicit Unloading(int outbox) : outbox_(outbox) {}
  const std::string& Next(const v1::BlobRef& ref) {
    const auto [found, first] = contents_.emplace(ref.sha256(), std::string(ref.size(), '\0'));
    if (!first) return found->second;
    std::string& bytes = found->second;
    EXPECT_EQ(pread(outbox_, bytes.data(), bytes.size(), used_), static_cast<ssize_t>(bytes.size()));
    EXPECT_EQ(Sha256Hex(bytes), ref.sha256());
    used_ += static_cast<off_t>(bytes.size());
    return bytes;
  }
  const std::map<std::string, std::string>& contents() const { return contents_; }

 private:
  const int outbox_;
  off_t used_ = 0;
  std::map<std::string, std::string> contents_;   // by digest
};

v1::Device HostDevice() {
  v1::Device device;
  device.set_device_class("test");
  device.set_cpu_name("the test's");
  device.set_target(FindTarget("host")->ToString());
  device.set_cores(1);
  return device;
}

// The distinct objects of a batch by digest.
std::map<std::string, std::string> ObjectsOf(const v1::ProposeBatch& batch, int outbox) {
  Unloading unloading(outbox);
  for (const v1::ProposedTrial& trial : batch.trials()) {
    if (!trial.object().sha256().empty()) unloading.Next(trial.object());
  }
  for (const v1::BlobRef* ref : {&batch.lease().incumbent().object(), &batch.lease().oracle_object()}) {
    if (!ref->sha256().empty()) unloading.Next(*ref);
  }
  return unloading.contents();
}

// The server's end of the link sends a message with the model's file.
void SendWithFile(int socket, const v1::JobMessage& message, const std::string& content) {
  const FileDescriptor file = MakeMemfd("model", 0).value();
  ASSERT_TRUE(WriteAll(file.get(), content).ok());
  std::string frame = message.SerializeAsString();
  const auto size = static_cast<uint32_t>(frame.size());
  frame.insert(0, reinterpret_cast<const char*>(&size), sizeof(size));
  iovec data{frame.data(), frame.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  const int descriptor = file.get();
  std::memcpy(CMSG_DATA(rights), &descriptor, sizeof(int));
  ASSERT_EQ(sendmsg(socket, &header, MSG_NOSIGNAL), static_cast<ssize_t>(frame.size()));
}

std::vector<TensorSpec> Specs(const google::protobuf::RepeatedPtrField<v1::TensorSpec>& messages) {
  std::vector<TensorSpec> specs;
  for (const v1::TensorSpec& message : messages) specs.push_back(FromMessage(message).value());
  return specs;
}

std::vector<HostTensor> Generated(const std::vector<TensorSpec>& specs, uint64_t seed, uint64_t first) {
  std::vector<HostTensor> tensors;
  for (const TensorSpec& spec : specs) {
    tensors.push_back(HostTensor::Zeros(spec.dtype, spec.dims));
    GenerateTensor(spec, seed, first++, tensors.back().bytes.data());
  }
  return tensors;
}

std::vector<HostTensor> RunCandidate(const std::string& object, const v1::Lease& lease) {
  const std::vector<TensorSpec> inputs = Specs(lease.inputs());
  auto runner = CandidateRunner::Load(object).value();
  runner->SetInputs(Generated(inputs, lease.seed(), 0), Generated(Specs(lease.constants()), lease.seed(), inputs.size()));
  EXPECT_EQ(runner->Run(), 0);
  std::vector<HostTensor> outputs;
  for (const TensorSpec& spec : Specs(lease.outputs())) outputs.push_back(HostTensor::Zeros(spec.dtype, spec.dims));
  runner->GetOutputs(&outputs);
  return outputs;
}

}  // namespace

JobHarness::JobHarness(const std::string& program) : outbox_(MakeMemfd("outbox", kOutboxBytes).value()) {
  EXPECT_TRUE(SealSize(outbox_.get()).ok());
  int ends[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  pid_ = fork();
  if (pid_ == 0) {
    const int link = fcntl(ends[1], F_DUPFD_CLOEXEC, 10), outbox = fcntl(outbox_.get(), F_DUPFD_CLOEXEC, 10);
    dup2(link, kLinkDescriptor);
    dup2(outbox, kOutboxDescriptor);
    execl(program.c_str(), program.c_str(), "--allow-unsandboxed", nullptr);
    _exit(127);
  }
  close(ends[1]);
  socket_ = ends[0];
  fcntl(socket_, F_SETFD, FD_CLOEXEC);
  link_.emplace(socket_);
}

JobHarness::~JobHarness() { Kill(); }

void JobHarness::Kill() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_ = -1;
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

int JobHarness::CloseAndWait() {
  close(socket_);
  socket_ = -1;
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void JobHarness::Start(v1::StartJob start, const std::string& model) {
  start.set_main_file("model.onnx");
  start.add_file_names("model.onnx");
  log.assign(start.log().begin(), start.log().end());
  v1::JobMessage message;
  *message.mutable_start() = std::move(start);
  SendWithFile(socket_, message, model);
}

void JobHarness::Inspect(v1::InspectModelRequest request, const std::string& model) {
  request.set_main_file("model.onnx");
  request.add_file_names("model.onnx");
  v1::JobMessage message;
  *message.mutable_inspect() = std::move(request);
  SendWithFile(socket_, message, model);
}

void JobHarness::Explain(v1::ExplainTrial question, const std::string& model) {
  question.mutable_start()->set_main_file("model.onnx");
  question.mutable_start()->add_file_names("model.onnx");
  v1::JobMessage message;
  *message.mutable_explain() = std::move(question);
  SendWithFile(socket_, message, model);
}

void JobHarness::Cancel() {
  v1::JobMessage message;
  message.mutable_cancel();
  ASSERT_TRUE(link_->Send(message).ok());
}

void JobHarness::Serve(size_t most_batches) {
  while (!end) {
    absl::StatusOr<v1::JobMessage> message = link_->Receive();
    ASSERT_TRUE(message.ok()) << "the job ended without an answer";
    if (message->has_want_device()) {
      v1::JobMessage answer;
      *answer.mutable_device()->mutable_device() = HostDevice();
      ASSERT_TRUE(link_->Send(answer).ok());
    } else if (message->has_propose()) {
      proposals.push_back(message->propose());
      const std::map<std::string, std::string> objects = ObjectsOf(message->propose(), outbox_.get());
      v1::JobMessage stored;
      stored.mutable_batch_stored()->set_number(message->propose().number());
      ASSERT_TRUE(link_->Send(stored).ok());
      if (proposals.size() <= most_batches) Measure(message->propose(), objects);
    } else if (message->has_progress()) {
      if (phases.empty() || phases.back() != message->progress().phase()) phases.push_back(message->progress().phase());
      if (message->progress().tasks_size() > 0) progress = message->progress();
    } else {
      end = *message;
      Unloading unloading(outbox_.get());
      for (const v1::NamedBlob& file : end->module().files()) module_files[file.name()] = unloading.Next(file.blob());
    }
    if (proposals.size() > most_batches) return;
  }
}

void JobHarness::Measure(const v1::ProposeBatch& batch, const std::map<std::string, std::string>& objects) {
  const v1::Lease& lease = batch.lease();
  if (lease.kind() == v1::LEASE_KIND_CANDIDATES) {
    const std::vector<TensorSpec> outputs = Specs(lease.outputs());
    const std::vector<HostTensor> expected = RunCandidate(objects.at(lease.oracle_object().sha256()), lease);
    const auto check = [&](const std::string& what, size_t o, const Difference& difference) {
      if (difference.max_error > lease.tolerance()) {
        wrong.push_back(absl::StrCat(batch.task_label(), " ", what, ": ", Describe(o, difference)));
      }
    };
    for (const v1::OracleSample& message : lease.oracle_samples()) {
      const OracleSample sample{message.output(), {message.element().begin(), message.element().end()},
                                {message.value().begin(), message.value().end()}};
      check("oracle", sample.output, CompareSamples(outputs[sample.output], sample, expected[sample.output].bytes.data()));
    }
    for (const v1::ProposedTrial& trial : batch.trials()) {
      if (trial.ended() != v1::OUTCOME_UNSPECIFIED) continue;
      const std::vector<HostTensor> actual = RunCandidate(objects.at(trial.object().sha256()), lease);
      for (size_t o = 0; o < outputs.size(); ++o) {
        check(trial.trace(), o, CompareTensors(outputs[o], expected[o].bytes.data(), actual[o].bytes.data()));
      }
    }
  }
  Append(Records(batch));
}

// In the order of the server's log: the trials, then the incumbent.
std::vector<v1::TuningRecord> JobHarness::Records(const v1::ProposeBatch& batch) {
  std::vector<v1::TuningRecord> records;
  const bool module = batch.lease().kind() == v1::LEASE_KIND_MODULE;
  for (int i = 0; i <= batch.trials_size(); ++i) {
    const bool incumbent = i == batch.trials_size();
    v1::TuningRecord& record = records.emplace_back();
    record.set_sequence(log.size() + records.size());
    record.set_batch(batch.number());
    record.set_trial_id(incumbent ? absl::StrCat("b", batch.number(), ".incumbent") : batch.trials(i).trial_id());
    v1::Measurement& measurement = *record.mutable_measurement();
    const v1::Outcome ended = incumbent ? v1::OUTCOME_UNSPECIFIED : batch.trials(i).ended();
    measurement.set_outcome(ended == v1::OUTCOME_UNSPECIFIED ? v1::OUTCOME_OK : ended);
    if (measurement.outcome() != v1::OUTCOME_OK) continue;
    // Between 0.5 and 1.5 times the incumbent, by the trace.
    const double made_up = incumbent ? 1 : 0.5 + std::stoul(Sha256Hex(batch.trials(i).trace()).substr(0, 4), nullptr, 16) / 65536.0;
    const double ratio = incumbent ? 1 : module ? module_ratio : made_up;
    // Where one is slow the others are at their floor, and leave the trials to it.
    const double base = slow_task.empty() ? 1e-4 : batch.task_key() == slow_task ? 1e-3 : 1e-6;
    measurement.set_p20_seconds(base * ratio);
    measurement.set_median_seconds(1.1 * base * ratio);
    measurement.set_p95_seconds(1.2 * base * ratio);
    if (incumbent) continue;
    measurement.set_ratio_to_incumbent(ratio);
    measurement.set_ratio_low(0.98 * ratio);
    measurement.set_ratio_high(1.02 * ratio);
  }
  return records;
}

void JobHarness::Append(std::vector<v1::TuningRecord> records) {
  v1::JobMessage message;
  for (v1::TuningRecord& record : records) {
    *message.mutable_records()->add_records() = record;
    log.push_back(std::move(record));
  }
  ASSERT_TRUE(link_->Send(message).ok());
}

}  // namespace hone
