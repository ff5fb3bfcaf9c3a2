#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"

namespace hone {

// Wakes those who wait for a change of the database: long polls, job runners. It holds hints only; whoever is
// woken reads the database, so nothing is lost with the process. Thread-safe.
//
// To miss no change: take Stamp(), read, and if there is nothing to do, Wait with that stamp.
class ChangeHub {
 public:
  ChangeHub();
  ~ChangeHub();  // Stop()s

  uint64_t Stamp() const;
  void Notify(const std::string& topic);
  // Calls `wake` exactly once on the hub's thread (it must not block): at once if the topic may have changed
  // after `stamp` or the hub has stopped, else at the next Notify(topic), at `deadline`, or when the hub stops.
  // Returns what Forget knows it by.
  uint64_t Wait(const std::string& topic, uint64_t stamp, absl::Time deadline, std::function<void()> wake);
  // Who waited has gone: its `wake` is dropped, unless its turn has come already.
  void Forget(uint64_t waiter);
  // Wakes everybody, now and from now on.
  void Stop();
  bool stopped() const;

 private:
  struct Waiter {
    uint64_t number;
    std::string topic;
    absl::Time deadline;
    std::function<void()> wake;
  };
  void Loop();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t stamp_ = 0;
  uint64_t waiters_ = 0;  // so far
  std::map<std::string, uint64_t> last_change_;  // since forgotten_: before, any topic may have changed
  uint64_t forgotten_ = 0;
  std::vector<Waiter> waiting_;
  std::vector<std::function<void()>> ready_;
  bool stopped_ = false;
  bool finished_ = false;
  std::thread thread_;
};

// Topics. A job's: its row or its log changed. Leases: one was queued. Workers: one joined or was calibrated.
inline std::string JobTopic(const std::string& job) { return "jobs/" + job; }
inline constexpr char kLeasesTopic[] = "leases";
inline constexpr char kWorkersTopic[] = "workers";
inline constexpr char kQueueTopic[] = "queue";  // a job was queued or ended

}  // namespace hone
