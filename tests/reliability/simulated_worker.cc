// hone-worker's own session and connection, around a device that only waits: one process of flapping_workers.
//   simulated_worker ADDRESS CA_FILE ENROL_TOKEN DATA_DIR MEMORY_FILE LEASE_SECONDS CLOCK_OFFSET
#include <poll.h>
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/reliability/false_clock.h"
#include "tests/reliability/fleet_memory.h"
#include "worker/worker_session.h"

namespace hone {
namespace {

constexpr double kApart = 1e-12;   // seconds: no two measurements are alike, and all of a run tell its number
constexpr int kLongRunEvery = 40;  // of more than a lease: alive by its heartbeats only

Device SimulatedDevice() {
  return {.device_class = "simulated/1c",
          .cpu_name = "simulated",
          .target = "x86-64-v3",
          .calibration = {.fma_gflops = {{"x86-64-v3", 100}}}};
}

LeaseResult Measure(FleetMemory& memory, double lease_seconds, const Lease& lease,
                    const Cancellation& cancellation) {
  LeaseResult result{.lease_id = lease.lease_id};
  const uint32_t number = memory.begun++;
  if (number >= FleetMemory::kMaxRuns)
    return {.lease_id = lease.lease_id, .outcome = Outcome::kInfrastructure};
  FleetMemory::Run& run = memory.runs[number];
  std::strncpy(run.lease_id, lease.lease_id.c_str(), sizeof(run.lease_id) - 1);
  const int milliseconds = number % kLongRunEvery == 0 ? static_cast<int>(1500 * lease_seconds)
                                                       : 20 + static_cast<int>(number * 37 % 80);
  pollfd wait{cancellation.descriptor(), POLLIN, 0};
  if (poll(&wait, 1, milliseconds) != 0) {
    result.outcome = Outcome::kInfrastructure;
    return result;
  }
  run.finished = true;
  auto measure = [seconds = FleetMemory::SecondsOf(number)]() mutable {
    seconds += kApart;
    return Measurement{
        .p20_seconds = seconds, .median_seconds = seconds, .p95_seconds = seconds, .ratio_to_incumbent = 1};
  };
  for (const LeaseTrial& trial : lease.trials) result.trials.push_back({trial.trial_id, measure()});
  if (lease.incumbent) result.incumbent = measure();
  return result;
}

int Run(char** words) {
  FleetMemory* memory = FleetMemory::Map(words[5]);
  absl::StatusOr<std::string> ca = ReadWholeFile(words[2]);
  const double lease_seconds = std::atof(words[6]);
  const absl::Duration lease = absl::Seconds(lease_seconds);
  if (memory == nullptr || !ca.ok() || lease_seconds <= 0) return 2;
  auto session = WorkerSession::Create(
      {.server = {.address = words[1], .ca_pem = *ca, .answer_time = lease / 2, .keepalive = lease / 3},
       .enrol_token = words[3],
       .display_name = words[4],
       .data_dir = words[4],
       .poll = lease,
       .longest_backoff = lease / 2,
       .measure =
           [=](const Lease& work, const Cancellation& cancellation) {
             return Measure(*memory, lease_seconds, work, cancellation);
           }},
      SimulatedDevice());
  if (!session.ok()) return std::fprintf(stderr, "%s\n", session.status().ToString().c_str()), 1;
  const absl::Status status = (*session)->Run();
  std::fprintf(stderr, "ended: %s\n", status.ToString().c_str());
  return 1;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  if (argc != 8) return 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  false_clock_seconds = std::atoll(argv[7]);
  return hone::Run(argv);
}
