#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "proto/sandbox/sandbox_status.h"
#include "server/backup.h"
#include "server/config.h"
#include "server/execution/log.h"
#include "server/server.h"
#include "server/storage/sqlite_connection.h"

// Of jemalloc, where it is linked: what calls take and return on twenty threads goes back to the system soon,
// and leaves few holes.
extern "C" const char* malloc_conf;
const char* malloc_conf =
    "narenas:2,tcache_max:2048,background_thread:true,dirty_decay_ms:2000,muzzy_decay_ms:0";

namespace {

constexpr size_t kPageCacheBytes = size_t{8} << 20;

// All that is acknowledged is stored: where a graceful stop takes too long, or a second signal comes, the
// process ends at once.
void Watch(sigset_t signals, absl::Duration patience) {
  const timespec limit = absl::ToTimespec(patience);
  const bool again = sigtimedwait(&signals, nullptr, &limit) > 0;
  hone::LogEvent(hone::LogLevel::kWarning, "stopped_at_once",
                 {{"reason", again ? "a second signal" : "drain-seconds are over"}});
  _exit(1);
}

int Fail(const absl::Status& status, int code) {
  std::fprintf(stderr, "hone-server: %s\n", std::string(status.message()).c_str());
  return code;
}

int Tell(const absl::StatusOr<hone::BackupReport>& report) {
  if (!report.ok()) return Fail(report.status(), 1);
  std::printf("{\"files\": %d, \"bytes\": %llu}\n", report->files,
              static_cast<unsigned long long>(report->bytes));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const absl::StatusOr<hone::ServerConfig> config = hone::ParseCommandLine(argc, argv);
  if (!config.ok()) return Fail(config.status(), 2);
  umask(077);  // models, modules and tokens are their owner's alone
  switch (config->action) {
    case hone::ServerAction::kServe:
      break;
    case hone::ServerAction::kHelp:
      std::fputs(hone::UsageText().c_str(), stdout);
      return 0;
    case hone::ServerAction::kPrintConfig:
      std::fputs(hone::ConfigFileText().c_str(), stdout);
      return 0;
    case hone::ServerAction::kCheckConfig: {
      const absl::Status sandbox = hone::SandboxStatus(HoneSandboxProbe(), "jobs");
      if (!sandbox.ok() && !config->allow_unsandboxed) return Fail(sandbox, 2);
      std::puts("the configuration is valid");
      return 0;
    }
    case hone::ServerAction::kBackup:
      return Tell(hone::Backup(config->data_dir, config->copy));
    case hone::ServerAction::kRestore:
      return Tell(hone::Restore(config->copy, config->data_dir));
  }
  if (const absl::Status kept = hone::ReservePageCache(kPageCacheBytes); !kept.ok()) return Fail(kept, 1);
  hone::SetLogLevel(config->log_level);
  // Blocked in all threads, which inherit the mask; this one waits for them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  absl::StatusOr<std::unique_ptr<hone::Server>> server = hone::Server::Start(*config);
  if (!server.ok()) return Fail(server.status(), 1);
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  hone::LogEvent("stopping", {{"signal", absl::StrCat(signal_number)}});
  std::thread(Watch, signals, absl::Seconds(config->drain_seconds)).detach();
  return 0;
}
