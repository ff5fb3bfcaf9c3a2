#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "server/storage/rows.h"

namespace hone {

inline constexpr int kDefaultPageSize = 100;
inline constexpr int kMaxPageSize = 1000;

// The page a request asks for. `query` is everything else that decides the listing: a token belongs to its
// query. InvalidArgument: negative size, or a token that this listing did not give out.
absl::StatusOr<Page> ParsePage(int32_t page_size, const std::string& page_token, const std::string& query);
// The token for what follows `last`.
std::string NextPageToken(int64_t last, const std::string& query);

// `rows` were read with one more than the page's limit: takes the surplus off and returns the token ("" on
// the last page). `key` gives a row's number.
template <typename Rows, typename Key>
std::string FinishPage(Rows& rows, int limit, const std::string& query, Key key) {
  if (rows.size() <= static_cast<size_t>(limit)) return "";
  rows.resize(static_cast<size_t>(limit));
  return NextPageToken(key(rows.back()), query);
}

}  // namespace hone
