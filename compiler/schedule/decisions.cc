#include "compiler/schedule/decisions.h"

#include <algorithm>

namespace hone {

std::variant<Decisions, Rejection> ReadDecisions(const Trace& trace, const Target& target) {
  const Primitive* algorithm = trace.Find("algorithm");
  if (algorithm == nullptr) return Rejection::kUnknownAlgorithm;
  const bool winograd = algorithm->operands[0] == "winograd", strassen = algorithm->operands[0] == "strassen";
  if (!winograd && !strassen && algorithm->operands[0] != "direct") return Rejection::kUnknownAlgorithm;
  for (const char* verb : {"compute_at", "store_at", "roll", "cache", "fuse", "tile", "inner_layout"}) {
    if (trace.Find(verb) != nullptr) return Rejection::kNotLowered;
  }
  const Primitive* leaf = trace.Find("leaf");
  if (leaf == nullptr) return Rejection::kWrongLeaf;
  const std::string& kind = leaf->operands[0];
  Decisions decisions{.strassen = strassen ? static_cast<int>(algorithm->IntOption("levels", 1)) : 0};
  if (strassen && kind != "contract") return Rejection::kWrongLeaf;
  if (winograd) {
    if (kind != "contract") return Rejection::kWrongLeaf;
    decisions.winograd = WinogradChoice{static_cast<int>(algorithm->IntOption("m", 0)), algorithm->IntOption("tiles", 16)};
  }
  if (kind == "generic") return decisions;
  if (kind == "contract") {
    decisions.leaf = Decisions::Leaf::kContract;
    std::variant<ContractChoice, Rejection> choice = ReadContractChoice(trace);
    if (std::holds_alternative<Rejection>(choice)) return std::get<Rejection>(choice);
    decisions.contract = std::get<ContractChoice>(choice);
    return decisions;
  }
  if (kind != "window" && kind != "row" && kind != "map") return Rejection::kWrongLeaf;
  decisions.leaf = Decisions::Leaf::kStage;
  decisions.anchor.lanes = static_cast<int>(leaf->IntOption("vw", target.vector_width()));
  const int count = static_cast<int>(leaf->IntOption(kind == "window" ? "tile" : "unroll", 1));
  if (kind == "map") {
    decisions.anchor.points = count;
  } else {
    decisions.anchor.tile = count;
    if (kind == "row") decisions.anchor.partial = count;
  }
  const std::vector<int>& widths = target.row->vector_widths;
  if (std::find(widths.begin(), widths.end(), decisions.anchor.lanes) == widths.end()) {
    return Rejection::kWidthNotOfTarget;
  }
  if (count < 1) return Rejection::kBadTile;
  if (count + 2 > target.row->vector_registers) return Rejection::kTooManyRegisters;
  return decisions;
}

}  // namespace hone
