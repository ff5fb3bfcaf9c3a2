#pragma once

#include <sys/eventfd.h>

#include <atomic>
#include <cstdint>

#include "proto/values/file_descriptor.h"

namespace hone {

// Stops one piece of work from another thread. Waits poll descriptor() beside what they wait for.
// Thread-safe.
class Cancellation {
 public:
  Cancellation() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  void Cancel() {
    cancelled_ = true;
    const uint64_t one = 1;
    // The counter cannot overflow from a few calls, and a reader never empties it: a full write is certain.
    [[maybe_unused]] const ssize_t written = write(event_.get(), &one, sizeof(one));
  }
  bool cancelled() const { return cancelled_; }
  int descriptor() const { return event_.get(); }

 private:
  FileDescriptor event_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace hone
