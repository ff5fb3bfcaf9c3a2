#pragma once

#include <string>
#include <vector>

#include "compiler/frontend/onnx/onnx_import.h"
#include "compiler/frontend/onnx/onnx_proto.h"

namespace hone {

// Writes small ONNX models for tests.
class OnnxModel {
 public:
  explicit OnnxModel(int64_t opset = 17);

  // A dimension is a number, or negative and open; `names` (same length, or empty) name open ones.
  void Input(const std::string& name, const std::vector<int64_t>& dims, int type = 1,
             const std::vector<std::string>& names = {});
  void Output(const std::string& name);
  onnx::TensorProto& Floats(const std::string& name, const std::vector<int64_t>& dims,
                            const std::vector<float>& values);
  void Integers(const std::string& name, const std::vector<int64_t>& dims,
                const std::vector<int64_t>& values);
  onnx::NodeProto& Node(const std::string& op, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs);
  static void Int(onnx::NodeProto& node, const std::string& name, int64_t value);
  static void Ints(onnx::NodeProto& node, const std::string& name, const std::vector<int64_t>& values);
  static void String(onnx::NodeProto& node, const std::string& name, const std::string& value);

  onnx::ModelProto& proto() { return model_; }
  ModelFiles Files() const;
  absl::StatusOr<OnnxImport> Import(const std::map<std::string, std::vector<int64_t>>& shapes = {}) const;

 private:
  onnx::ModelProto model_;
};

ModelFiles FilesOf(std::string bytes);

// Conv, BatchNormalization, Relu, GlobalAveragePool, Flatten, Gemm, Softmax over an input "x" [N, 3, 8, 8].
OnnxModel SmallClassifier();

}  // namespace hone
