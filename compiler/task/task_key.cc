// The text form of Task ("TaskKey"):
//   task 1
//   target x86-64-v3 triple=x86_64-unknown-linux-gnu cpu=haswell features=+avx2,+fma
//   threads 2
//   policy fast
//   input i0 f32[1,64,56,56] aBcd8b
//   ...                                               (compiler/graph/graph_text.cc, names canonical)
#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "compiler/task/task.h"
#include "proto/values/sha256.h"

namespace hone {
namespace {

constexpr std::string_view kHeader = "task 1";
constexpr int kMaxThreads = 4096;

std::string_view PolicyName(AlgorithmPolicy policy) {
  switch (policy) {
    case AlgorithmPolicy::kFast:
      return "fast";
    case AlgorithmPolicy::kExact:
      return "exact";
  }
  return "?";
}

std::string TargetText(const Target& target) {
  std::vector<std::string> features =
      absl::StrSplit(std::string(target.row->features), ',', absl::SkipEmpty());
  std::sort(features.begin(), features.end());
  return absl::StrCat(target.ToString(), " triple=", std::string(target.row->triple),
                      " cpu=", std::string(target.row->cpu), " features=", absl::StrJoin(features, ","));
}

// Renames symbols to s0, s1... in order of appearance in the inputs' shapes, then in attributes.
class SymbolNames {
 public:
  DimExpr Rename(const DimExpr& dim) {
    for (const SymbolRef& symbol : dim.Symbols()) {
      if (values_.contains(symbol)) continue;
      SymbolRef renamed =
          MakeSymbol(absl::StrCat("s", symbols_.size()), symbol->lower, symbol->upper, symbol->divisor);
      symbols_.push_back(renamed);
      values_.emplace(symbol, DimExpr(renamed));
    }
    return values_.empty() ? dim : dim.Substitute(values_);
  }
  void Rename(std::vector<DimExpr>* dims) {
    for (DimExpr& dim : *dims) dim = Rename(dim);
  }
  const std::vector<SymbolRef>& symbols() const { return symbols_; }

 private:
  std::map<SymbolRef, DimExpr> values_;
  std::vector<SymbolRef> symbols_;
};

Graph Canonical(Graph graph) {
  SymbolNames names;
  for (size_t i = 0; i < graph.inputs().size(); ++i)
    graph.tensor(graph.inputs()[i]).name = absl::StrCat("i", i);
  int constants = 0, temporaries = 0;
  for (const TensorId id : graph.inputs()) names.Rename(&graph.tensor(id).type.shape);
  for (int i = 0; i < graph.tensor_count(); ++i) {
    Tensor& tensor = graph.tensor({i});
    if (tensor.constant != nullptr) tensor.name = absl::StrCat("c", constants++);
  }
  for (int i = 0; i < graph.node_count(); ++i) {
    for (auto& [name, value] : graph.node({i}).attrs) {
      if (auto* dims = std::get_if<std::vector<DimExpr>>(&value)) names.Rename(dims);
    }
    for (const TensorId id : graph.node({i}).outputs) {
      graph.tensor(id).name = absl::StrCat("t", temporaries++);
      names.Rename(&graph.tensor(id).type.shape);
    }
  }
  graph.ClearSymbols();
  for (const SymbolRef& symbol : names.symbols()) graph.AddSymbol(symbol);
  return graph;
}

absl::Status BadKey(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("task key: ", std::string(what)));
}

// Takes "word value" from the front; false if the line is another.
bool TakeLine(std::string_view* text, std::string_view word, std::string_view* value) {
  const size_t end = text->find('\n');
  const std::string_view line = text->substr(0, end);
  if (end == std::string_view::npos || line.size() <= word.size() || line.substr(0, word.size()) != word ||
      line[word.size()] != ' ') {
    return false;
  }
  *value = line.substr(word.size() + 1);
  text->remove_prefix(end + 1);
  return true;
}

}  // namespace

std::string Task::Key() const {
  return absl::StrCat(std::string(kHeader), "\ntarget ", TargetText(target), "\nthreads ", threads,
                      "\npolicy ", std::string(PolicyName(policy)), "\n", Canonical(graph).ToString());
}

std::string Task::Id() const { return Sha256Hex(Key()); }

absl::StatusOr<Task> Task::Parse(std::string_view key) {
  std::string_view value;
  Task task;
  if (!TakeLine(&key, "task", &value) || value != "1") return BadKey("expected 'task 1'");
  if (!TakeLine(&key, "target", &value)) return BadKey("expected the target");
  const absl::StatusOr<Target> target = FindTarget(value.substr(0, value.find(' ')));
  if (!target.ok()) return target.status();
  task.target = *target;
  if (TargetText(task.target) != value) return BadKey("the target is not what this build knows by that name");
  if (!TakeLine(&key, "threads", &value) ||
      !absl::SimpleAtoi(absl::string_view(value.data(), value.size()), &task.threads) || task.threads < 1 ||
      task.threads > kMaxThreads) {
    return BadKey("expected the number of threads");
  }
  if (!TakeLine(&key, "policy", &value)) return BadKey("expected the policy");
  const bool exact = value == PolicyName(AlgorithmPolicy::kExact);
  if (!exact && value != PolicyName(AlgorithmPolicy::kFast)) return BadKey("unknown policy");
  task.policy = exact ? AlgorithmPolicy::kExact : AlgorithmPolicy::kFast;
  absl::StatusOr<Graph> graph = Graph::Parse(key);
  if (!graph.ok()) return graph.status();
  task.graph = *std::move(graph);
  return task;
}

}  // namespace hone
