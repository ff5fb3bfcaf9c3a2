#include "server/jobs/wake_up.h"

#include <sys/eventfd.h>

#include <cstdint>

#include "server/storage/durable_file.h"

namespace hone {

absl::StatusOr<std::unique_ptr<WakeUp>> WakeUp::Make(ChangeHub& hub, std::vector<std::string> topics) {
  std::unique_ptr<WakeUp> wake_up(new WakeUp(hub, std::move(topics)));
  wake_up->state_->event = FileDescriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_up->state_->event.valid()) return ErrnoStatus("making an eventfd");
  for (size_t i = 0; i < wake_up->topics_.size(); ++i) {
    wake_up->state_->armed.push_back(std::make_unique<std::atomic<bool>>(false));
  }
  return wake_up;
}

// Topics may stay silent for ever: what waits for them holds the descriptor.
WakeUp::~WakeUp() {
  for (const uint64_t waiter : waiters_) hub_.Forget(waiter);
}

void WakeUp::State::Ring() {
  const uint64_t one = 1;
  // Fails only when the counter is full: readable all the same.
  [[maybe_unused]] const ssize_t written = write(event.get(), &one, sizeof(one));
}

void WakeUp::Arm() {
  uint64_t count;
  [[maybe_unused]] const ssize_t drained = read(state_->event.get(), &count, sizeof(count));
  if (state_->stopped) state_->Ring();
  for (size_t i = 0; i < topics_.size(); ++i) {
    if (state_->armed[i]->exchange(true)) continue;
    waiters_[i] = hub_.Wait(topics_[i], hub_.Stamp(), absl::InfiniteFuture(), [state = state_, i] {
      *state->armed[i] = false;
      state->Ring();
    });
  }
}

void WakeUp::Stop() {
  state_->stopped = true;
  state_->Ring();
}

}  // namespace hone
