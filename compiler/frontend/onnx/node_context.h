#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "compiler/frontend/onnx/onnx_import.h"
#include "compiler/frontend/onnx/onnx_proto.h"

namespace hone {

// What an ONNX value name stands for while importing: a tensor of the graph, or integers known as expressions
// (shape arithmetic over unbound symbols), or nothing (the output of a node that is not supported).
struct OnnxValue {
  TensorId tensor;
  std::optional<std::vector<DimExpr>> integers;  // row-major
  int rank = 0;                                  // of `integers`: 0 or 1
  bool known() const { return tensor.index >= 0 || integers.has_value(); }
};

// What all nodes of an import share.
struct OnnxScope {
  const ModelFiles& files;
  std::shared_ptr<const void> owner;  // of the parsed message
  int64_t opset = 0;
  Graph graph;
  std::map<std::string, OnnxValue> values;
  std::vector<UnsupportedNode> unsupported;
};

// One ONNX node being converted: typed access to attributes and inputs, nodes of the graph appended. The
// first failure sticks: later calls do nothing and return invalid tensors, whose type has rank 0; converters
// test ok() before they index shapes. Constant operands are folded as nodes are emitted.
class NodeContext {
 public:
  NodeContext(OnnxScope& scope, const onnx::NodeProto& node, std::string name)
      : scope_(scope),
        node_(node),
        name_(std::move(name)),
        outputs_(static_cast<size_t>(node.output_size())) {}

  const onnx::NodeProto& node() const { return node_; }
  const std::string& name() const { return name_; }
  int64_t opset() const { return scope_.opset; }
  OnnxScope& scope() { return scope_; }
  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }
  // InvalidArgument: the model is broken.
  void Fail(const std::string& what);
  // The model is fine but not for this compiler: recorded for the user.
  void Unsupported(const std::string& attribute, const std::string& reason, const std::string& remedy);

  // Attributes.
  const onnx::AttributeProto* Attribute(std::string_view name) const;
  int64_t Int(std::string_view name, int64_t fallback);
  double Float(std::string_view name, double fallback);
  std::string String(std::string_view name, std::string_view fallback);
  std::optional<std::vector<int64_t>> Ints(std::string_view name);
  std::optional<std::vector<double>> Floats(std::string_view name);

  // Inputs. An omitted optional input is not Has().
  int input_count() const { return node_.input_size(); }
  bool Has(int input) const { return input < node_.input_size() && !node_.input(input).empty(); }
  const OnnxValue& Value(int input) const;
  TensorId Input(int input);
  bool IsConstant(TensorId id) const;
  // Integers known now; otherwise the input is reported as unsupported under `label`.
  std::vector<DimExpr> Dims(int input, std::string_view label);
  std::vector<int64_t> Integers(int input, std::string_view label);
  // Values of a float or integer constant; empty if it is none.
  std::optional<std::vector<double>> Reals(TensorId id) const;

  const TensorType& Type(TensorId id) const;
  const std::vector<DimExpr>& Shape(TensorId id) const { return Type(id).shape; }
  // Fails the node unless the rank is as required.
  bool RequireRank(TensorId id, int low, int high);
  int Axis(int64_t axis, int rank);                                 // negative from the end; Fail() outside
  int64_t StaticDim(TensorId id, int dim, std::string_view label);  // unsupported if symbolic

  // New nodes and constants.
  TensorId Emit(std::string_view op, std::vector<TensorId> inputs, AttrMap attrs = {});
  TensorId Reshape(TensorId id, std::vector<DimExpr> shape);
  TensorId Reals(const std::vector<double>& values, std::vector<int64_t> dims, DType dtype = DType::kF32);
  TensorId ScalarLike(TensorId like, double value);  // rank 0, dtype of `like`
  TensorId IntegersConstant(const std::vector<int64_t>& values, std::vector<int64_t> dims,
                            DType dtype = DType::kI64);
  TensorId Slice(TensorId id, int axis, DimExpr start, DimExpr end, int64_t step = 1);

  void SetOutput(int output, TensorId id);
  void SetIntegers(int output, std::vector<DimExpr> values, int rank);
  const std::vector<OnnxValue>& outputs() const { return outputs_; }

 private:
  std::optional<TensorId> Fold(std::string_view op, const std::vector<TensorId>& inputs,
                               const AttrMap& attrs);

  OnnxScope& scope_;
  const onnx::NodeProto& node_;
  const std::string name_;
  absl::Status status_;
  std::vector<OnnxValue> outputs_;
  int emitted_ = 0;
};

std::vector<DimExpr> ToDims(const std::vector<int64_t>& values);

}  // namespace hone
