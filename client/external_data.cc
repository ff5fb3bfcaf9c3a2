#include "client/external_data.h"

#include <climits>
#include <span>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"

namespace hone {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr int kMaxDepth = 64;
constexpr int kMaxNameBytes = 1 << 16;

enum class Message { kModel, kGraph, kNode, kAttribute, kTensor, kSparseTensor, kFunction, kEntry };

// The fields to descend into; everything else is skipped.
struct Path {
  Message message;
  int field;
  Message into;
};
constexpr Path kPaths[] = {
    {Message::kModel, 7, Message::kGraph},
    {Message::kModel, 25, Message::kFunction},
    {Message::kFunction, 7, Message::kNode},
    {Message::kGraph, 1, Message::kNode},
    {Message::kGraph, 5, Message::kTensor},
    {Message::kGraph, 15, Message::kSparseTensor},
    {Message::kNode, 5, Message::kAttribute},
    {Message::kAttribute, 5, Message::kTensor},
    {Message::kAttribute, 6, Message::kGraph},
    {Message::kAttribute, 10, Message::kTensor},
    {Message::kAttribute, 11, Message::kGraph},
    {Message::kAttribute, 22, Message::kSparseTensor},
    {Message::kAttribute, 23, Message::kSparseTensor},
    {Message::kSparseTensor, 1, Message::kTensor},
    {Message::kSparseTensor, 2, Message::kTensor},
    {Message::kTensor, 13, Message::kEntry},
};

const Path* FindPath(Message message, int field) {
  for (const Path& path : kPaths) {
    if (path.message == message && path.field == field) return &path;
  }
  return nullptr;
}

class Walker {
 public:
  Walker(CodedInputStream& in, std::set<std::string>& names) : in_(in), names_(names) {}

  bool Walk(Message message, int depth) {
    if (depth > kMaxDepth) return false;
    std::string key, value;
    while (uint32_t tag = in_.ReadTag()) {
      const int field = WireFormatLite::GetTagFieldNumber(tag);
      const bool bytes = WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
      const Path* path = bytes ? FindPath(message, field) : nullptr;
      if (path != nullptr) {
        if (!Descend(path->into, depth)) return false;
      } else if (message == Message::kEntry && bytes && (field == 1 || field == 2)) {
        if (!ReadName(field == 1 ? key : value)) return false;
      } else if (!WireFormatLite::SkipField(&in_, tag)) {
        return false;
      }
    }
    if (message == Message::kEntry && key == "location" && !value.empty()) names_.insert(value);
    return in_.ConsumedEntireMessage();
  }

 private:
  bool Descend(Message into, int depth) {
    int size;
    if (!in_.ReadVarintSizeAsInt(&size) || size > in_.BytesUntilLimit()) return false;
    const auto limit = in_.PushLimit(size);
    const bool ok = Walk(into, depth + 1) && in_.BytesUntilLimit() == 0;
    in_.PopLimit(limit);
    return ok;
  }

  bool ReadName(std::string& out) {
    int size;
    return in_.ReadVarintSizeAsInt(&size) && size <= kMaxNameBytes && in_.ReadString(&out, size);
  }

  CodedInputStream& in_;
  std::set<std::string>& names_;
};

}  // namespace

absl::StatusOr<std::set<std::string>> ExternalDataNames(google::protobuf::io::ZeroCopyInputStream& model,
                                                        uint64_t size) {
  if (size > INT_MAX)
    return absl::InvalidArgumentError(
        "an ONNX file is never larger than 2 GB: its weights belong into external data");
  std::set<std::string> names;
  CodedInputStream in(&model);
  in.PushLimit(static_cast<int>(size));  // a file skips past its end without complaint
  if (!Walker(in, names).Walk(Message::kModel, 0) || in.BytesUntilLimit() != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a readable ONNX file: the protocol buffer breaks off or is damaged near byte ",
                     in.CurrentPosition()));
  }
  return names;
}

}  // namespace hone
