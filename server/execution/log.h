#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

namespace hone {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

const char* LogLevelName(LogLevel level);
bool ParseLogLevel(const std::string& name, LogLevel& level);

// Events below it are dropped; for the whole process.
void SetLogLevel(LogLevel level);

using LogFields = std::initializer_list<std::pair<const char*, std::string>>;

// One JSON object per line on stderr: {"ts": RFC 3339, "level", "event": ..., fields}. The ids in fields are
// named "request" (of a call, see BeginRequest), "job", "lease", "worker" everywhere. Thread-safe. Tokens are
// never logged.
void LogEvent(LogLevel level, const std::string& event, LogFields fields = {});
inline void LogEvent(const std::string& event, LogFields fields = {}) {
  LogEvent(LogLevel::kInfo, event, fields);
}

// While it lives, every event that its thread logs has this field too. Scopes nest; an event's own field of
// the same name, or an inner scope's, comes instead.
class LogScope {
 public:
  LogScope(const char* key, std::string value);
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

 private:
  friend void LogEvent(LogLevel level, const std::string& event, LogFields fields);

  const char* const key_;
  const std::string value_;
  const LogScope* const outer_;
};

// Keeps what strangers can cause out of the log: at most `per_second` events in a second. Thread-safe.
class LogLimit {
 public:
  explicit LogLimit(uint64_t per_second) : per_second_(per_second) {}
  bool Admits();

 private:
  const uint64_t per_second_;
  std::atomic<int64_t> second_ = 0;
  std::atomic<uint64_t> count_ = 0;
};

}  // namespace hone
