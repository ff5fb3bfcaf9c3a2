#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hone {

// Longest error that is handed on: gRPC sends it in a header of at most 8 KiB, where a byte may take three.
inline constexpr size_t kMaxErrorBytes = 2000;

// Text made with names of strangers, fit for messages, logs and terminals: invalid UTF-8 and control
// characters (but newlines) become U+FFFD; what exceeds `limit` bytes is left out of the middle, as the cause
// stands last.
std::string ReadableText(std::string_view text, size_t limit = SIZE_MAX);

}  // namespace hone
