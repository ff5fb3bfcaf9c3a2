#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "nlohmann/json.hpp"

// JSON without exceptions: what is absent or of another type reads as empty.
namespace hone {

using Json = nlohmann::ordered_json;

// `what` names the text in the error: "report.json".
absl::StatusOr<Json> ParseJson(absl::string_view text, absl::string_view what);
absl::StatusOr<Json> ReadJsonFile(const std::string& path);

double JsonNumber(const Json& object, const char* key, double otherwise = 0);
std::string JsonText(const Json& object, const char* key);
const Json& JsonMember(const Json& object, const char* key);  // null if absent

// "[1,3,48,320]" of an array of numbers and symbol names; scalars give "[]".
std::string ShapeText(const Json& dims);

// A message with its proto field names; default values included.
Json MessageJson(const google::protobuf::Message& message);

}  // namespace hone
