#pragma once

#include <functional>

#include "absl/time/time.h"

namespace hone {

using Clock = std::function<absl::Time()>;

}  // namespace hone
