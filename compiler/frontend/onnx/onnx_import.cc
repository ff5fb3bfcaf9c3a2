#include "compiler/frontend/onnx/onnx_import.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/frontend/onnx/onnx_tensor.h"
#include "compiler/frontend/onnx/operator_table.h"

namespace hone {
namespace {

constexpr int64_t kMaxDim = int64_t{1} << 31;
constexpr int kMaxGraphDepth = 8;  // nested branches
constexpr int kMaxNodes = 1 << 20;

std::string NameOf(const onnx::NodeProto& node, int index) {
  return node.name().empty() ? absl::StrCat("#", index) : node.name();
}

// The expression language's names: letters, digits, _ . /, not beginning with a digit.
std::string SymbolName(const std::string& text) {
  std::string name;
  for (const char c : text)
    name += std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '/' ? c : '_';
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) name = "d" + name;
  return name;
}

std::string OperatorName(const onnx::NodeProto& node) {
  const bool standard = node.domain().empty() || node.domain() == "ai.onnx";
  return standard ? node.op_type() : node.domain() + "." + node.op_type();
}

// Indices of the nodes in dependence order (the format asks for it; not all writers comply). InvalidArgument:
// values written twice, values nobody writes, cycles.
absl::StatusOr<std::vector<int>> OrderOf(const onnx::GraphProto& graph,
                                         const std::map<std::string, OnnxValue>& outer) {
  std::map<std::string, int> producer;
  for (int i = 0; i < graph.node_size(); ++i) {
    for (const std::string& output : graph.node(i).output()) {
      if (output.empty()) continue;
      if (!producer.emplace(output, i).second || outer.contains(output)) {
        return absl::InvalidArgumentError(absl::StrCat("node '", NameOf(graph.node(i), i), "': value '",
                                                       output, "' is written a second time"));
      }
    }
  }
  std::vector<std::vector<int>> users(static_cast<size_t>(graph.node_size()));
  std::vector<int> waiting(users.size(), 0), ready, order;
  for (int i = 0; i < graph.node_size(); ++i) {
    for (const std::string& input : graph.node(i).input()) {
      if (input.empty() || outer.contains(input)) continue;
      const auto found = producer.find(input);
      if (found == producer.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("node '", NameOf(graph.node(i), i), "' reads '", input, "', which nothing writes"));
      }
      users[found->second].push_back(i);
      ++waiting[i];
    }
  }
  // Smallest index first: a sorted model keeps its order.
  std::set<int> free;
  for (int i = 0; i < graph.node_size(); ++i) {
    if (waiting[i] == 0) free.insert(i);
  }
  while (!free.empty()) {
    const int node = *free.begin();
    free.erase(free.begin());
    order.push_back(node);
    for (const int user : users[node]) {
      if (--waiting[user] == 0) free.insert(user);
    }
  }
  for (int i = 0; i < graph.node_size(); ++i) {
    if (waiting[i] > 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("node '", NameOf(graph.node(i), i), "' lies on or behind a cycle"));
    }
  }
  return order;
}

class Importer {
 public:
  Importer(const ModelFiles& files, const std::map<std::string, std::vector<int64_t>>& shapes)
      : shapes_(shapes), model_(std::make_shared<onnx::ModelProto>()), scope_{files, model_} {}

