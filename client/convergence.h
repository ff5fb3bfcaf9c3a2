#pragma once

#include <string>
#include <vector>

#include "hone/v1/common.pb.h"
#include "hone/v1/jobs.pb.h"

// How a job's search converged, from its log.
namespace hone {

// After one trial: what the tasks take together with the best schedule of each so far.
struct ConvergencePoint {
  uint64_t trial = 0;           // counted from 1
  double elapsed_seconds = 0;   // since the first trial's record
  double predicted_seconds = 0;  // sum over tasks of weight x best p20; the default's until one is ok
};

// `records` in log order. One point per trial; empty if nothing was measured yet.
std::vector<ConvergencePoint> Convergence(
    const v1::Job& job, const google::protobuf::RepeatedPtrField<v1::TuningRecord>& records);

// The curve in characters, `width` columns wide (0 = 80), trials from left to right.
std::string ConvergenceText(const std::vector<ConvergencePoint>& points, int width);
// The same as a stand-alone SVG image.
std::string ConvergenceSvg(const std::vector<ConvergencePoint>& points, const std::string& title);

}  // namespace hone
