#pragma once

#include <initializer_list>
#include <string>
#include <utility>

namespace hone {

// One JSON object per line on stderr: {"ts": RFC 3339, "event": ..., fields}. Thread-safe. Tokens are never
// logged.
void LogEvent(const std::string& event,
              std::initializer_list<std::pair<const char*, std::string>> fields = {});

}  // namespace hone
