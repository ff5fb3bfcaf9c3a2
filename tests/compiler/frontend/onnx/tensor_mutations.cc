#include <cstring>

#include "tests/compiler/frontend/onnx/model_mutator.h"

namespace hone {
namespace {

constexpr int kMaxIntegers = 64;  // of a tensor that holds a shape, axes or indices

onnx::TensorProto* AnyTensor(onnx::ModelProto& model, Dice& dice) {
  onnx::GraphProto& graph = *model.mutable_graph();
  if (graph.initializer_size() > 0 && !dice.OneIn(5))
    return graph.mutable_initializer(dice.Below(graph.initializer_size()));
  for (onnx::NodeProto& node : *graph.mutable_node()) {
    for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_t() && dice.OneIn(2)) return attribute.mutable_t();
    }
  }
  return nullptr;
}

// The type of an input, an output, or a value that the model describes.
onnx::TypeProto::Tensor* AnyType(onnx::ModelProto& model, Dice& dice) {
  onnx::GraphProto& graph = *model.mutable_graph();
  auto& values = dice.OneIn(6)   ? *graph.mutable_output()
                 : dice.OneIn(8) ? *graph.mutable_value_info()
                                 : *graph.mutable_input();
  if (values.empty()) return nullptr;
  return dice.Pick(values).mutable_type()->mutable_tensor_type();
}

bool StatedDimension(onnx::ModelProto& model, Dice& dice) {
  onnx::TypeProto::Tensor* type = AnyType(model, dice);
  if (type == nullptr || type->shape().dim_size() == 0) return false;
  auto& dim = dice.Pick(*type->mutable_shape()->mutable_dim());
  if (dice.OneIn(5)) {
    dim.set_dim_param(dice.OneIn(2) ? "n" : dice.Text("batch"));
  } else {
    dim.set_dim_value(dice.Number(dim.dim_value()));
  }
  return true;
}

bool StatedRank(onnx::ModelProto& model, Dice& dice) {
  onnx::TypeProto::Tensor* type = AnyType(model, dice);
  if (type == nullptr) return false;
  if (dice.OneIn(6)) {
    type->clear_shape();
  } else if (type->shape().dim_size() > 0 && dice.OneIn(2)) {
    type->mutable_shape()->mutable_dim()->RemoveLast();
  } else {
    for (int i = dice.OneIn(4) ? 1 << dice.Below(10) : 1; i > 0; --i)
      type->mutable_shape()->add_dim()->set_dim_value(1 + dice.Below(3));
  }
  return true;
}

bool StatedType(onnx::ModelProto& model, Dice& dice) {
  onnx::TypeProto::Tensor* type = AnyType(model, dice);
  if (type == nullptr) return false;
  type->set_elem_type(dice.OneIn(10) ? static_cast<int32_t>(dice.Number(1)) : dice.Below(25));
  return true;
}

bool TensorType(onnx::ModelProto& model, Dice& dice) {
  onnx::TensorProto* tensor = AnyTensor(model, dice);
  if (tensor == nullptr) return false;
  tensor->set_data_type(dice.OneIn(10) ? static_cast<int32_t>(dice.Number(1)) : dice.Below(25));
  return true;
}

bool TensorDims(onnx::ModelProto& model, Dice& dice) {
  onnx::TensorProto* tensor = AnyTensor(model, dice);
  if (tensor == nullptr) return false;
  if (tensor->dims_size() > 0 && dice.OneIn(3)) {
    tensor->mutable_dims()->RemoveLast();
  } else if (tensor->dims_size() == 0 || dice.OneIn(3)) {
    for (int i = dice.OneIn(6) ? 1 << dice.Below(10) : 1; i > 0; --i) tensor->add_dims(1);
  } else if (tensor->dims_size() > 1 && dice.OneIn(2)) {
    tensor->mutable_dims()->SwapElements(0, dice.Below(tensor->dims_size()));
  } else {
    const int at = dice.Below(tensor->dims_size());
    tensor->set_dims(at, dice.Number(tensor->dims(at)));
  }
  return true;
}

bool TensorBytes(onnx::ModelProto& model, Dice& dice) {
  onnx::TensorProto* tensor = AnyTensor(model, dice);
  if (tensor == nullptr || !tensor->has_raw_data()) return false;
  std::string& bytes = *tensor->mutable_raw_data();
  switch (dice.Below(4)) {
    case 0:
      bytes.resize(bytes.size() / 2);
      break;
    case 1:
      bytes.resize(bytes.size() + static_cast<size_t>(1 + dice.Below(100)));
      break;
    case 2:
      tensor->clear_raw_data();
      break;
    default:
      for (int i = 0; i < 8 && !bytes.empty(); ++i) dice.Pick(bytes) = static_cast<char>(dice.Below(256));
  }
  return true;
}

