#pragma once

#include <sys/types.h>

#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace hone {

struct FleetOptions {
  std::string folder, address, ca_file, enrol_token, memory_file;
  double lease_seconds = 1;
  int workers = 50;
};

// Processes of simulated_worker; killed ones come back with the same data folder and another clock.
class WorkerFleet {
 public:
  WorkerFleet(const FleetOptions& options, std::mt19937& random);
  ~WorkerFleet();  // kills all

  void Kill();      // one of them, to be back within a lease
  void Freeze();    // one of them, for 1.2 to 2 leases
  void Maintain();  // call often: brings back, thaws
  int died() const { return died_; }  // without being killed

 private:
  struct Member {
    pid_t pid = -1;
    bool frozen = false;
    absl::Time due = absl::InfiniteFuture();  // to be started or thawed
  };
  void Start(size_t index);
  Member& Pick();  // one that runs
  absl::Time Later(double from, double to);  // in leases

  const FleetOptions options_;
  std::mt19937& random_;
  std::vector<Member> members_;
  int died_ = 0;
};

}  // namespace hone
