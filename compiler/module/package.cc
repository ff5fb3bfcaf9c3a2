#include "compiler/module/package.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "compiler/module/dlpack_type.h"
#include "compiler/module/embedded_files.h"
#include "compiler/module/required_features.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

// Names come from models: any bytes. Invalid UTF-8 becomes U+FFFD.
std::string JsonText(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Json TensorJson(const Tensor& tensor) {
  Json shape = Json::array();
  for (const DimExpr& dim : tensor.type.shape) {
    if (const auto value = dim.AsConstant()) {
      shape.push_back(*value);
    } else {
      shape.push_back(dim.ToString());
    }
  }
  return {{"name", tensor.name}, {"dtype", std::string(DTypeName(tensor.type.dtype))}, {"shape", shape}};
}

Json TensorsJson(const Graph& graph, const std::vector<TensorId>& ids) {
  Json list = Json::array();
  for (const TensorId id : ids) list.push_back(TensorJson(graph.tensor(id)));
  return list;
}

// A string literal for C: bytes outside plain ASCII as octal escapes, which cannot swallow what follows.
std::string CLiteral(std::string_view text) {
  std::string literal = "\"";
  for (const unsigned char c : text) {
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '?') {
      literal.push_back(static_cast<char>(c));
    } else {
      absl::StrAppendFormat(&literal, "\\%03o", c);
    }
  }
  return literal + "\"";
}

// For comments and README: printable ASCII without what could end a comment.
std::string PlainText(std::string_view text) {
  std::string plain;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    plain.push_back(byte >= 0x20 && byte < 0x7f && c != '*' && c != '@' && c != '\\' ? c : '_');
  }
  return plain;
}

int64_t DimBound(const DimExpr& dim) { return dim.Bounds().upper; }

// Rows {name, dtype text, DLDataType, bytes per element, rank, shape} for sample.c, and a last one of zeros.
std::string SampleRows(const Graph& graph, const std::vector<TensorId>& ids) {
  std::string rows;
  for (const TensorId id : ids) {
    const Tensor& tensor = graph.tensor(id);
    const DlpackType type = DlpackTypeOf(tensor.type.dtype);
    const std::string shape = absl::StrJoin(
        tensor.type.shape, ", ", [](std::string* out, const DimExpr& d) { absl::StrAppend(out, DimBound(d)); });
    absl::StrAppend(&rows, "    {", CLiteral(tensor.name), ", ", CLiteral(DTypeName(tensor.type.dtype)), ", {",
                    std::string(type.code_name), ", ", static_cast<int>(type.bits), ", 1}, ", tensor.type.rank(), ", {",
                    shape.empty() ? "0" : shape, "}},\n");
  }
  return rows + "    {0},\n";
}

std::string TensorLines(const Graph& graph, const std::vector<TensorId>& ids, std::string_view prefix) {
  std::string lines;
  for (const TensorId id : ids) {
    const Tensor& tensor = graph.tensor(id);
    absl::StrAppend(&lines, std::string(prefix), PlainText(tensor.name), ": ", PlainText(tensor.type.ToString()), "\n");
  }
  return lines;
}

std::string ModelHeader(const Graph& graph, const std::string& name, const std::string& title) {
  return absl::StrCat("/* Module of the model ", PlainText(title), ", made by Hone. See hone.h for the interface.\n",
                      " * Inputs:\n", TensorLines(graph, graph.inputs(), " *   "), " * Outputs:\n",
                      TensorLines(graph, graph.outputs(), " *   "), " */\n#pragma once\n\n#include \"hone.h\"\n\n",
                      "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\nconst HoneModuleV1* ", name,
                      "_hone_module(void);\n\n#ifdef __cplusplus\n}\n#endif\n");
}

int MaximalRank(const Graph& graph) {
  int rank = 1;
  for (const TensorId id : graph.inputs()) rank = std::max(rank, graph.tensor(id).type.rank());
  for (const TensorId id : graph.outputs()) rank = std::max(rank, graph.tensor(id).type.rank());
  return rank;
}

}  // namespace

