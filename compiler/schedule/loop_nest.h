#pragma once

namespace hone {
struct LoopNest;
}
