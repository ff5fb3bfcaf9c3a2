#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/values/device.h"
#include "proto/values/measurement.h"
#include "proto/values/tensor_spec.h"

namespace hone {

// Work handed out by the server; proto/hone/v1/workers.proto says what the fields mean. TaskKey is opaque
// text.
enum class LeaseKind { kCalibrate, kCandidates, kModule };

struct BlobId {
  std::string sha256;
  uint64_t size = 0;
  bool empty() const { return sha256.empty(); }
};

struct LeaseTrial {
  std::string trial_id;
  BlobId object;
};

struct OracleSample {
  uint32_t output = 0;
  std::vector<uint64_t> elements;  // row-major
  std::vector<double> values;
};

struct Lease {
  std::string lease_id;
  LeaseKind kind = LeaseKind::kCandidates;
  std::string task_key;
  uint32_t threads = 1;
  std::vector<TensorSpec> inputs, constants, outputs;
  uint64_t seed = 0;
  std::vector<LeaseTrial> trials;
  std::optional<LeaseTrial> incumbent;
  BlobId oracle;
  std::vector<OracleSample> oracle_samples;
  double tolerance = 2e-5;
  uint32_t windows = 10;
  double run_limit_seconds = 10;
  uint64_t model_constant_bytes = 0;  // constants rotate through copies of so many bytes together
  double lease_seconds = 30;
};

struct TrialResult {
  std::string trial_id;
  Measurement measurement;
};

struct LeaseResult {
  std::string lease_id;
  std::vector<TrialResult> trials;
  std::optional<Measurement> incumbent;
  std::optional<Device> device;    // kCalibrate
  Outcome outcome = Outcome::kOk;  // of the lease as a whole: kOk or kInfrastructure
  std::string message;
};

}  // namespace hone
