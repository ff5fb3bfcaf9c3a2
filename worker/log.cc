#include "worker/log.h"

#include <cstdio>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace hone {

void Log(const std::string& line) {
  std::string text = absl::StrCat(absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()),
                                  " hone-worker: ", line);
  for (char& c : text) {
    if (absl::ascii_iscntrl(c)) c = '?';
  }
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace hone