  absl::StatusOr<OnnxImport> Run() {
    if (absl::Status status = Parse(); !status.ok()) return status;
    const onnx::GraphProto& graph = model_->graph();
    FindUnsupportedOperators(graph, 0);
    const std::vector<UnsupportedNode> operators = scope_.unsupported;
    if (absl::Status status = AddInitializers(graph); !status.ok()) return status;
    if (absl::Status status = AddInputs(graph); !status.ok()) return status;
    if (absl::Status status = AddNodes(graph, 0); !status.ok()) return status;
    if (absl::Status status = AddOutputs(graph); !status.ok()) return status;
    result_.opset = scope_.opset;
    result_.producer = model_->producer_name();
    for (const TensorId id : scope_.graph.inputs()) {
      result_.inputs.push_back({scope_.graph.tensor(id).name, scope_.graph.tensor(id).type});
    }
    result_.unsupported = std::move(scope_.unsupported);
    if (!result_.unsupported.empty()) {
      if (!result_.unbound_symbols.empty()) result_.unsupported = operators;
      for (const onnx::ValueInfoProto& output : graph.output())
        result_.outputs.push_back(StatedOutput(output));
      return std::move(result_);
    }
    for (const TensorId id : scope_.graph.outputs()) {
      result_.outputs.push_back({scope_.graph.tensor(id).name, scope_.graph.tensor(id).type});
    }
    scope_.graph.Compact();
    if (absl::Status status = scope_.graph.Verify(); !status.ok()) return status;
    result_.graph = std::move(scope_.graph);
    return std::move(result_);
  }

