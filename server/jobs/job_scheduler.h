#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>

#include "server/jobs/job_runner.h"

namespace hone {

// Gives every running job of the database a runner and starts queued ones, oldest first, as long as there is
// room.
class JobScheduler {
 public:
  static absl::StatusOr<std::unique_ptr<JobScheduler>> Start(JobServices services);
  ~JobScheduler();  // ends all children; their jobs stay running in the database

 private:
  JobScheduler(JobServices services, std::unique_ptr<WakeUp> wake_up);
  void Loop();
  absl::Status Step();
  absl::Status Run(const std::string& job);

  JobServices services_;
  const std::unique_ptr<WakeUp> wake_up_;
  std::map<std::string, std::unique_ptr<JobRunner>> runners_;  // by job
  std::thread thread_;
};

}  // namespace hone
