#pragma once

namespace hone {

// The text of client/onnxruntime_runner.py, built into the program.
extern const char* const kOnnxRuntimeRunner;

}  // namespace hone
