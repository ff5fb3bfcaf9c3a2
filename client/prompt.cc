#include "client/prompt.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "proto/values/file_descriptor.h"

namespace hone {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGTSTP};

// One line of stdin without its end; Cancelled if a signal comes that does not restart reads.
absl::StatusOr<std::string> ReadAnswer() {
  std::string line;
  for (char c = 0;;) {
    const ssize_t got = read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) return absl::CancelledError("interrupted");
    if (got < 0) return ErrnoStatus("reading the answer");
    if (got == 0 || c == '\n') return line;
    line.push_back(c);
  }
}

}  // namespace

absl::StatusOr<bool> Confirm(const Console& console, const std::string& question) {
  console.err << question << " [y/N] " << std::flush;
  auto answer = ReadAnswer();
  if (!answer.ok()) return answer.status();
  const std::string lower = absl::AsciiStrToLower(absl::StripAsciiWhitespace(*answer));
  return lower == "y" || lower == "yes";
}

absl::StatusOr<std::string> AskSecret(const Console& console, const std::string& question) {
  termios before;
  if (tcgetattr(STDIN_FILENO, &before) != 0) return ErrnoStatus("asking the terminal");
  termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  // Signals end the reading, not the process: it must not leave a terminal that shows nothing.
  struct sigaction interrupt = {}, old[std::size(kSignals)];
  interrupt.sa_handler = [](int) {};
  for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &interrupt, &old[i]);
  const absl::Cleanup restore = [&] {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &old[i], nullptr);
  };
  if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) != 0) return ErrnoStatus("asking the terminal");
  console.err << question << ": " << std::flush;
  auto answer = ReadAnswer();
  console.err << std::endl;
  if (!answer.ok()) return answer.status();
  return std::string(absl::StripAsciiWhitespace(*answer));
}

}  // namespace hone
