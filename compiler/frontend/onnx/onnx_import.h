#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/graph/graph.h"

namespace hone {

// The files of a model by manifest name; external data is looked up here and nowhere else. `owner` keeps
// bytes alive (constants may point into them).
struct ModelFile {
  std::string_view bytes;
  std::shared_ptr<const void> owner;
};
struct ModelFiles {
  std::string name;  // "resnet50": names the module's symbols
  std::string main_file;
  std::map<std::string, ModelFile> files;
};

// A node that cannot be imported, with everything a user needs to act.
struct UnsupportedNode {
  std::string node;       // name, or "#12" if it has none
  std::string op;         // "ai.onnx.ml.TreeEnsemble"
  std::string attribute;  // which attribute or input, if it is that
  int64_t opset = 0;
  std::string reason;
  std::string remedy;
};

// An input or output by name; dimensions that are not known are symbols.
struct InterfaceTensor {
  std::string name;
  TensorType type;
};

struct OnnxImport {
  Graph graph;  // empty if anything is unsupported
  std::vector<InterfaceTensor> inputs,
      outputs;  // always there; outputs as the model states them if it has to
  int64_t opset = 0;
  std::string producer;
  int node_count = 0;
  std::map<std::string, int> operators;      // source operator -> count
  std::vector<UnsupportedNode> unsupported;  // all of them
  // Open dimensions. While there are any, `unsupported` holds only what no binding can change.
  std::vector<std::string> unbound_symbols;
};

// Shapes bind symbolic dimensions: input name -> dims. InvalidArgument for broken models, naming node and
// cause.
absl::StatusOr<OnnxImport> ImportOnnx(const ModelFiles& files,
                                      const std::map<std::string, std::vector<int64_t>>& shapes);

}  // namespace hone
