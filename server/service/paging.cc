#include "server/service/paging.h"

#include <algorithm>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proto/values/sha256.h"

namespace hone {
namespace {

std::string Fingerprint(const std::string& query) { return Sha256Hex(query).substr(0, 8); }

}  // namespace

std::string NextPageToken(int64_t last, const std::string& query) {
  return absl::WebSafeBase64Escape(absl::StrCat("1.", last, ".", Fingerprint(query)));
}

absl::StatusOr<Page> ParsePage(int32_t page_size, const std::string& page_token, const std::string& query) {
  if (page_size < 0) return absl::InvalidArgumentError("page_size is negative");
  Page page;
  page.limit = page_size == 0 ? kDefaultPageSize : std::min<int>(page_size, kMaxPageSize);
  if (page_token.empty()) return page;
  std::string text;
  if (absl::WebSafeBase64Unescape(page_token, &text)) {
    const std::vector<std::string> parts = absl::StrSplit(text, '.');
    if (parts.size() == 3 && parts[0] == "1" && absl::SimpleAtoi(parts[1], &page.after) &&
        parts[2] == Fingerprint(query)) {
      return page;
    }
  }
  return absl::InvalidArgumentError("page_token is not one that this listing gave out");
}

}  // namespace hone
