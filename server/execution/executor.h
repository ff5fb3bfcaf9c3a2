#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace hone {

// A bounded pool of threads for work that may block (database, files, children), which gRPC's few callback
// threads must never do. Thread-safe.
class Executor {
 public:
  // `queue_limit`: work waiting for a thread; more is refused, so an overload is told to the caller at once.
  Executor(int threads, size_t queue_limit);
  ~Executor();  // Stop()s

  // Runs what was accepted and joins the threads; nothing is accepted any more.
  void Stop();

  [[nodiscard]] bool TryRun(std::function<void()> work);
  // For the next step of work already accepted (it holds a caller's place): never refused, but dropped after
  // Stop.
  void Continue(std::function<void()> work);

 private:
  void Loop();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  const size_t queue_limit_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace hone
