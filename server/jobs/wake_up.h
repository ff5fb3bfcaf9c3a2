#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/execution/change_hub.h"
#include "proto/values/file_descriptor.h"

namespace hone {

// A descriptor that becomes readable when one of some hub topics changes or somebody calls Stop: lets a
// thread poll changes of the database beside a socket. Used by that thread; Stop from any.
class WakeUp {
 public:
  static absl::StatusOr<std::unique_ptr<WakeUp>> Make(ChangeHub& hub, std::vector<std::string> topics);
  ~WakeUp();

  int descriptor() const { return state_->event.get(); }
  // Watches the topics again and makes the descriptor unreadable. Call it before reading the database.
  void Arm();
  void Stop();
  bool stopped() const { return state_->stopped; }

 private:
  // Shared with the hub's callbacks, which may come after this object is gone.
  struct State {
    FileDescriptor event;
    std::atomic<bool> stopped = false;
    std::vector<std::unique_ptr<std::atomic<bool>>> armed;  // by topic
    void Ring();
  };
  WakeUp(ChangeHub& hub, std::vector<std::string> topics)
      : hub_(hub), topics_(std::move(topics)), waiters_(topics_.size()) {}

  ChangeHub& hub_;
  const std::vector<std::string> topics_;
  std::vector<uint64_t> waiters_;  // the hub's numbers of what is armed, by topic
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace hone
