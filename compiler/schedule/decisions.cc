#include "compiler/schedule/decisions.h"

#include <algorithm>

namespace hone {
namespace {

std::variant<StageChoice, Rejection> ReadStageLeaf(const Primitive& leaf, const Target& target) {
  const std::string& kind = leaf.operands[0];
  if (kind != "window" && kind != "row" && kind != "map") return Rejection::kWrongLeaf;
  StageChoice choice{.lanes = static_cast<int>(leaf.IntOption("vw", target.vector_width()))};
  const int count = static_cast<int>(leaf.IntOption(kind == "window" ? "tile" : "unroll", 1));
  if (kind == "map") {
    choice.points = count;
  } else {
    choice.tile = count;
    if (kind == "row") choice.partial = count;
  }
  const std::vector<int>& widths = target.row->vector_widths;
  if (std::find(widths.begin(), widths.end(), choice.lanes) == widths.end()) return Rejection::kWidthNotOfTarget;
  if (count < 1) return Rejection::kBadTile;
  if (count + 2 > target.row->vector_registers) return Rejection::kTooManyRegisters;
  return choice;
}

// Every stage has a leaf.
std::variant<StripChoice, Rejection> ReadStrips(const Trace& trace, const Target& target) {
  StripChoice choice{.rows = Primitive{"", {}, {{"n", trace.Find("strip")->operands[0]}}}.IntOption("n", 0)};
  for (const Primitive& leaf : trace.primitives) {
    if (leaf.verb != "leaf") continue;
    if (leaf.operands[0] == "contract") {
      const std::variant<ContractChoice, Rejection> read = ReadContractLeaf(leaf);
      if (std::holds_alternative<Rejection>(read)) return std::get<Rejection>(read);
      choice.leaves.push_back(std::get<ContractChoice>(read));
    } else {
      const std::variant<StageChoice, Rejection> read = ReadStageLeaf(leaf, target);
      if (std::holds_alternative<Rejection>(read)) return std::get<Rejection>(read);
      choice.leaves.push_back(std::get<StageChoice>(read));
    }
  }
  return choice;
}

}  // namespace

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
  if (trace.Find("strip") != nullptr) {
    if (winograd || strassen) return Rejection::kWrongLeaf;
    std::variant<StripChoice, Rejection> strips = ReadStrips(trace, target);
    if (std::holds_alternative<Rejection>(strips)) return std::get<Rejection>(strips);
    return Decisions{.leaf = Decisions::Leaf::kStage, .strips = std::get<StripChoice>(std::move(strips))};
  }
  Decisions decisions{.strassen = strassen ? static_cast<int>(algorithm->IntOption("levels", 1)) : 0};
  if (strassen && kind != "contract") return Rejection::kWrongLeaf;
  if (winograd) {
    if (kind != "contract") return Rejection::kWrongLeaf;
    const std::string_view kernels = algorithm->Option("kernels").value_or("transformed");
    if (kernels != "given" && kernels != "transformed") return Rejection::kUnknownAlgorithm;
    decisions.winograd = WinogradChoice{static_cast<int>(algorithm->IntOption("m", 0)),
                                        algorithm->IntOption("tiles", 16), kernels == "given"};
  }
  if (kind == "generic") return decisions;
  if (kind == "contract") {
    decisions.leaf = Decisions::Leaf::kContract;
    std::variant<ContractChoice, Rejection> choice = ReadContractChoice(trace);
    if (std::holds_alternative<Rejection>(choice)) return std::get<Rejection>(choice);
    decisions.contract = std::get<ContractChoice>(choice);
    if (decisions.contract.rows == RowTiles::kBands && (winograd || strassen)) return Rejection::kWrongLeaf;
    // Most schedules drawn at random end here, before anything is built. Winograd's blocks may have fewer
    // rows than a tile.
    if (!winograd && RegistersOf(decisions.contract, target) > target.row->vector_registers)
      return Rejection::kTooManyRegisters;
    return decisions;
  }
  const std::variant<StageChoice, Rejection> choice = ReadStageLeaf(*leaf, target);
  if (std::holds_alternative<Rejection>(choice)) return std::get<Rejection>(choice);
  decisions.leaf = Decisions::Leaf::kStage;
  decisions.anchor = std::get<StageChoice>(choice);
  return decisions;
}

}  // namespace hone
