#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>

#include "client/command.h"

namespace {

int TerminalWidth(int fd) {
  winsize size = {};
  return isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);  // its log lines repeat our errors less clearly
  const char* term = getenv("TERM");
  hone::Console console{std::cout, std::cerr};
  console.width = TerminalWidth(STDOUT_FILENO);
  console.redraw = isatty(STDERR_FILENO) && term != nullptr && std::string(term) != "dumb";
  return hone::RunCommandLine(std::vector<std::string>(argv + 1, argv + argc), console, getenv);
}
