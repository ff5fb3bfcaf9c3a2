#include <signal.h>
#include <sys/stat.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "server/config.h"
#include "server/execution/log.h"
#include "server/server.h"

int main(int argc, char** argv) {
  const absl::StatusOr<hone::ServerConfig> config = hone::ParseCommandLine(argc, argv);
  if (!config.ok()) {
    std::fprintf(stderr, "hone-server: %s\n", std::string(config.status().message()).c_str());
    return 2;
  }
  if (config->help) {
    std::fputs(hone::UsageText().c_str(), stdout);
    return 0;
  }
  umask(077);  // models, modules and tokens are their owner's alone
  // Blocked in all threads, which inherit the mask; this one waits for them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  absl::StatusOr<std::unique_ptr<hone::Server>> server = hone::Server::Start(*config);
  if (!server.ok()) {
    std::fprintf(stderr, "hone-server: %s\n", std::string(server.status().message()).c_str());
    return 1;
  }
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  hone::LogEvent("stopping", {{"signal", absl::StrCat(signal_number)}});
  return 0;
}
