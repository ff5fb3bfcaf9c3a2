#include "client/job_watcher.h"

#include <mutex>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/error.h"
#include "client/interrupts.h"
#include "client/progress.h"
#include "client/resource_name.h"

namespace hone {
namespace {

constexpr absl::Duration kLongPoll = absl::Seconds(20);
constexpr absl::Duration kPatience = absl::Minutes(5);  // with a server that does not answer
constexpr absl::Duration kReconnect = absl::Seconds(1);

// The client that Ctrl-C must interrupt, which may be replaced meanwhile.
class Watched {
 public:
  explicit Watched(std::shared_ptr<HoneClient> client) : client_(std::move(client)) {}

  std::shared_ptr<HoneClient> get() {
    std::lock_guard lock(mutex_);
    return client_;
  }
  void Replace(std::shared_ptr<HoneClient> client) {
    std::lock_guard lock(mutex_);
    client_ = std::move(client);
    if (interrupted_) client_->InterruptWatch();
  }
  void Interrupt() {
    std::lock_guard lock(mutex_);
    interrupted_ = true;
    client_->InterruptWatch();
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<HoneClient> client_;
  bool interrupted_ = false;
};

bool IsAway(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

absl::StatusOr<WatchedJob> WatchToEnd(const CommandContext& context, std::shared_ptr<HoneClient>& client,
                                      const std::string& name) {
  Watched watched(client);
  Interrupts interrupts([&] { watched.Interrupt(); });
  ProgressDisplay display(context.console);
  WatchedJob result;
  absl::Time last_answer = absl::Now();
  bool away = false;
  while (!interrupts.raised()) {
    auto job = watched.get()->WatchJob(name, result.job.revision(), kLongPoll);
    if (job.ok()) {
      away = false;
      last_answer = absl::Now();
      result.job = *std::move(job);
      display.Update(result.job, last_answer);
      if (HasEnded(result.job)) break;
      continue;
    }
    if (interrupts.raised()) break;
    if (!IsAway(job.status()) || absl::Now() - last_answer > kPatience) {
      return WithRemedy(WithContext(job.status(), "watching " + name),
                        "come back with: hone job watch " + ShortName(name));
    }
    if (!away) {
      display.Finish();
      context.console.Note(absl::StrCat("the server is away (", job.status().message(), "); looking for it"));
    }
    away = true;
    absl::SleepFor(kReconnect);
    auto again = context.connect();
    if (again.ok()) {
      client = *std::move(again);
      watched.Replace(client);
    } else if (!IsAway(again.status())) {
      return again.status();
    }
  }
  display.Finish();
  result.detached = !HasEnded(result.job);
  return result;
}

std::string ComeBackText(const std::string& name, const std::string& out) {
  const std::string id = ShortName(name);
  return absl::StrCat("come back with         hone job watch ", id,
                      "\ntake the result with   hone module download ", id, " -o ", out,
                      "\nstop it, keep the best hone job cancel ", id, "\n");
}

}  // namespace hone
