#include "tests/reliability/worker_fleet.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

extern char** environ;

namespace hone {
namespace {

constexpr int kHour = 3600;

}  // namespace

WorkerFleet::WorkerFleet(const FleetOptions& options, std::mt19937& random)
    : options_(options), random_(random), members_(static_cast<size_t>(options.workers)) {
  for (size_t i = 0; i < members_.size(); ++i) Start(i);
}

WorkerFleet::~WorkerFleet() {
  for (const Member& member : members_) {
    if (member.pid > 0) kill(member.pid, SIGKILL), waitpid(member.pid, nullptr, 0);
  }
}

void WorkerFleet::Start(size_t index) {
  const int clock_offset = (static_cast<int>(random_() % 3) - 1) * kHour;
  std::vector<std::string> words = {HONE_SIMULATED_WORKER,
                                    options_.address,
                                    options_.ca_file,
                                    options_.enrol_token,
                                    absl::StrCat(options_.folder, "/worker", index),
                                    options_.memory_file,
                                    absl::StrCat(options_.lease_seconds),
                                    absl::StrCat(clock_offset)};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::string log = words[4] + ".log";
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 2, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  Member& member = members_[index] = {};
  if (posix_spawn(&member.pid, words[0].c_str(), &files, nullptr, arguments.data(), environ) != 0)
    member.pid = -1, member.due = absl::Now();
  posix_spawn_file_actions_destroy(&files);
}

WorkerFleet::Member& WorkerFleet::Pick() {
  for (;;) {  // most of them run
    Member& member = members_[random_() % members_.size()];
    if (member.pid > 0 && !member.frozen) return member;
  }
}

absl::Time WorkerFleet::Later(double from, double to) {
  const double leases = std::uniform_real_distribution<>(from, to)(random_);
  return absl::Now() + absl::Seconds(leases * options_.lease_seconds);
}

void WorkerFleet::Kill() {
  Member& member = Pick();
  kill(member.pid, SIGKILL);
  waitpid(member.pid, nullptr, 0);
  member = {.due = Later(0, 1)};
}

void WorkerFleet::Freeze() {
  Member& member = Pick();
  kill(member.pid, SIGSTOP);
  member.frozen = true;
  member.due = Later(1.2, 2);
}

void WorkerFleet::Maintain() {
  for (size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    if (member.pid > 0 && waitpid(member.pid, nullptr, WNOHANG) == member.pid) {
      ++died_;
      member = {.due = absl::Now()};
    }
    if (absl::Now() < member.due) continue;
    if (member.frozen) {
      kill(member.pid, SIGCONT);
      member.frozen = false;
      member.due = absl::InfiniteFuture();
    } else {
      Start(i);
    }
  }
}

}  // namespace hone
