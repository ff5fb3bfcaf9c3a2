#pragma once

#include <shared_mutex>

namespace hone {

// LLVM keeps its options in globals, and every link by lld sets them back to their defaults: code emitted during or
// after one would differ from code emitted before. So emission holds this lock shared, and a link holds it alone and
// ends with SetLlvmOptions().
std::shared_mutex& LlvmGlobals();

// The options that all code is generated with.
void SetLlvmOptions();

}  // namespace hone
