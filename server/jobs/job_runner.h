#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "server/jobs/job_session.h"

namespace hone {

// Keeps one running job going on a thread of its own: child after child until the job has ended. Destroying
// it ends the child and leaves the job running in the database, for the next server to go on with.
class JobRunner {
 public:
  static absl::StatusOr<std::unique_ptr<JobRunner>> Start(JobServices& services, const std::string& job);
  ~JobRunner();

  bool finished() const { return finished_; }

 private:
  JobRunner(JobServices& services, std::string job, std::unique_ptr<WakeUp> wake_up);
  void Loop();
  // What follows a child's death, or a want of the server's own, which never fails a job; false when the job
  // has failed: too many deaths without progress, or one that a child earned by what it said, or did not say.
  bool Recover(const absl::Status& death, const JobSession& session);
  void WaitBeforeRestart();

  JobServices& services_;
  const std::string job_;
  const std::unique_ptr<WakeUp> wake_up_;
  int fruitless_ = 0;  // deaths in a row
  int starved_ = 0;    // wants in a row
  std::atomic<bool> finished_ = false;
  std::thread thread_;
};

}  // namespace hone
