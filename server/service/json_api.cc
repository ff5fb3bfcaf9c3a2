#include "server/service/json_api.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/util/json_util.h"
#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "nlohmann/json.hpp"
#include "server/execution/status_macros.h"

namespace hone {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(8);

constexpr std::string_view kReadingRpcs[] = {
    "JobService/GetJob",       "JobService/ListJobs",         "ModelService/GetModel",
    "ModelService/ListModels", "ModuleService/GetModule",     "ModuleService/ListModules",
    "RecordService/ListRecords", "ServerService/GetServerInfo", "WorkerService/ListWorkers",
};

std::unique_ptr<google::protobuf::Message> NewMessage(const google::protobuf::Descriptor* type) {
  return std::unique_ptr<google::protobuf::Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

absl::Status Fill(const std::map<std::string, std::string>& fields, google::protobuf::Message& request) {
  const std::string json =
      nlohmann::json(fields).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const auto status = google::protobuf::util::JsonStringToMessage(json, &request);
  if (status.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(request.GetDescriptor()->name(), ": ", std::string(status.message())));
}

absl::StatusOr<std::string> Print(const google::protobuf::Message& response) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(response, &json, options);
  if (status.ok()) return json;
  return absl::InternalError(std::string(status.message()));
}

absl::Status CallUnary(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
                       const std::string& authorization, const google::protobuf::Message& request,
                       google::protobuf::Message& response) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  context.AddMetadata("authorization", authorization);
  const grpc::Slice bytes(request.SerializeAsString());
  grpc::CompletionQueue queue;
  auto call = grpc::GenericStub(channel).PrepareUnaryCall(&context, path, grpc::ByteBuffer(&bytes, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, &queue);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!status.ok()) {
    return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};  // the same numbers
  }
  grpc::Slice whole;
  if (!answer.DumpToSingleSlice(&whole).ok() ||
      !response.ParseFromArray(whole.begin(), static_cast<int>(whole.size()))) {
    return absl::InternalError(absl::StrCat("the answer of ", path, " does not parse"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> JsonApi::Call(const std::string& method,
                                          const std::map<std::string, std::string>& fields,
                                          const std::string& authorization) const {
  HONE_RETURN_IF_ERROR(tokens_.Authenticate({authorization}).status());
  if (std::find(std::begin(kReadingRpcs), std::end(kReadingRpcs), method) == std::end(kReadingRpcs))
    return absl::NotFoundError(absl::StrCat("no reading call is named '", method, "'"));
  const std::string path = absl::StrCat("/hone.v1.", method);
  HONE_RETURN_IF_ERROR(tokens_.Authorise({authorization}, path).status());
  const google::protobuf::MethodDescriptor* rpc =
      google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(
          absl::StrReplaceAll(path.substr(1), {{"/", "."}}));
  if (rpc == nullptr) return absl::InternalError(absl::StrCat(method, " is in no .proto file"));
  const std::unique_ptr<google::protobuf::Message> request = NewMessage(rpc->input_type());
  const std::unique_ptr<google::protobuf::Message> response = NewMessage(rpc->output_type());
  HONE_RETURN_IF_ERROR(Fill(fields, *request));
  HONE_RETURN_IF_ERROR(CallUnary(channel_, path, authorization, *request, *response));
  return Print(*response);
}

}  // namespace hone
