#include "server/service/resource_names.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

constexpr size_t kMaxFileName = 255;
constexpr size_t kMaxDisplayName = 128;
constexpr size_t kMaxId = 64;

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::string Quoted(std::string_view text) {
  return absl::StrCat("'", absl::CHexEscape(std::string(text.substr(0, 80))),
                      text.size() > 80 ? "...'" : "'");
}

}  // namespace

absl::StatusOr<std::string> IdIn(std::string_view collection, std::string_view name) {
  const std::string prefix = absl::StrCat(std::string(collection), "/");
  std::string_view id = name;
  const bool prefixed = id.starts_with(prefix);
  if (prefixed) id.remove_prefix(prefix.size());
  const bool plain = !id.empty() && id.size() <= kMaxId && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
  if (prefixed && plain) return std::string(id);
  return absl::InvalidArgumentError(
      absl::StrCat(Quoted(name), " is not a name of the form ", prefix, "{id}"));
}

absl::Status CheckFileName(std::string_view name) {
  bool fine = !name.empty() && name.size() <= kMaxFileName && !HasControl(name) &&
              name.find('\\') == std::string_view::npos;
  for (const absl::string_view part : absl::StrSplit(absl::string_view(name.data(), name.size()), '/'))
    fine &= !part.empty() && part != "." && part != "..";
  if (fine) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the file name ", Quoted(name),
                   " is not a plain relative name (no '..', leading '/', backslash or control "
                   "character, at most ",
                   kMaxFileName, " bytes)"));
}

absl::Status CheckDisplayName(std::string_view name) {
  if (!name.empty() && name.size() <= kMaxDisplayName && !HasControl(name) &&
      name.find('/') == std::string_view::npos) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("display_name ", Quoted(name), " must have 1 to ",
                                                 kMaxDisplayName,
                                                 " bytes, without '/' and control characters"));
}

}  // namespace hone
