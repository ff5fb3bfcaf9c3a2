#include "client/preflight.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/error.h"

namespace hone {
namespace {

// "operator, attribute): reason": what nodes refused alike have in common.
std::string Refusal(const Json& node) {
  std::string text = JsonText(node, "operator");
  const std::string opset = JsonText(node, "opset");
  if (!opset.empty()) absl::StrAppend(&text, ", opset ", opset);
  const std::string attribute = JsonText(node, "attribute");
  if (!attribute.empty()) absl::StrAppend(&text, ", attribute ", attribute);
  absl::StrAppend(&text, "): ", JsonText(node, "reason"));
  const std::string remedy = JsonText(node, "remedy");
  if (!remedy.empty()) absl::StrAppend(&text, "; ", remedy);
  return text;
}

// A line per refusal, in the order of the first node of each.
std::string RefusalLines(const Json& nodes) {
  std::vector<std::pair<std::string, std::vector<std::string>>> refusals;
  for (const Json& node : nodes) {
    const std::string refusal = Refusal(node);
    auto at =
        std::find_if(refusals.begin(), refusals.end(), [&](const auto& r) { return r.first == refusal; });
    if (at == refusals.end()) at = refusals.insert(at, {refusal, {}});
    at->second.push_back(JsonText(node, "node"));
  }
  std::string lines;
  for (const auto& [refusal, names] : refusals) {
    const std::string more = names.size() > 1 ? absl::StrCat(" and ", names.size() - 1, " more") : "";
    absl::StrAppend(&lines, "\n  node '", names[0], "'", more, " (", refusal);
  }
  return lines;
}

// --shape flags that bind every open dimension of every input: symbols get an example value, 1 for a first
// dimension.
std::string ShapeFlags(const Json& report) {
  std::vector<std::string> flags;
  for (const Json& input : JsonMember(report, "inputs")) {
    std::vector<std::string> dims;
    bool open = false;
    for (const Json& dim : JsonMember(input, "shape")) {
      const bool symbol = !dim.is_number() || dim.get<double>() < 0;
      open |= symbol;
      dims.push_back(!symbol           ? dim.dump()
                     : dims.empty()    ? "1"
                     : dim.is_string() ? absl::StrCat("<", dim.get<std::string>(), ">")
                                       : "<n>");
    }
    if (open)
      flags.push_back(absl::StrCat("--shape '", JsonText(input, "name"), "=", absl::StrJoin(dims, ","), "'"));
  }
  return absl::StrJoin(flags, " ");
}

std::string SymbolName(const Json& symbol) {
  return symbol.is_string() ? symbol.get<std::string>() : JsonText(symbol, "name");
}

}  // namespace

absl::Status CheckPreflight(const Json& report) {
  const Json& unsupported = JsonMember(report, "unsupported");
  if (!unsupported.empty()) {
    const std::string message =
        absl::StrCat(unsupported.size(), " nodes of the model are not supported:", RefusalLines(unsupported));
    return WithRemedy(absl::FailedPreconditionError(message),
                      "change or cut these nodes out of the model, then try again");
  }
  const Json& symbols = JsonMember(report, "unbound_symbols");
  if (!symbols.empty()) {
    std::vector<std::string> names;
    for (const Json& symbol : symbols) names.push_back(SymbolName(symbol));
    return WithRemedy(absl::FailedPreconditionError(
                          absl::StrCat("the model leaves dimensions open: ", absl::StrJoin(names, ", "))),
                      absl::StrCat("fix them by adding, with your numbers, ", ShapeFlags(report)));
  }
  return absl::OkStatus();
}

}  // namespace hone
