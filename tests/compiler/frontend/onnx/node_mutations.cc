#include "compiler/frontend/onnx/operator_table.h"
#include "tests/compiler/frontend/onnx/model_mutator.h"

namespace hone {
namespace {

constexpr int kDeepNesting = 12;  // beyond what an importer follows

// A random node of the graph; null if there is none.
onnx::NodeProto* AnyNode(onnx::ModelProto& model, Dice& dice) {
  onnx::GraphProto& graph = *model.mutable_graph();
  return graph.node_size() == 0 ? nullptr : graph.mutable_node(dice.Below(graph.node_size()));
}

onnx::AttributeProto* AnyAttribute(onnx::ModelProto& model, Dice& dice) {
  for (int tries = 0; tries < 20; ++tries) {
    onnx::NodeProto* node = AnyNode(model, dice);
    if (node != nullptr && node->attribute_size() > 0)
      return node->mutable_attribute(dice.Below(node->attribute_size()));
  }
  return nullptr;
}

// A value's name: of any node's output, input, initializer; of what comes later too (a cycle), or of nothing.
std::string AnyValue(onnx::ModelProto& model, Dice& dice) {
  const onnx::GraphProto& graph = model.graph();
  switch (dice.Below(5)) {
    case 0:
      if (graph.input_size() > 0) return graph.input(dice.Below(graph.input_size())).name();
      break;
    case 1:
      if (graph.initializer_size() > 0) return graph.initializer(dice.Below(graph.initializer_size())).name();
      break;
    case 2:
      return dice.Text("dangling");
    default:
      break;
  }
  const onnx::NodeProto* node = AnyNode(model, dice);
  return node == nullptr || node->output_size() == 0 ? "" : node->output(dice.Below(node->output_size()));
}

bool AttributeValue(onnx::ModelProto& model, Dice& dice) {
  onnx::AttributeProto* a = AnyAttribute(model, dice);
  if (a == nullptr) return false;
  if (a->ints_size() > 0) {
    const int at = dice.Below(a->ints_size());
    a->set_ints(at, dice.Number(a->ints(at)));
  } else if (a->floats_size() > 0) {
    const int at = dice.Below(a->floats_size());
    a->set_floats(at, static_cast<float>(dice.Real(a->floats(at))));
  } else if (a->has_i()) {
    a->set_i(dice.Number(a->i()));
  } else if (a->has_f()) {
    a->set_f(static_cast<float>(dice.Real(a->f())));
  } else if (a->has_s()) {
    a->set_s(dice.Text(a->s()));
  } else {
    return false;
  }
  return true;
}

bool AttributeLength(onnx::ModelProto& model, Dice& dice) {
  onnx::AttributeProto* a = AnyAttribute(model, dice);
  if (a == nullptr || a->ints_size() + a->floats_size() == 0) return false;
  const int more = dice.OneIn(4) ? 1 << dice.Below(14) : 1;
  if (a->ints_size() > 0) {
    if (dice.OneIn(2)) {
      a->mutable_ints()->RemoveLast();
    } else {
      for (int i = 0; i < more; ++i) a->add_ints(dice.OneIn(3) ? dice.Number(1) : 1);
    }
  } else if (dice.OneIn(2)) {
    a->mutable_floats()->RemoveLast();
  } else {
    for (int i = 0; i < more; ++i) a->add_floats(1);
  }
  return true;
}

bool AttributeType(onnx::ModelProto& model, Dice& dice) {
  onnx::AttributeProto* a = AnyAttribute(model, dice);
  if (a == nullptr) return false;
  a->set_type(static_cast<onnx::AttributeProto::AttributeType>(dice.Below(15)));
  return true;
}

bool AttributeName(onnx::ModelProto& model, Dice& dice) {
  onnx::AttributeProto* a = AnyAttribute(model, dice);
  const onnx::AttributeProto* other = AnyAttribute(model, dice);
  if (a == nullptr || other == nullptr) return false;
  a->set_name(dice.OneIn(2) ? other->name() : dice.Text(a->name()));
  return true;
}

bool AttributeMoved(onnx::ModelProto& model, Dice& dice) {
  const onnx::AttributeProto* a = AnyAttribute(model, dice);
  onnx::NodeProto* node = AnyNode(model, dice);
  if (a == nullptr || node == nullptr) return false;
  const onnx::AttributeProto copy = *a;
  *node->add_attribute() = copy;
  return true;
}

bool AttributeDropped(onnx::ModelProto& model, Dice& dice) {
  onnx::NodeProto* node = AnyNode(model, dice);
  if (node == nullptr || node->attribute_size() == 0) return false;
  node->mutable_attribute()->DeleteSubrange(dice.Below(node->attribute_size()), 1);
  return true;
}

bool AttributeAdded(onnx::ModelProto& model, Dice& dice) {
  static constexpr const char* kNames[] = {
      "axis",     "axes",         "keepdims",  "group",          "perm",        "pads",      "alpha",
      "to",       "kernel_shape", "ceil_mode", "output_padding", "mode",        "strides",   "dilations",
      "auto_pad", "output_shape", "epsilon",   "split",          "num_outputs", "allowzero", "batch_dims"};
  onnx::NodeProto* node = AnyNode(model, dice);
  if (node == nullptr) return false;
  onnx::AttributeProto& a = *node->add_attribute();
  a.set_name(dice.Pick(kNames));
  switch (dice.Below(3)) {
    case 0:
      a.set_type(onnx::AttributeProto::INT);
      a.set_i(dice.Number(1));
      break;
    case 1:
      a.set_type(onnx::AttributeProto::INTS);
      for (int i = dice.Below(6); i > 0; --i) a.add_ints(dice.Number(1));
      break;
    default:
      a.set_type(onnx::AttributeProto::STRING);
      a.set_s(dice.Text("x"));
  }
  return true;
}

bool Operator(onnx::ModelProto& model, Dice& dice) {
  onnx::NodeProto* node = AnyNode(model, dice);
  if (node == nullptr) return false;
  if (dice.OneIn(10)) {
    node->set_domain(dice.Text("com.microsoft"));
  } else if (dice.OneIn(10)) {
    node->set_op_type(dice.Text("Loop"));
  } else {
    node->set_op_type(std::string(dice.Pick(OnnxOpTable()).name));
  }
  return true;
}

bool InputRewired(onnx::ModelProto& model, Dice& dice) {
  onnx::NodeProto* node = AnyNode(model, dice);
  if (node == nullptr || node->input_size() == 0) return false;
  node->set_input(dice.Below(node->input_size()), AnyValue(model, dice));
  return true;
}

bool InputCount(onnx::ModelProto& model, Dice& dice) {
  onnx::NodeProto* node = AnyNode(model, dice);
  if (node == nullptr) return false;
  if (node->input_size() > 0 && dice.OneIn(2)) {
    node->mutable_input()->DeleteSubrange(dice.Below(node->input_size()), 1);
    return true;
  }
  for (int i = dice.OneIn(8) ? 1 << dice.Below(14) : 1; i > 0; --i) node->add_input(AnyValue(model, dice));
  return true;
}

bool OutputRenamed(onnx::ModelProto& model, Dice& dice) {
  onnx::NodeProto* node = AnyNode(model, dice);
  if (node == nullptr || node->output_size() == 0) return false;
  node->set_output(dice.Below(node->output_size()), AnyValue(model, dice));
  return true;
}

bool OutputCount(onnx::ModelProto& model, Dice& dice) {
  onnx::NodeProto* node = AnyNode(model, dice);
  if (node == nullptr) return false;
  if (node->output_size() > 0 && dice.OneIn(2)) {
    node->mutable_output()->RemoveLast();
  } else {
    for (int i = dice.OneIn(8) ? 1 << dice.Below(14) : 1; i > 0; --i)
      node->add_output("more_" + std::to_string(i));
  }
  return true;
}

bool NodeDropped(onnx::ModelProto& model, Dice& dice) {
  onnx::GraphProto& graph = *model.mutable_graph();
  if (graph.node_size() == 0) return false;
  graph.mutable_node()->DeleteSubrange(dice.Below(graph.node_size()), 1);
  return true;
}

constexpr size_t kMostRepeated = size_t{16}
                                 << 20;  // bytes: what grows to gigabytes is no mutant of a small model

// The same operator again behind itself, many times over.
bool NodeRepeated(onnx::ModelProto& model, Dice& dice) {
  onnx::NodeProto* node = AnyNode(model, dice);
  if (node == nullptr || node->input_size() == 0 || node->output_size() == 0) return false;
  const onnx::NodeProto original = *node;
  const int times = dice.OneIn(6) ? 1 << dice.Below(11) : 1 + dice.Below(3);
  if (static_cast<size_t>(times) * node->ByteSizeLong() > kMostRepeated) return false;
  std::string from = original.input(0);
  for (int i = 0; i < times; ++i) {
    onnx::NodeProto& copy = *model.mutable_graph()->add_node();
    copy = original;
    for (std::string& input : *copy.mutable_input()) {
      if (input == original.input(0) || dice.OneIn(8)) input = from;
    }
    for (std::string& output : *copy.mutable_output()) output += "_again" + std::to_string(i);
    from = copy.output(0);
  }
  *model.mutable_graph()->add_output() = onnx::ValueInfoProto();
  model.mutable_graph()->mutable_output(model.graph().output_size() - 1)->set_name(from);
  return true;
}

bool NodesSwapped(onnx::ModelProto& model, Dice& dice) {
  onnx::GraphProto& graph = *model.mutable_graph();
  if (graph.node_size() < 2) return false;
  graph.mutable_node()->SwapElements(dice.Below(graph.node_size()), dice.Below(graph.node_size()));
  return true;
}

// The whole graph as a branch of an If, nested once or too deeply.
bool Nested(onnx::ModelProto& model, Dice& dice) {
  if (model.graph().initializer_size() + model.graph().input_size() == 0) return false;
  for (int depth = dice.OneIn(2) ? 1 : kDeepNesting; depth > 0; --depth) {
    onnx::GraphProto inner = model.graph();
    inner.clear_input();
    onnx::GraphProto& outer = *model.mutable_graph();
    outer.clear_node();
    outer.clear_initializer();
    onnx::NodeProto& node = *outer.add_node();
    node.set_op_type("If");
    node.add_input("condition" + std::to_string(depth));
    for (onnx::ValueInfoProto& output : *inner.mutable_output()) {
      node.add_output(output.name());
      output.set_name(dice.OneIn(20) ? "nothing" : output.name());
    }
    onnx::TensorProto& condition = *outer.add_initializer();
    condition.set_name(node.input(0));
    condition.set_data_type(onnx::TensorProto::BOOL);
    condition.add_int32_data(dice.Below(2));
    for (const char* branch : {"then_branch", "else_branch"}) {
      onnx::AttributeProto& a = *node.add_attribute();
      a.set_name(branch);
      a.set_type(onnx::AttributeProto::GRAPH);
      *a.mutable_g() = inner;
    }
    if (model.ByteSizeLong() > (size_t{4} << 20)) return true;  // two branches each: it doubles
  }
  return true;
}

}  // namespace

std::vector<Mutation> NodeMutations() {
  return {{"attribute value", AttributeValue},
          {"attribute value", AttributeValue},
          {"attribute length", AttributeLength},
          {"attribute type", AttributeType},
          {"attribute name", AttributeName},
          {"attribute moved", AttributeMoved},
          {"attribute dropped", AttributeDropped},
          {"attribute added", AttributeAdded},
          {"operator", Operator},
          {"input rewired", InputRewired},
          {"input count", InputCount},
          {"output renamed", OutputRenamed},
          {"output count", OutputCount},
          {"node dropped", NodeDropped},
          {"node repeated", NodeRepeated},
          {"nodes swapped", NodesSwapped},
          {"nested", Nested}};
}

}  // namespace hone
