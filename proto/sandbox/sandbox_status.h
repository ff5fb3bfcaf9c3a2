#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "proto/sandbox/sandbox.h"

namespace hone {

// Each layer's name with why this machine refuses it; empty where it holds.
std::vector<std::pair<std::string, std::string>> SandboxLayers(const HoneSandboxFaults& faults);

// FailedPrecondition: this machine refuses a layer; which, why, what `guests` may do without it and the remedy.
absl::Status SandboxStatus(const HoneSandboxFaults& faults, std::string_view guests);

}  // namespace hone
