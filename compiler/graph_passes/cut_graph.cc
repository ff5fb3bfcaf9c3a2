#include "compiler/graph_passes/cut_graph.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace hone {

int CutGraph::WeightOf(int task) const {
  return static_cast<int>(
      std::count_if(calls.begin(), calls.end(), [&](const TaskCall& c) { return c.task == task; }));
}

double CutGraph::SecondsBy(const TaskCosts& costs) const {
  double sum = 0;
  for (size_t i = 0; i < tasks.size(); ++i) sum += WeightOf(static_cast<int>(i)) * costs.SecondsFor(tasks[i]);
  return sum;
}

std::string CutGraph::ToString() const {
  const auto names = [&](const std::vector<TensorId>& ids) {
    return absl::StrJoin(ids, ", ", [&](std::string* out, TensorId id) {
      const Tensor& tensor = graph.tensor(id);
      absl::StrAppend(out, tensor.name, " ", tensor.type.ToString(), " ", tensor.layout.ToString());
    });
  };
  std::string text;
  for (size_t i = 0; i < tasks.size(); ++i) {
    absl::StrAppend(&text, "task ", i, " x", WeightOf(static_cast<int>(i)), " ", tasks[i].Label(), "\n");
  }
  for (const TaskCall& call : calls) {
    absl::StrAppend(&text, "call ", call.task, " (", names(call.inputs), ") constants (",
                    names(call.constants), ") -> (", names(call.outputs), ")\n");
  }
  for (const ViewAlias& view : views) {
    absl::StrAppend(&text, "view ", names({view.view}), " of ", names({view.of}),
                    view.offset > 0 ? absl::StrCat(" from byte ", view.offset) : "", "\n");
  }
  return text;
}

}  // namespace hone
