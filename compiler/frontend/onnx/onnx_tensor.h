#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "compiler/frontend/onnx/onnx_import.h"
#include "compiler/frontend/onnx/onnx_proto.h"

namespace hone {

constexpr int kMaxRank = 16;
constexpr int64_t kMaxElements = int64_t{1} << 40;  // of any tensor of a model

// nullopt: a type this compiler has no values of (string, complex, 8-bit float...).
std::optional<DType> DTypeOfOnnx(int32_t data_type);
// "FLOAT", or "dtype 77" for numbers that the format does not define.
std::string OnnxTypeName(int32_t data_type);

// A constant's bytes: those inside the message or file are shared with `owner`, not copied. InvalidArgument
// names the tensor: sizes that do not fit the shape, external data outside the manifest. Unimplemented: types
// without values here.
absl::StatusOr<ConstantRef> ConstantOfTensor(const onnx::TensorProto& tensor,
                                             const std::shared_ptr<const void>& owner,
                                             const ModelFiles& files);

}  // namespace hone
