#pragma once

#include <cstdint>
#include <string>

#include "proto/values/device.h"
#include "proto/values/measurement.h"

namespace hone {

// One trial with its full provenance: a row of the append-only log. TaskKey and Trace are text here.
struct TuningRecord {
  std::string name;        // records/{id}
  std::string job;         // jobs/{id}
  std::string model;
  uint64_t sequence = 0;   // order within the job's log
  uint32_t batch = 0;
  std::string trial_id;    // "b{batch}.{index}"
  std::string task_key;
  std::string task_id;     // sha256 of task_key
  std::string task_label;
  std::string trace;
  uint32_t trace_version = 1;
  std::string target;
  std::string device_class;
  std::string worker;
  std::string compiler_build;
  uint64_t seed = 0;
  double predicted_seconds = 0;
  Measurement measurement;
  int64_t create_time_micros = 0;
  uint32_t attempts = 0;
  Device device;
};

}  // namespace hone
