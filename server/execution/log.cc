#include "server/execution/log.h"

#include <cstdio>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace hone {
namespace {

constexpr const char* kLevelNames[] = {"debug", "info", "warning", "error"};  // by LogLevel

std::atomic<LogLevel> least_level = LogLevel::kInfo;
thread_local const LogScope* innermost_scope = nullptr;

}  // namespace

const char* LogLevelName(LogLevel level) { return kLevelNames[static_cast<int>(level)]; }

bool ParseLogLevel(const std::string& name, LogLevel& level) {
  for (LogLevel candidate : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (name != LogLevelName(candidate)) continue;
    level = candidate;
    return true;
  }
  return false;
}

void SetLogLevel(LogLevel level) { least_level = level; }

LogScope::LogScope(const char* key, std::string value)
    : key_(key), value_(std::move(value)), outer_(innermost_scope) {
  innermost_scope = this;
}

LogScope::~LogScope() { innermost_scope = outer_; }

void LogEvent(LogLevel level, const std::string& event, LogFields fields) {
  if (level < least_level) return;
  nlohmann::ordered_json line;
  line["ts"] = absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::Now(), absl::UTCTimeZone());
  line["level"] = LogLevelName(level);
  line["event"] = event;
  for (const auto& [key, value] : fields) line[key] = value;
  for (const LogScope* scope = innermost_scope; scope != nullptr; scope = scope->outer_)
    line.emplace(scope->key_, scope->value_);  // unless it is there
  // Text from outside may be no UTF-8: replaced, never thrown over.
  const std::string text = line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

bool LogLimit::Admits() {
  const int64_t now = absl::ToUnixSeconds(absl::Now());
  if (second_.exchange(now) != now) count_ = 0;
  return count_++ < per_second_;
}

}  // namespace hone
