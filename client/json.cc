#include "client/json.h"

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

namespace hone {

absl::StatusOr<Json> ParseJson(absl::string_view text, absl::string_view what) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::DataLossError(absl::StrCat(what, " is not JSON"));
  return json;
}

absl::StatusOr<Json> ReadJsonFile(const std::string& path) {
  std::ifstream in(path);
  if (!in) return absl::NotFoundError(absl::StrCat("there is no ", path));
  std::stringstream text;
  text << in.rdbuf();
  return ParseJson(text.str(), path);
}

const Json& JsonMember(const Json& object, const char* key) {
  static const Json& null = *new Json();
  if (!object.is_object()) return null;
  auto it = object.find(key);
  return it == object.end() ? null : *it;
}

double JsonNumber(const Json& object, const char* key, double otherwise) {
  const Json& value = JsonMember(object, key);
  return value.is_number() ? value.get<double>() : otherwise;
}

std::string JsonText(const Json& object, const char* key) {
  const Json& value = JsonMember(object, key);
  if (value.is_string()) return value.get<std::string>();
  return value.is_number() ? value.dump() : "";
}

std::string ShapeText(const Json& dims) {
  std::string text = "[";
  for (const Json& dim : dims) {
    absl::StrAppend(&text, text.size() > 1 ? "," : "", dim.is_string() ? dim.get<std::string>() : dim.dump());
  }
  return text + "]";
}

Json MessageJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) return Json();
  return Json::parse(text, nullptr, false);
}

}  // namespace hone
