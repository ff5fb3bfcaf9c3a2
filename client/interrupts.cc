#include "client/interrupts.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace hone {
namespace {

constexpr uint64_t kStop = 1;
constexpr uint64_t kInterrupt = uint64_t{1} << 32;

// What the handler writes to: an eventfd, because a signal handler may call little more than write().
volatile int event_fd = -1;
struct sigaction old_int, old_term;

void Handle(int) {
  const int saved = errno;
  const uint64_t value = kInterrupt;
  [[maybe_unused]] ssize_t n = write(event_fd, &value, sizeof(value));
  errno = saved;
}

}  // namespace

Interrupts::Interrupts(std::function<void()> on_interrupt) {
  event_fd = eventfd(0, EFD_CLOEXEC);
  struct sigaction action = {};
  action.sa_handler = Handle;
  action.sa_flags = SA_RESTART | SA_RESETHAND;
  sigaction(SIGINT, &action, &old_int);
  sigaction(SIGTERM, &action, &old_term);
  thread_ = std::thread([this, on_interrupt = std::move(on_interrupt)] {
    uint64_t value = 0;
    while (read(event_fd, &value, sizeof(value)) == sizeof(value)) {
      if (value >= kInterrupt && !raised_.exchange(true)) on_interrupt();
      if (value % kInterrupt != 0) return;
    }
  });
}

Interrupts::~Interrupts() {
  sigaction(SIGINT, &old_int, nullptr);
  sigaction(SIGTERM, &old_term, nullptr);
  const uint64_t value = kStop;
  [[maybe_unused]] ssize_t n = write(event_fd, &value, sizeof(value));
  thread_.join();
  close(event_fd);
  event_fd = -1;
}

}  // namespace hone
