#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>

#include "client/command.h"

namespace {

constexpr int kWidest = 10'000;

// Columns and lines; zeros if it is no terminal, or one that does not know.
winsize TerminalSize(int fd) {
  winsize size = {};
  if (isatty(fd)) ioctl(fd, TIOCGWINSZ, &size);
  return size;
}

// Of stdout; COLUMNS, if it is exported, says so for what is no terminal too.
int OutputWidth() {
  const char* columns = getenv("COLUMNS");
  const int wanted = columns == nullptr ? 0 : atoi(columns);
  return wanted > 0 && wanted <= kWidest ? wanted : TerminalSize(STDOUT_FILENO).ws_col;
}

// The token of a server is no business of the programs that hone starts: a server and worker of its user's
// own, Python.
std::string TakeToken() {
  const char* token = getenv("HONE_TOKEN");
  const std::string taken = token == nullptr ? "" : token;
  unsetenv("HONE_TOKEN");
  return taken;
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);  // its log lines repeat our errors less clearly
  const char* term = getenv("TERM");
  hone::Console console{std::cout, std::cerr};
  console.width = OutputWidth();
  if (const winsize size = TerminalSize(STDERR_FILENO); size.ws_col > 0 && size.ws_row > 0) {
    console.err_width = size.ws_col;
    console.err_height = size.ws_row;
  }
  console.redraw = isatty(STDERR_FILENO) && term != nullptr && std::string(term) != "dumb";
  console.interactive = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
  const auto variable = [token = TakeToken()](const char* name) -> const char* {
    return std::string_view(name) == "HONE_TOKEN" ? token.c_str() : getenv(name);
  };
  return hone::RunCommandLine(std::vector<std::string>(argv + 1, argv + argc), console, variable);
}
