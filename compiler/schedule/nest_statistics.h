#pragma once

#include "compiler/schedule/loop_nest.h"
#include "compiler/schedule/schedule.h"
#include "compiler/target/target.h"

namespace hone {

NestStatistics StatisticsOf(const LoopNest& nest, const Target& target);

}  // namespace hone