// Shapes, axes and indices are numbers in tensors: to a hostile author they are attributes.
bool TensorNumbers(onnx::ModelProto& model, Dice& dice) {
  for (int tries = 0; tries < 10; ++tries) {
    onnx::TensorProto* tensor = AnyTensor(model, dice);
    if (tensor == nullptr) return false;
    if (tensor->data_type() != onnx::TensorProto::INT64) continue;
    if (tensor->int64_data_size() > 0 && tensor->int64_data_size() <= kMaxIntegers) {
      int64_t& value = dice.Pick(*tensor->mutable_int64_data());
      value = dice.Number(value);
      return true;
    }
    const int count = static_cast<int>(tensor->raw_data().size() / sizeof(int64_t));
    if (count == 0 || count > kMaxIntegers) continue;
    char* at = tensor->mutable_raw_data()->data() + static_cast<size_t>(dice.Below(count)) * sizeof(int64_t);
    int64_t value;
    std::memcpy(&value, at, sizeof value);
    value = dice.Number(value);
    std::memcpy(at, &value, sizeof value);
    return true;
  }
  return false;
}

bool ExternalData(onnx::ModelProto& model, Dice& dice) {
  onnx::TensorProto* tensor = AnyTensor(model, dice);
  if (tensor == nullptr) return false;
  tensor->clear_raw_data();
  tensor->set_data_location(onnx::TensorProto::EXTERNAL);
  if (dice.OneIn(3)) tensor->clear_external_data();
  static constexpr const char* kKeys[] = {"location", "offset", "length", "checksum", ""};
  for (int i = dice.Below(4); i > 0; --i) {
    onnx::StringStringEntryProto& entry = *tensor->add_external_data();
    entry.set_key(dice.Pick(kKeys));
    entry.set_value(entry.key() == "location" || dice.OneIn(4) ? dice.Text("weights.bin")
                                                               : std::to_string(dice.Number(0)));
  }
  return true;
}

bool Opset(onnx::ModelProto& model, Dice& dice) {
  if (dice.OneIn(4)) model.add_opset_import()->set_domain(dice.Text("ai.onnx"));
  if (model.opset_import_size() == 0) return false;
  onnx::OperatorSetIdProto& opset = dice.Pick(*model.mutable_opset_import());
  opset.set_version(dice.OneIn(4) ? dice.Number(opset.version()) : 7 + dice.Below(18));
  return true;
}

bool InterfaceName(onnx::ModelProto& model, Dice& dice) {
  onnx::GraphProto& graph = *model.mutable_graph();
  auto& values = dice.OneIn(2) ? *graph.mutable_output() : *graph.mutable_input();
  if (values.empty()) return false;
  const auto& others = dice.OneIn(2) ? graph.output() : graph.input();
  dice.Pick(values).set_name(others.empty() || dice.OneIn(2) ? dice.Text("y") : dice.Pick(others).name());
  return true;
}

bool InterfaceCount(onnx::ModelProto& model, Dice& dice) {
  onnx::GraphProto& graph = *model.mutable_graph();
  auto& values = dice.OneIn(2) ? *graph.mutable_output() : *graph.mutable_input();
  if (values.empty()) return false;
  if (dice.OneIn(2)) {
    values.DeleteSubrange(dice.Below(values.size()), 1);
  } else {
    const onnx::ValueInfoProto copy = dice.Pick(values);
    for (int i = dice.OneIn(4) ? 1 << dice.Below(11) : 1; i > 0; --i) *values.Add() = copy;
  }
  return true;
}

// Weights that come at run time, and inputs that are weights.
bool InitializerAsInput(onnx::ModelProto& model, Dice& dice) {
  onnx::GraphProto& graph = *model.mutable_graph();
  if (graph.initializer_size() == 0) return false;
  const int at = dice.Below(graph.initializer_size());
  onnx::ValueInfoProto& input = *graph.add_input();
  input.set_name(graph.initializer(at).name());
  input.mutable_type()->mutable_tensor_type()->set_elem_type(graph.initializer(at).data_type());
  for (const int64_t dim : graph.initializer(at).dims())
    input.mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(dim);
  graph.mutable_initializer()->DeleteSubrange(at, 1);
  return true;
}

bool InitializerAgain(onnx::ModelProto& model, Dice& dice) {
  onnx::GraphProto& graph = *model.mutable_graph();
  if (graph.initializer_size() == 0) return false;
  const onnx::TensorProto copy = dice.Pick(*graph.mutable_initializer());
  *graph.add_initializer() = copy;
  if (dice.OneIn(3)) *graph.add_sparse_initializer()->mutable_values() = copy;
  return true;
}

}  // namespace

std::vector<Mutation> TensorMutations() {
  return {{"stated dimension", StatedDimension},
          {"stated dimension", StatedDimension},
          {"stated rank", StatedRank},
          {"stated type", StatedType},
          {"tensor type", TensorType},
          {"tensor dims", TensorDims},
          {"tensor bytes", TensorBytes},
          {"tensor numbers", TensorNumbers},
          {"tensor numbers", TensorNumbers},
          {"external data", ExternalData},
          {"opset", Opset},
          {"interface name", InterfaceName},
          {"interface count", InterfaceCount},
          {"initializer as input", InitializerAsInput},
          {"initializer again", InitializerAgain}};
}

}  // namespace hone
