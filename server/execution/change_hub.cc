#include "server/execution/change_hub.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/time/clock.h"

namespace hone {
namespace {

constexpr size_t kMaxTopics = 4096;  // remembered; jobs come and go for ever

}  // namespace

ChangeHub::ChangeHub() : thread_([this] { Loop(); }) {}

ChangeHub::~ChangeHub() {
  Stop();
  {
    std::lock_guard lock(mutex_);
    finished_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

uint64_t ChangeHub::Stamp() const {
  std::lock_guard lock(mutex_);
  return stamp_;
}

void ChangeHub::Notify(const std::string& topic) {
  std::lock_guard lock(mutex_);
  if (last_change_.size() >= kMaxTopics) {
    last_change_.clear();
    forgotten_ = stamp_;
  }
  last_change_[topic] = ++stamp_;
  auto woken = std::stable_partition(waiting_.begin(), waiting_.end(),
                                     [&](const Waiter& waiter) { return waiter.topic != topic; });
  for (auto it = woken; it != waiting_.end(); ++it) ready_.push_back(std::move(it->wake));
  waiting_.erase(woken, waiting_.end());
  if (!ready_.empty()) changed_.notify_all();
}

uint64_t ChangeHub::Wait(const std::string& topic, uint64_t stamp, absl::Time deadline,
                         std::function<void()> wake) {
  std::lock_guard lock(mutex_);
  auto last = last_change_.find(topic);
  if (stopped_ || (last == last_change_.end() ? forgotten_ : last->second) > stamp) {
    ready_.push_back(std::move(wake));
  } else {
    waiting_.push_back({waiters_ + 1, topic, deadline, std::move(wake)});
  }
  changed_.notify_all();
  return ++waiters_;
}

void ChangeHub::Forget(uint64_t waiter) {
  std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [&](const Waiter& waiting) { return waiting.number == waiter; });
}

void ChangeHub::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  for (Waiter& waiter : waiting_) ready_.push_back(std::move(waiter.wake));
  waiting_.clear();
  changed_.notify_all();
}

bool ChangeHub::stopped() const {
  std::lock_guard lock(mutex_);
  return stopped_;
}

void ChangeHub::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const absl::Time now = absl::Now();
    absl::Time next = absl::InfiniteFuture();
    auto due = std::stable_partition(waiting_.begin(), waiting_.end(),
                                     [&](const Waiter& waiter) { return waiter.deadline > now; });
    for (auto it = due; it != waiting_.end(); ++it) ready_.push_back(std::move(it->wake));
    waiting_.erase(due, waiting_.end());
    for (const Waiter& waiter : waiting_) next = std::min(next, waiter.deadline);
    if (!ready_.empty()) {
      std::vector<std::function<void()>> ready = std::exchange(ready_, {});
      lock.unlock();
      for (std::function<void()>& wake : ready) wake();
      ready.clear();
      lock.lock();
      continue;
    }
    if (finished_) return;
    if (next == absl::InfiniteFuture()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, absl::ToChronoTime(next));
    }
  }
}

}  // namespace hone
