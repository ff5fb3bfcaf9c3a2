#include "server/execution/log.h"

#include <cstdio>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace hone {

void LogEvent(const std::string& event, std::initializer_list<std::pair<const char*, std::string>> fields) {
  nlohmann::ordered_json line;
  line["ts"] = absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::Now(), absl::UTCTimeZone());
  line["event"] = event;
  for (const auto& [key, value] : fields) line[key] = value;
  // Text from outside may be no UTF-8: replaced, never thrown over.
  const std::string text = line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace hone