std::string ModuleIdentifier(std::string_view name) {
  std::string identifier;
  for (const char c : name.substr(0, 64)) {
    identifier.push_back(absl::ascii_isalnum(static_cast<unsigned char>(c)) ? c : '_');
  }
  if (identifier.find_first_not_of('_') == std::string::npos) return "model";
  if (absl::ascii_isdigit(static_cast<unsigned char>(identifier.front()))) identifier.insert(0, "m_");
  return identifier;
}

std::string DescribeModule(const DescribeFacts& facts) {
  const ModuleOptions& options = *facts.options;
  Json tasks = Json::array();
  for (size_t i = 0; i < facts.cut->tasks.size(); ++i) {
    const Task& task = facts.cut->tasks[i];
    Json row = {{"task", task.Label()}, {"id", task.Id()}, {"calls", facts.cut->WeightOf(static_cast<int>(i))}};
    if (i < options.traces.size()) row["trace"] = options.traces[i];
    tasks.push_back(std::move(row));
  }
  Json steps = Json::array();
  for (const Step& step : facts.plan->steps) {
    if (const auto* call = std::get_if<CallTask>(&step)) steps.push_back(call->compiled_task);
    if (std::holds_alternative<CallRuntime>(step)) steps.push_back(-1);
  }
  Json data = nullptr;
  if (facts.sidecar) {
    data = {{"file", ModuleIdentifier(options.name) + ".bin"},
            {"bytes", facts.plan->constant_bytes},
            {"xxh64", absl::StrFormat("%016x", facts.sidecar_digest)}};
  }
  const Json json = {
      {"format", 1},
      {"name", options.name},
      {"model_digest", options.model_digest},
      {"target", options.target.ToString()},
      {"triple", std::string(options.target.row->triple)},
      {"cpu_features", CpuFeatureNames(facts.cpu_features)},
      {"threads", options.threads},
      {"compiler", options.compiler_build},
      {"predicted_seconds", options.predicted_seconds},
      {"inputs", TensorsJson(facts.cut->graph, facts.cut->graph.inputs())},
      {"outputs", TensorsJson(facts.cut->graph, facts.cut->graph.outputs())},
      {"data", data},
      {"constant_bytes", facts.plan->constant_bytes},
      {"arena_bytes", facts.plan->arena_bytes},
      {"denormals", "flushed to zero"},
      {"tasks", tasks},
      {"steps", steps},
  };
  return JsonText(json, 2);
}

ModuleFiles PackageFiles(const Graph& graph, const ModuleOptions& options, const std::string& describe, bool sidecar) {
  const std::string name = ModuleIdentifier(options.name);
  const std::vector<std::pair<std::string, std::string>> words = {
      {"@NAME@", name},
      {"@TITLE@", PlainText(options.name)},
      {"@INPUTS@", SampleRows(graph, graph.inputs())},
      {"@OUTPUTS@", SampleRows(graph, graph.outputs())},
      {"@INPUT_LINES@", TensorLines(graph, graph.inputs(), "  ")},
      {"@OUTPUT_LINES@", TensorLines(graph, graph.outputs(), "  ")},
      {"@MAX_RANK@", absl::StrCat(MaximalRank(graph))},
      {"@DATA_PATH@", sidecar ? CLiteral(name + ".bin") : "NULL"},
      {"@TARGET@", options.target.ToString()},
      {"@DATA_NOTE@", sidecar ? absl::StrCat("The constants are in ", name, ".bin: pass its path as data_path.\n") : ""},
  };
  const auto fill = [&](std::string_view file) {
    return absl::StrReplaceAll(absl::string_view(file.data(), file.size()), words);
  };
  ModuleFiles files;
  files[name + ".h"] = ModelHeader(graph, name, options.name);
  files["hone.h"] = std::string(HoneHeader());
  files["dlpack.h"] = std::string(DlpackHeader());
  files["sample.c"] = fill(SampleTemplate());
  files["Makefile"] = fill(MakefileTemplate());
  files["README.txt"] = fill(ReadmeTemplate());
  files["hone_module.py"] = std::string(PythonLoader());
  files["describe.json"] = describe + "\n";
  if (!options.report_json.empty()) files["report.json"] = options.report_json;
  return files;
}

}  // namespace hone
