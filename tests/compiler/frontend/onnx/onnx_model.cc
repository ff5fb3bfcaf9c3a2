#include "tests/compiler/frontend/onnx/onnx_model.h"

namespace hone {

OnnxModel::OnnxModel(int64_t opset) {
  model_.set_ir_version(8);
  model_.add_opset_import()->set_version(opset);
  model_.mutable_graph()->set_name("test");
}

void OnnxModel::Input(const std::string& name, const std::vector<int64_t>& dims, int type,
                      const std::vector<std::string>& names) {
  onnx::ValueInfoProto& input = *model_.mutable_graph()->add_input();
  input.set_name(name);
  input.mutable_type()->mutable_tensor_type()->set_elem_type(type);
  for (size_t i = 0; i < dims.size(); ++i) {
    auto& dim = *input.mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim();
    if (dims[i] >= 0) {
      dim.set_dim_value(dims[i]);
    } else if (i < names.size()) {
      dim.set_dim_param(names[i]);
    }
  }
}

void OnnxModel::Output(const std::string& name) {
  onnx::ValueInfoProto& output = *model_.mutable_graph()->add_output();
  output.set_name(name);
  output.mutable_type()->mutable_tensor_type()->set_elem_type(1);
}

onnx::TensorProto& OnnxModel::Floats(const std::string& name, const std::vector<int64_t>& dims,
                                     const std::vector<float>& values) {
  onnx::TensorProto& tensor = *model_.mutable_graph()->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(1);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  tensor.set_raw_data(values.data(), values.size() * sizeof(float));
  return tensor;
}

void OnnxModel::Integers(const std::string& name, const std::vector<int64_t>& dims,
                         const std::vector<int64_t>& values) {
  onnx::TensorProto& tensor = *model_.mutable_graph()->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(7);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  for (const int64_t value : values) tensor.add_int64_data(value);
}

onnx::NodeProto& OnnxModel::Node(const std::string& op, const std::vector<std::string>& inputs,
                                 const std::vector<std::string>& outputs) {
  onnx::NodeProto& node = *model_.mutable_graph()->add_node();
  node.set_op_type(op);
  node.set_name(op + "_" + outputs[0]);
  for (const std::string& input : inputs) node.add_input(input);
  for (const std::string& output : outputs) node.add_output(output);
  return node;
}

void OnnxModel::Int(onnx::NodeProto& node, const std::string& name, int64_t value) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(value);
}

void OnnxModel::Ints(onnx::NodeProto& node, const std::string& name, const std::vector<int64_t>& values) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INTS);
  for (const int64_t value : values) attribute.add_ints(value);
}

void OnnxModel::String(onnx::NodeProto& node, const std::string& name, const std::string& value) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::STRING);
  attribute.set_s(value);
}

ModelFiles FilesOf(std::string bytes) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  return {"test", "model.onnx", {{"model.onnx", {*owner, owner}}}};
}

ModelFiles OnnxModel::Files() const { return FilesOf(model_.SerializeAsString()); }

absl::StatusOr<OnnxImport> OnnxModel::Import(
    const std::map<std::string, std::vector<int64_t>>& shapes) const {
  return ImportOnnx(Files(), shapes);
}

OnnxModel SmallClassifier() {
  OnnxModel m;
  m.Input("x", {-1, 3, 8, 8}, 1, {"N"});
  m.Floats("w", {16, 3, 3, 3}, std::vector<float>(432, 0.1f));
  for (const char* name : {"scale", "bias", "mean", "variance"})
    m.Floats(name, {16}, std::vector<float>(16, 0.5f));
  m.Floats("fc", {10, 16}, std::vector<float>(160, 0.2f));
  m.Floats("fb", {10}, std::vector<float>(10, 1));
  OnnxModel::Ints(m.Node("Conv", {"x", "w"}, {"c"}), "pads", {1, 1, 1, 1});
  m.Node("BatchNormalization", {"c", "scale", "bias", "mean", "variance"}, {"b"});
  m.Node("Relu", {"b"}, {"r"});
  m.Node("GlobalAveragePool", {"r"}, {"g"});
  m.Node("Flatten", {"g"}, {"f"});
  OnnxModel::Int(m.Node("Gemm", {"f", "fc", "fb"}, {"l"}), "transB", 1);
  m.Node("Softmax", {"l"}, {"y"});
  m.Output("y");
  return m;
}

}  // namespace hone
