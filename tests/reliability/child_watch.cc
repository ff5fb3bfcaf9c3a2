#include "tests/reliability/child_watch.h"

#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "tests/reliability/process_usage.h"

namespace hone {
namespace {

constexpr absl::Duration kLook = absl::Milliseconds(20);  // filling 1 GiB takes longer

std::set<pid_t> ChildrenOf(pid_t parent) {
  std::set<pid_t> children;
  std::error_code error;
  std::filesystem::directory_iterator task(absl::StrCat("/proc/", parent, "/task"), error), end;
  for (; !error && task != end; task.increment(error)) {
    std::ifstream in(task->path() / "children");
    for (pid_t child; in >> child;) children.insert(child);
  }
  return children;
}

}  // namespace

ChildWatch::ChildWatch(pid_t parent, uint64_t limit, std::function<void(pid_t, uint64_t)> exceeded)
    : parent_(parent), limit_(limit), exceeded_(std::move(exceeded)), thread_([this] { Loop(); }) {}

ChildWatch::~ChildWatch() {
  stopping_ = true;
  thread_.join();
}

void ChildWatch::Loop() {
  std::set<pid_t> told;
  while (!stopping_) {
    for (const pid_t child : ChildrenOf(parent_)) {
      const uint64_t bytes = PeakBytes(child);
      peak_ = std::max<uint64_t>(peak_, bytes);
      if (bytes > limit_ && told.insert(child).second) exceeded_(child, bytes);
    }
    absl::SleepFor(kLook);  // there is nothing to wait for: the kernel tells nobody of memory
  }
}

}  // namespace hone
