#include "client/call_context.h"

#include "absl/strings/cord.h"
#include "absl/time/clock.h"
#include "client/pinned_channel.h"
#include "proto/values/request_id.h"

namespace hone {
namespace {

constexpr char kRequestIdUrl[] = "hone/request-id";  // in a status

}  // namespace

absl::Status WithRequestId(absl::Status status, const std::string& id) {
  if (!status.ok()) status.SetPayload(kRequestIdUrl, absl::Cord(id));
  return status;
}

std::string RequestIdOf(const absl::Status& status) {
  const auto id = status.GetPayload(kRequestIdUrl);
  return id ? std::string(*id) : "";
}

CallContext::CallContext(absl::Duration timeout, const std::string& request_id) {
  set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  AddMetadata(kRequestIdKey, request_id);
}

absl::Status CallContext::Finish(const grpc::Status& status, const std::string& address) const {
  const absl::Status result = FromGrpc(status, address);
  const auto told = GetServerTrailingMetadata().find(kRequestIdKey);
  if (told == GetServerTrailingMetadata().end()) return result;
  return WithRequestId(result, std::string(told->second.data(), told->second.size()));
}

}  // namespace hone
