#include "proto/values/readable_text.h"

#include <algorithm>

namespace hone {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view kLeftOut = " ... ";

bool Continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// Bytes of the character that `text` begins with; 0 if it is no valid one (RFC 3629: overlong forms and
// surrogates are none).
size_t CharacterBytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return (first < 0x20 && first != '\n') || first == 0x7F ? 0 : 1;
  const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
  if (!std::all_of(text.begin() + 1, text.begin() + static_cast<ptrdiff_t>(size), Continues)) return 0;
  const auto second = static_cast<unsigned char>(text[1]);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool beyond = (first == 0xED && second >= 0xA0) || (first == 0xF4 && second >= 0x90);
  const bool control = first == 0xC2 && second < 0xA0;
  return overlong || beyond || control ? 0 : size;
}

}  // namespace

std::string ReadableText(std::string_view text, size_t limit) {
  std::string readable;
  for (size_t at = 0; at < text.size();) {
    const size_t size = CharacterBytes(text.substr(at));
    readable += size == 0 ? kReplacement : text.substr(at, size);
    at += std::max<size_t>(1, size);
  }
  if (readable.size() <= limit) return readable;
  const size_t kept = limit - std::min(limit, kLeftOut.size());
  size_t head = kept / 3, tail = readable.size() - (kept - kept / 3);
  while (head > 0 && Continues(readable[head])) --head;
  while (tail < readable.size() && Continues(readable[tail])) ++tail;
  return readable.substr(0, head).append(kLeftOut).append(readable, tail);
}

}  // namespace hone
