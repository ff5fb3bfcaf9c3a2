#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/byte_lru.h"
#include "worker/cancellation.h"
#include "worker/lease.h"
#include "worker/rotation.h"
#include "worker/runner_process.h"
#include "worker/tensor_file.h"

namespace hone {

struct LeaseExecutorOptions {
  std::string runner_path;
  bool allow_unsandboxed = false;
  Device device;
  std::string host_lock_path;
  std::function<absl::StatusOr<FileDescriptor>(const BlobId&)> open_blob;
  uint64_t cache_bytes = uint64_t{512} << 20;  // inputs and expected outputs kept between leases, each
  double oracle_limit_seconds = 120;           // the oracle is slow code, run once per task
};

// Carries out leases: oracle, isolation, check, rotation. Whatever a candidate does ends in that trial's
// outcome; what fails for the machine's reasons ends in the lease's. Always called from one thread.
class LeaseExecutor {
 public:
  explicit LeaseExecutor(LeaseExecutorOptions options);
  LeaseResult Execute(const Lease& lease, const Cancellation& cancellation);
  // Measures the machine's limits again; device() then has the best of each figure so far. Takes half a
  // second, and the host lock.
  absl::Status Calibrate();
  const Device& device() const { return options_.device; }

 private:
  // Expected outputs, per input set, one dense tensor per output.
  using Expected = std::vector<std::vector<std::string>>;
  struct Entrant;
  struct Batch;  // one lease under way

  LeaseResult ExecuteCalibration(const Lease& lease);
  absl::Status Run(Batch& batch);
  absl::Status PrepareInputs(Batch& batch);
  absl::Status PrepareExpected(Batch& batch);
  absl::StatusOr<Expected> RunOracle(Batch& batch);
  uint64_t LastLevelCache() const;                     // bytes
  bool ConstantsStayCached(const Lease& lease) const;  // between two runs of the model
  absl::StatusOr<std::unique_ptr<RunnerProcess>> StartRunner(const Batch& batch, const BlobId& object,
                                                             uint32_t threads) const;
  absl::Status StartEntrants(Batch& batch);
  void CheckEntrant(Batch& batch, Entrant& entrant) const;
  absl::Status Measure(Batch& batch) const;

  LeaseExecutorOptions options_;
  // The next lease is often of the same task, or of one not long ago.
  ByteLru<TensorFile> inputs_;
  ByteLru<Expected> expected_;
};

}  // namespace hone
