#include "tests/reliability/submission.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "proto/values/sha256.h"

namespace hone {
namespace {

using Json = nlohmann::json;

constexpr double kMostSeconds = 10;      // of an answer
constexpr double kPatienceSeconds = 30;  // and for one that is late
constexpr double kMostJobSeconds = 120;
// Faults of a model as a whole, which no node has.
constexpr const char* kOfTheModel[] = {"opset", "the model has no outputs", "a shape is given for"};

std::string CodeName(grpc::StatusCode code) {
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
}

// Whether the text quotes who is at fault and goes on to say why.
bool NamesCause(const std::string& message) {
  for (const char* part : kOfTheModel) {
    if (absl::StrContains(message, part)) return true;
  }
  const size_t quote = message.find('\'');
  return quote != std::string::npos && message.size() > quote + 8;
}

bool IsRefusal(grpc::StatusCode code) {
  return code == grpc::INVALID_ARGUMENT || code == grpc::UNIMPLEMENTED || code == grpc::RESOURCE_EXHAUSTED;
}

// Numbers for the dimensions that the report leaves open.
void BindOpenShapes(const Json& report, Dice& dice, v1::InspectModelRequest* request) {
  std::map<std::string, int64_t> sizes;  // equal names are equal sizes
  for (const Json& input : report["inputs"]) {
    v1::ShapeBinding& binding = *request->add_shapes();
    binding.set_input(input["name"].get<std::string>());
    for (const Json& dim : input["shape"]) {
      if (dim.is_number()) {
        binding.add_dims(dim.get<int64_t>());
      } else {
        binding.add_dims(sizes.emplace(dim.get<std::string>(), 1 + dice.Below(8)).first->second);
      }
    }
  }
}

// What the report of an inspection lacks.
std::string FaultOf(const Json& report) {
  if (!report.is_object()) return "the report is no JSON";
  for (const Json& node : report["unsupported"]) {
    for (const char* field : {"node", "reason", "remedy"}) {
      if (node[field].get<std::string>().empty()) return absl::StrCat("an unsupported node without ", field);
    }
  }
  return "";
}

}  // namespace

Submission::Submission(ServerProcess& server, const Weights& weights)
    : caller_(server.Channel(server.AdminToken()), kPatienceSeconds) {
  const std::string bytes(weights.bytes, '\0');
  v1::BlobStatus status;
  caller_.Upload(bytes, &status, 1 << 20);
  weights_.set_name(kWeightsFile);
  weights_.mutable_blob()->set_sha256(Sha256Hex(bytes));
  weights_.mutable_blob()->set_size(bytes.size());
}

bool Submission::Judge(const grpc::Status& status, double seconds, const std::string& what, Answer* answer) {
  answer->slowest_seconds = std::max(answer->slowest_seconds, seconds);
  if (seconds > kMostSeconds) answer->finding = absl::StrCat(what, " took ", seconds, " s");
  if (status.ok()) return true;
  answer->kind = absl::StrCat(what, " refused: ", CodeName(status.error_code()));
  if (!IsRefusal(status.error_code()) || !NamesCause(status.error_message()))
    answer->finding = absl::StrCat(what, ": ", CodeName(status.error_code()), ": ", status.error_message());
  return false;
}

std::string Submission::CreateModel(const std::string& bytes, Answer* answer) {
  const absl::Time begin = absl::Now();
  v1::BlobStatus blob;
  const grpc::Status uploaded = caller_.Upload(bytes, &blob, 1 << 20);
  if (!Judge(uploaded, absl::ToDoubleSeconds(absl::Now() - begin), "upload", answer)) return "";
  v1::CreateModelRequest request;
  request.set_display_name("mutant");
  request.set_main_file("model.onnx");
  v1::NamedBlob& file = *request.add_files();
  file.set_name("model.onnx");
  file.mutable_blob()->set_sha256(Sha256Hex(bytes));
  file.mutable_blob()->set_size(bytes.size());
  *request.add_files() = weights_;
  v1::Model model;
  const absl::Time created = absl::Now();
  const grpc::Status status =
      caller_.models->CreateModel(Caller::Context(kPatienceSeconds).get(), request, &model);
  return Judge(status, absl::ToDoubleSeconds(absl::Now() - created), "model", answer) ? model.name() : "";
}

std::string Submission::Inspect(v1::InspectModelRequest& request, Answer* answer) {
  const absl::Time begin = absl::Now();
  v1::InspectModelResponse response;
  const grpc::Status status =
      caller_.models->InspectModel(Caller::Context(kPatienceSeconds).get(), request, &response);
  if (!Judge(status, absl::ToDoubleSeconds(absl::Now() - begin), "inspection", answer)) return "";
  return response.report_json();
}

void Submission::Compile(const v1::InspectModelRequest& inspected, Answer* answer) {
  v1::CreateJobRequest create;
  v1::JobSpec& spec = *create.mutable_spec();
  spec.set_model(inspected.model());
  spec.set_target(inspected.target());
  spec.set_threads(inspected.threads());
  *spec.mutable_shapes() = inspected.shapes();
  spec.mutable_budget()->set_zero_trials(true);
  const absl::Time begin = absl::Now();
  v1::Job job;
  grpc::Status status = caller_.jobs->CreateJob(Caller::Context(kPatienceSeconds).get(), create, &job);
  if (!Judge(status, absl::ToDoubleSeconds(absl::Now() - begin), "job", answer)) return;
  v1::WatchJobRequest watch;
  watch.set_name(job.name());
  watch.set_timeout_seconds(5);
  while (job.end_time_micros() == 0 && answer->job_seconds < kMostJobSeconds) {
    status = caller_.jobs->WatchJob(Caller::Context(kPatienceSeconds).get(), watch, &job);
    watch.set_after_revision(status.ok() ? job.revision() : 0);
    answer->job_seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  }
  if (job.end_time_micros() == 0) {  // its place is wanted
    v1::CancelJobRequest cancel;
    cancel.set_name(job.name());
    v1::Job cancelled;
    caller_.jobs->CancelJob(Caller::Context(kPatienceSeconds).get(), cancel, &cancelled);
  }
  answer->kind = absl::StrCat("job ", v1::JobState_Name(job.state()).substr(10));
  if (job.child_restarts() > 0)
    answer->finding = absl::StrCat("hone-job died ", job.child_restarts(), " times: ", job.error());
  else if (job.end_time_micros() == 0)
    answer->finding = absl::StrCat("the job does not end: ", job.progress().phase());
  else if (job.state() == v1::JOB_STATE_FAILED && !NamesCause(job.error()))
    answer->finding = absl::StrCat("the job failed without a cause: ", job.error());
}

Answer Submission::Run(const std::string& bytes, Dice& dice, bool compile) {
  Answer answer;
  v1::InspectModelRequest request;
  request.set_model(CreateModel(bytes, &answer));
  if (request.model().empty()) return answer;
  request.set_target("x86-64-v3");
  request.set_threads(static_cast<uint32_t>(1 + dice.Below(2)));
  std::string text = Inspect(request, &answer);
  if (text.empty()) return answer;
  Json report = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (report.is_object() && !report["unbound_symbols"].empty()) {
    BindOpenShapes(report, dice, &request);
    text = Inspect(request, &answer);
    if (text.empty()) return answer;
    report = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  }
  const std::string fault = FaultOf(report);
  if (!fault.empty()) answer.finding = fault;
  const bool well = fault.empty() && report["unsupported"].empty() && report["unbound_symbols"].empty();
  answer.kind = well ? "inspects well" : "inspects, not supported";
  if (well && compile) Compile(request, &answer);
  return answer;
}

}  // namespace hone
