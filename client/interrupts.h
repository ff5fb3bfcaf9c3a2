#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace hone {

// While it lives, Ctrl-C (SIGINT, SIGTERM) calls `on_interrupt` on a thread of its own instead of ending the
// process; a second one of the same kind ends it as ever. One at a time per process.
class Interrupts {
 public:
  explicit Interrupts(std::function<void()> on_interrupt);
  ~Interrupts();  // restores what was there before
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  bool raised() const { return raised_; }

 private:
  std::atomic<bool> raised_ = false;
  std::thread thread_;
};

}  // namespace hone
