#pragma once

#include <algorithm>
#include <string>

#include "absl/status/statusor.h"
#include "client/error.h"

namespace hone {

inline constexpr size_t kLargestPage = 1000;  // that a server gives

// Which rows of a listing are wanted.
struct Rows {
  size_t limit = SIZE_MAX;
  std::string token = "";  // go on after an earlier answer
};

// Those rows, fetched page by page: fetch(page_size, page_token) gives a Response, whose rows `count` counts.
// The answer's next_page_token says where to go on; it is empty if that is all.
template <typename Response, typename Fetch>
absl::StatusOr<Response> FetchRows(const Rows& rows, int (Response::*count)() const, Fetch fetch) {
  Response all;
  all.set_next_page_token(rows.token);
  do {
    const size_t missing = rows.limit - static_cast<size_t>((all.*count)());
    absl::StatusOr<Response> page =
        fetch(static_cast<int>(std::min(missing, kLargestPage)), all.next_page_token());
    if (absl::IsInvalidArgument(page.status()) && !rows.token.empty())
      return WithRemedy(page.status(), "give --page as the same command printed it, or leave it out");
    if (!page.ok()) return page.status();
    const std::string next = page->next_page_token();
    all.MergeFrom(*page);
    all.set_next_page_token(next);
  } while (!all.next_page_token().empty() && static_cast<size_t>((all.*count)()) < rows.limit);
  return all;
}

}  // namespace hone