 private:
  absl::Status Parse() {
    const auto main = scope_.files.files.find(scope_.files.main_file);
    if (main == scope_.files.files.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", scope_.files.main_file, "' is not among the model's files"));
    }
    const std::string_view bytes = main->second.bytes;
    if (bytes.empty() || bytes.size() > size_t{1} << 31) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", main->first, "' has ", bytes.size(),
                       " bytes; a model without its external data has 1 to 2^31"));
    }
    if (!model_->ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size() - (bytes.size() >> 31)))) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", main->first, "' is not an ONNX model, or truncated or damaged"));
    }
    if (!model_->has_graph() || model_->graph().node_size() > kMaxNodes) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", main->first, "' holds no graph of 1 to ", kMaxNodes, " nodes"));
    }
    for (const onnx::OperatorSetIdProto& opset : model_->opset_import()) {
      if (opset.domain().empty() || opset.domain() == "ai.onnx") scope_.opset = opset.version();
    }
    if (scope_.opset < kMinOpset || scope_.opset > kMaxOpset) {
      return absl::InvalidArgumentError(
          absl::StrCat("opset ", scope_.opset, ": supported are ", kMinOpset, " to ", kMaxOpset,
                       "; convert it with onnx.version_converter, or export again"));
    }
    return absl::OkStatus();
  }

  void FindUnsupportedOperators(const onnx::GraphProto& graph, int depth) {
    for (int i = 0; i < graph.node_size(); ++i) {
      const onnx::NodeProto& node = graph.node(i);
      const std::string op = OperatorName(node);
      if (depth == 0) {
        ++result_.operators[op];
        ++result_.node_count;
      }
      if (op == "If" || FindOnnxOp(op, scope_.opset) != nullptr) continue;
      const bool other_domain = op != node.op_type();
      scope_.unsupported.push_back(
          {NameOf(node, i), op, "", scope_.opset, "no such operator here",
           other_domain
               ? "export plain ONNX operators (before ONNX Runtime's optimiser, without custom operators)"
               : absl::StrCat("rewrite the model without ", op, ", or cut it before this node")});
      known_unsupported_.insert(&node);
    }
  }

  absl::Status AddInitializers(const onnx::GraphProto& graph) {
    if (graph.sparse_initializer_size() > 0) {
      scope_.unsupported.push_back({graph.sparse_initializer(0).values().name(), "initializer", "",
                                    scope_.opset, "sparse tensors", "store it as a dense tensor"});
    }
    for (const onnx::TensorProto& tensor : graph.initializer()) {
      absl::StatusOr<ConstantRef> constant = ConstantOfTensor(tensor, model_, scope_.files);
      if (absl::IsUnimplemented(constant.status())) {
        scope_.unsupported.push_back({tensor.name(), "initializer", "", scope_.opset,
                                      std::string(constant.status().message()),
                                      "keep the model in float32 and integers"});
        scope_.values[tensor.name()] = {};
        continue;
      }
      if (!constant.ok()) return constant.status();
      scope_.values[tensor.name()] = {scope_.graph.AddConstant(tensor.name(), *std::move(constant)), {}, 0};
    }
    return absl::OkStatus();
  }

  absl::Status AddInputs(const onnx::GraphProto& graph) {
    std::set<std::string> names;
    for (const onnx::ValueInfoProto& input : graph.input()) {
      if (scope_.values.contains(input.name())) continue;  // old models list initializers among the inputs
      if (absl::Status status = AddInput(input); !status.ok()) return status;
      names.insert(input.name());
    }
    for (const auto& [name, dims] : shapes_) {
      if (names.contains(name)) continue;
      return absl::InvalidArgumentError(absl::StrCat("a shape is given for '", name,
                                                     "', but the inputs are: ", absl::StrJoin(names, ", ")));
    }
    std::set<std::string> unbound;
    for (const TensorId id : scope_.graph.inputs()) {
      for (const DimExpr& dim : scope_.graph.tensor(id).type.shape) {
        for (const SymbolRef& symbol : dim.Symbols()) unbound.insert(symbol->name);
      }
    }
    result_.unbound_symbols.assign(unbound.begin(), unbound.end());
    return absl::OkStatus();
  }

  absl::Status AddInput(const onnx::ValueInfoProto& input) {
    const auto fault = [&](const std::string& what) {
      return absl::InvalidArgumentError(absl::StrCat("input '", input.name(), "': ", what));
    };
    const auto unsupported = [&](const std::string& what) {
      scope_.unsupported.push_back(
          {input.name(), "input", "", scope_.opset, what, "use tensors of numbers as inputs"});
      scope_.values[input.name()] = {};
      return absl::OkStatus();
    };
    if (!input.type().has_tensor_type()) return unsupported("not a tensor");
    const onnx::TypeProto::Tensor& stated = input.type().tensor_type();
    const std::optional<DType> dtype = DTypeOfOnnx(stated.elem_type());
    if (!dtype && OnnxTypeName(stated.elem_type()).starts_with("dtype")) return fault("unknown element type");
    if (!dtype) return unsupported("elements of " + OnnxTypeName(stated.elem_type()));
    const auto given = shapes_.find(input.name());
    const int stated_rank = stated.shape().dim_size();
    if (!stated.has_shape() && given == shapes_.end()) {
      return fault("the model does not state its rank; give it as --shape " + input.name() + "=...");
    }
    if (given != shapes_.end() && stated.has_shape() &&
        static_cast<int>(given->second.size()) != stated_rank) {
      return fault(absl::StrCat("has ", stated_rank, " dimensions, the given shape ", given->second.size()));
    }
    const int rank = given != shapes_.end() ? static_cast<int>(given->second.size()) : stated_rank;
    if (rank > kMaxRank) return fault(absl::StrCat("rank ", rank));
    TensorType type{*dtype, {}};
    for (int d = 0; d < rank; ++d) {
      const onnx::TensorShapeProto::Dimension* dim = d < stated_rank ? &stated.shape().dim(d) : nullptr;
      const std::optional<int64_t> value =
          given != shapes_.end() ? std::optional(given->second[d]) : std::nullopt;
      absl::StatusOr<DimExpr> size = InputDim(input.name(), d, dim, value);
      if (!size.ok()) return fault(std::string(size.status().message()));
      type.shape.push_back(*std::move(size));
    }
    scope_.values[input.name()] = {scope_.graph.AddInput(input.name(), std::move(type)), {}, 0};
    return absl::OkStatus();
  }

  // A dimension is stated, or named (equal names are equal sizes), or open; `given` binds it.
  absl::StatusOr<DimExpr> InputDim(const std::string& input, int d,
                                   const onnx::TensorShapeProto::Dimension* dim,
                                   std::optional<int64_t> given) {
    if (given && (*given < 1 || *given > kMaxDim)) {
      return absl::InvalidArgumentError(absl::StrCat("dimension ", d, " given as ", *given));
    }
    if (dim != nullptr && dim->has_dim_value() && dim->dim_value() > 0) {
      if (dim->dim_value() > kMaxDim)
        return absl::InvalidArgumentError(absl::StrCat("dimension ", d, " is ", dim->dim_value()));
      if (given && *given != dim->dim_value()) {
        return absl::InvalidArgumentError(
            absl::StrCat("dimension ", d, " is ", dim->dim_value(), ", given as ", *given));
      }
      return DimExpr(dim->dim_value());
    }
    const bool named = dim != nullptr && !dim->dim_param().empty() && dim->dim_param() != "?";
    const std::string name = SymbolName(named ? dim->dim_param() : absl::StrCat(input, ".", d));
    if (given) {
      const auto [bound, fresh] = bound_.emplace(name, *given);
      if (!fresh && bound->second != *given) {
        return absl::InvalidArgumentError(
            absl::StrCat("dimension ", d, " '", name, "' is given as ", *given, " and as ", bound->second));
      }
      return DimExpr(*given);
    }
    // Bound through another input that shares the name?
    for (const onnx::ValueInfoProto& other : model_->graph().input()) {
      const auto shape = shapes_.find(other.name());
      if (!named || shape == shapes_.end()) continue;
      const onnx::TensorShapeProto& stated = other.type().tensor_type().shape();
      for (int k = 0; k < stated.dim_size() && k < static_cast<int>(shape->second.size()); ++k) {
        const int64_t size = shape->second[k];
        if (stated.dim(k).dim_param() == dim->dim_param() && size >= 1 && size <= kMaxDim)
          return DimExpr(size);
      }
    }
    return DimExpr(scope_.graph.AddSymbol(MakeSymbol(name, 1, kMaxDim)));
  }

  absl::Status AddNodes(const onnx::GraphProto& graph, int depth) {
    absl::StatusOr<std::vector<int>> order = OrderOf(graph, scope_.values);
    if (!order.ok()) return order.status();
    for (const int index : *order) {
      if (absl::Status status = AddNode(graph.node(index), NameOf(graph.node(index), index), depth);
          !status.ok())
        return status;
    }
    return absl::OkStatus();
  }

  absl::Status AddNode(const onnx::NodeProto& node, const std::string& name, int depth) {
    const int first_tensor = scope_.graph.tensor_count();
    NodeContext context(scope_, node, name);
    const bool convertible = !known_unsupported_.contains(&node) && InputsKnown(node);
    if (convertible) {
      if (node.op_type() == "If") {
        if (absl::Status status = InlineBranch(context, depth); !status.ok()) return status;
      } else if (const OnnxOpRow* row = FindOnnxOp(node.op_type(), scope_.opset)) {
        for (int i = 0; i < row->min_inputs; ++i) {
          if (!context.Has(i)) context.Fail(absl::StrCat("input ", i, " is missing"));
        }
        if (context.ok() && !ConvertShapeArithmetic(context) && context.ok()) row->convert(context);
      }
      if (!context.ok() && !absl::IsUnimplemented(context.status())) return context.status();
    }
    for (int i = 0; i < node.output_size(); ++i) {
      if (node.output(i).empty()) continue;
      const OnnxValue value = context.ok() && convertible ? context.outputs()[i] : OnnxValue();
      if (value.tensor.index >= first_tensor) scope_.graph.tensor(value.tensor).name = node.output(i);
      scope_.values[node.output(i)] = value;
    }
    return absl::OkStatus();
  }

  // What an unsupported node would have computed is not reported again where it is used.
  bool InputsKnown(const onnx::NodeProto& node) const {
    return std::all_of(node.input().begin(), node.input().end(), [&](const std::string& input) {
      if (input.empty()) return true;
      const auto value = scope_.values.find(input);
      return value != scope_.values.end() && value->second.known();
    });
  }

  // The branch of an If whose condition is known takes its place.
  absl::Status InlineBranch(NodeContext& context, int depth) {
    const std::optional<std::vector<double>> condition = context.Reals(context.Value(0).tensor);
    if (!condition || condition->size() != 1) {
      context.Unsupported("cond", "a condition that is known at run time only",
                          "export with the branch taken (fold constants)");
      return absl::OkStatus();
    }
    const onnx::AttributeProto* branch =
        context.Attribute(condition->front() != 0 ? "then_branch" : "else_branch");
    if (branch == nullptr || !branch->has_g() || depth >= kMaxGraphDepth ||
        branch->g().output_size() != context.node().output_size()) {
      context.Fail("the branch is missing, nested too deeply, or has other outputs");
      return absl::OkStatus();
    }
    const size_t reported = scope_.unsupported.size();
    FindUnsupportedOperators(branch->g(), depth + 1);
    const std::map<std::string, OnnxValue> outer = scope_.values;
    if (absl::Status status = AddInitializers(branch->g()); !status.ok()) return status;
    if (absl::Status status = AddNodes(branch->g(), depth + 1); !status.ok()) return status;
    for (int i = 0; i < branch->g().output_size(); ++i) {
      const auto value = scope_.values.find(branch->g().output(i).name());
      if (value == scope_.values.end()) {
        context.Fail("an output of the branch is written by nothing");
      } else if (value->second.integers) {
        context.SetIntegers(i, *value->second.integers, value->second.rank);
      } else if (value->second.known() || reported == scope_.unsupported.size()) {
        context.SetOutput(i, value->second.tensor);
      }
    }
    scope_.values = outer;
    return absl::OkStatus();
  }

  static InterfaceTensor StatedOutput(const onnx::ValueInfoProto& output) {
    const onnx::TypeProto::Tensor& stated = output.type().tensor_type();
    InterfaceTensor tensor{output.name(), {DTypeOfOnnx(stated.elem_type()).value_or(DType::kF32), {}}};
    for (int d = 0; d < std::min(stated.shape().dim_size(), kMaxRank); ++d) {
      const int64_t size = stated.shape().dim(d).dim_value();
      const DimExpr open(MakeSymbol(SymbolName(absl::StrCat(output.name(), ".", d)), 1, kMaxDim));
      tensor.type.shape.push_back(size > 0 && size <= kMaxDim ? DimExpr(size) : open);
    }
    return tensor;
  }

  absl::Status AddOutputs(const onnx::GraphProto& graph) {
    std::vector<TensorId> outputs;
    std::set<TensorId> taken;
    if (graph.output_size() == 0) return absl::InvalidArgumentError("the model has no outputs");
    for (const onnx::ValueInfoProto& output : graph.output()) {
      const auto value = scope_.values.find(output.name());
      if (value == scope_.values.end()) {
        return absl::InvalidArgumentError(absl::StrCat("output '", output.name(), "' is written by nothing"));
      }
      TensorId id = value->second.tensor;
      if (id.index < 0) {
        if (scope_.unsupported.empty()) {
          scope_.unsupported.push_back(
              {output.name(), "output", "", scope_.opset,
               value->second.integers ? "a shape over open dimensions" : "its node does not compute it",
               value->second.integers ? "bind them: --shape INPUT=1,3,224,224" : "drop this output"});
        }
        continue;
      }
      // Inputs, constants and tensors under two names get a copy of their own.
      if (scope_.graph.tensor(id).producer.index < 0 || !taken.insert(id).second) {
        absl::StatusOr<std::vector<TensorId>> copy =
            scope_.graph.AddNode("identity", {id}, {}, output.name());
        if (!copy.ok()) return copy.status();
        id = copy->front();
        taken.insert(id);
      }
      scope_.graph.tensor(id).name = output.name();
      outputs.push_back(id);
    }
    scope_.graph.SetOutputs(std::move(outputs));
    return absl::OkStatus();
  }

  const std::map<std::string, std::vector<int64_t>>& shapes_;
  std::shared_ptr<onnx::ModelProto> model_;
  OnnxScope scope_;
  OnnxImport result_;
  std::map<std::string, int64_t> bound_;                // symbols given by shapes
  std::set<const onnx::NodeProto*> known_unsupported_;  // reported already
};

}  // namespace

absl::StatusOr<OnnxImport> ImportOnnx(const ModelFiles& files,
                                      const std::map<std::string, std::vector<int64_t>>& shapes) {
  return Importer(files, shapes).Run();
}

}  // namespace hone
