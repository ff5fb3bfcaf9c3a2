#include "tuner/search_space.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

using Decision = SearchSpace::Decision;

constexpr const char* kTransformed = "transformed";  // Winograd's kernels, ahead; the text leaves it out
constexpr int64_t kShortestPass = 64;                // steps of a reduction
constexpr size_t kFewValues = 4;   // a neighbour may take any of them

std::vector<std::string> Numbers(const std::vector<int64_t>& values) {
  std::vector<std::string> texts;
  for (const int64_t value : values) texts.push_back(absl::StrCat(value));
  return texts;
}

std::vector<std::string> UpTo(int64_t most, const std::vector<int64_t>& values) {
  std::vector<int64_t> kept;
  for (const int64_t value : values) {
    if (value <= most) kept.push_back(value);
  }
  if (kept.empty()) kept.push_back(1);
  return Numbers(kept);
}

std::vector<std::string> Widths(const Task& task) {
  return Numbers({task.target.row->vector_widths.begin(), task.target.row->vector_widths.end()});
}

// Wider vectors than the blocks of channels would be cut to them.
std::vector<std::string> WidthsWithinBlocks(const Task& task) {
  const Tensor& output = task.graph.tensor(task.graph.outputs()[0]);
  const int64_t block = output.layout.IsPlain() || output.type.rank() < 2 ? 0 : output.layout.BlockOf(1);
  std::vector<int64_t> widths;
  for (const int width : task.target.row->vector_widths) {
    if (block <= 1 || width <= block) widths.push_back(width);
  }
  return Numbers(widths);
}

std::vector<Decision> ContractLeaf(const Task& task, const Anchor& anchor) {
  const int64_t lanes = task.target.vector_width();
  const int64_t vectors = (anchor.n + lanes - 1) / lanes;
  std::vector<std::string> hold = {"b", "a"};
  if (task.target.row->folds_broadcast) hold.push_back("none");
  std::vector<std::string> rows = {"affine"};
  if (anchor.row > 1) rows.push_back("table");
  if (anchor.bands()) rows.push_back("bands");
  return {{"mr", UpTo(anchor.m, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 16, 20, 24, 28})},
          {"nv", UpTo(vectors, {1, 2, 3, 4, 5, 6, 8})},
          {"vw", {absl::StrCat(lanes)}},
          {"hold", hold},
          {"ku", {"1", "2", "4"}},
          {"rows", rows}};
}

// Of strips that the result is cut into.
std::vector<std::string> Heights(const Anchor& anchor) {
  std::vector<int64_t> rows;
  for (int64_t divisor = 1; divisor <= anchor.rows; ++divisor) {
    if (anchor.rows % divisor == 0) rows.push_back(divisor);
  }
  return Numbers(rows);
}

// Matmul-like tasks, dense convolutions among them.
std::vector<Decision> ContractDecisions(const Task& task, const Anchor& anchor) {
  std::vector<int64_t> splits = {0};
  for (int64_t passes = 2; anchor.k / passes >= kShortestPass; passes *= 2)
    splits.push_back((anchor.k + passes - 1) / passes);
  std::vector<Decision> decisions;
  if (anchor.winograd() && task.policy == AlgorithmPolicy::kFast) {
    std::vector<std::string> algorithms = {"direct"};
    for (const int64_t m : WinogradSizes(anchor)) algorithms.push_back(absl::StrCat("winograd m=", m));
    decisions.push_back({"algorithm", std::move(algorithms)});
    decisions.push_back({"tiles", Numbers({2, 4, 6, 9, 12, 16, 20, 28, 40, 49})});
    decisions.push_back({"kernels", {kTransformed, "given"}});
  }
  if (anchor.strassen() && task.policy == AlgorithmPolicy::kFast) decisions.push_back({"algorithm", {"direct", "strassen levels=1", "strassen levels=2"}});
  // Padding as a copy of its own (0), or of what a strip of the result reads.
  if (anchor.rows > 0) {
    decisions.push_back({"strip", Heights(anchor)});
    decisions.back().values.insert(decisions.back().values.begin(), "0");
  }
  const std::vector<Decision> leaf = ContractLeaf(task, anchor), nest = {
      {"order", {"m,n", "n,m"}},
      {"block", UpTo(anchor.m, {1, 2, 4, 8, 16, 32, 64})},
      {"split", Numbers(splits)},
      {"parallel", task.threads > 1 ? std::vector<std::string>{"m", "n", "mn"} : std::vector<std::string>{"m"}}};
  decisions.insert(decisions.end(), leaf.begin(), leaf.end());
  decisions.insert(decisions.end(), nest.begin(), nest.end());
  return decisions;
}

std::vector<Decision> WindowDecisions(const Task& task, const Anchor& anchor) {
  return {{"tile", UpTo(std::max<int64_t>(1, anchor.tile_extent), {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 28})},
          {"vw", WidthsWithinBlocks(task)}};
}
std::vector<Decision> RowDecisions(const Task& task, const Anchor&) {
  return {{"unroll", {"1", "2", "4", "8"}}, {"vw", Widths(task)}};
}

// A leaf for each stage, whose decisions are named for its number: "0.mr".
std::vector<Decision> StripDecisions(const Task& task, const Anchor& anchor) {
  std::vector<Decision> decisions = {{"strip", Heights(anchor)}};
  for (size_t i = 0; i < anchor.parts.size(); ++i) {
    const Anchor& part = anchor.parts[i];
    const bool window = part.kind == AnchorKind::kWindow;
    std::vector<Decision> own;
    if (part.kind == AnchorKind::kContract) own = ContractLeaf(task, part);
    else own = window ? WindowDecisions(task, part) : RowDecisions(task, part);
    for (Decision& decision : own) {
      if (decision.name == "rows") decision.values = {"affine"};
      decisions.push_back({absl::StrCat(i, ".", decision.name), std::move(decision.values)});
    }
  }
  return decisions;
}

struct Rule {
  AnchorKind kind;
  const char* leaf;
  std::vector<Decision> (*decisions)(const Task&, const Anchor&);
};
constexpr Rule kRules[] = {{AnchorKind::kContract, "contract", ContractDecisions},
                           {AnchorKind::kWindow, "window", WindowDecisions},
                           {AnchorKind::kRow, "row", RowDecisions},
                           {AnchorKind::kMap, "map", RowDecisions},
                           {AnchorKind::kStrip, "", StripDecisions}};

const char* LeafName(AnchorKind kind) {
  const auto rule = std::find_if(std::begin(kRules), std::end(kRules), [&](const Rule& r) { return r.kind == kind; });
  return rule->leaf;
}

// "0.mr": the stage, the option of its leaf.
std::pair<size_t, std::string> PartOption(const std::string& name) {
  const size_t dot = name.find('.');
  return {std::stoul(name.substr(0, dot)), name.substr(dot + 1)};
}

size_t Pick(std::mt19937_64& random, size_t count) { return static_cast<size_t>(random() % count); }

}  // namespace

std::string AlgorithmOf(const Trace& trace) {
  const Primitive& algorithm = *trace.Find("algorithm");
  std::string text = algorithm.operands[0];
  for (const char* key : {"m", "levels"}) {
    if (const auto value = algorithm.Option(key)) absl::StrAppend(&text, " ", key, "=", std::string(*value));
  }
  return text;
}

SearchSpace::SearchSpace(const Task& task, const Anchor& anchor) {
  for (const Rule& rule : kRules) {
    if (rule.kind != anchor.kind) continue;
    leaf_ = rule.leaf;
    decisions_ = rule.decisions(task, anchor);
  }
  for (const Anchor& part : anchor.parts) leaves_.push_back(LeafName(part.kind));
  if (decisions_.empty() || decisions_.front().name != "algorithm") return;
  if (anchor.strassen()) saving_ *= 64.0 / 49;
  for (int d = 0; d < 2; ++d) {
    const int64_t taps = anchor.taps[d], longest = anchor.LongestPhase(d), m = kMostWinogradPoints + 1 - longest;
    // Products of m outputs: shorter phases save one.
    const int64_t phases = std::min(anchor.stride[d], taps), products = kMostWinogradPoints * phases - (longest * phases - taps);
    if (longest > 1) saving_ *= static_cast<double>(m * taps) / static_cast<double>(products);
  }
}

double SearchSpace::size() const {
  double points = 1;
  for (const Decision& decision : decisions_) points *= static_cast<double>(decision.values.size());
  return points;
}

SearchSpace::Point SearchSpace::Random(std::mt19937_64& random) const {
  if (!drawn_.empty()) return drawn_[Pick(random, drawn_.size())];
  Point point;
  for (const Decision& decision : decisions_) point.push_back(static_cast<int>(Pick(random, decision.values.size())));
  return point;
}

SearchSpace::Point SearchSpace::Mutated(const Point& point, std::mt19937_64& random) const {
  Point mutated = point;
  const size_t changes = 1 + Pick(random, 2);
  for (size_t i = 0; i < changes; ++i) {
    const size_t d = Pick(random, decisions_.size());
    mutated[d] = static_cast<int>(Pick(random, decisions_[d].values.size()));
  }
  return mutated;
}

std::vector<SearchSpace::Point> SearchSpace::Neighbours(const Point& point) const {
  std::vector<Point> neighbours;
  for (size_t d = 0; d < decisions_.size(); ++d) {
    const int count = static_cast<int>(decisions_[d].values.size());
    const bool few = decisions_[d].values.size() <= kFewValues;
    for (int value = 0; value < count; ++value) {
      if (value == point[d] || (!few && std::abs(value - point[d]) > 1)) continue;
      neighbours.push_back(point);
      neighbours.back()[d] = value;
    }
  }
  return neighbours;
}

std::string SearchSpace::Value(const Point& point, std::string_view name) const {
  for (size_t d = 0; d < decisions_.size(); ++d) {
    if (decisions_[d].name == name) return decisions_[d].values[point[d]];
  }
  return "";
}

Trace SearchSpace::StripTraceOf(const Point& point) const {
  std::string text = absl::StrCat("trace ", Trace::kVersion, "; algorithm direct; strip ", Value(point, "strip"));
  size_t stages = 0;
  for (size_t d = 1; d < decisions_.size(); ++d) {
    const auto [stage, option] = PartOption(decisions_[d].name);
    if (stage == stages) absl::StrAppend(&text, "; leaf ", leaves_[stages++]);
    absl::StrAppend(&text, " ", option, "=", decisions_[d].values[point[d]]);
  }
  return *Trace::Parse(text);
}

Trace SearchSpace::TraceOf(const Point& point) const {
  if (!leaves_.empty()) return StripTraceOf(point);
  std::string leaf = absl::StrCat("leaf ", leaf_);
  std::string rest, algorithm = Value(point, "algorithm");
  if (algorithm.empty()) algorithm = "direct";
  const bool winograd = algorithm.starts_with("winograd"), strassen = algorithm.starts_with("strassen");
  if (winograd) {
    absl::StrAppend(&algorithm, " tiles=", Value(point, "tiles"));
    if (const std::string kernels = Value(point, "kernels"); kernels != kTransformed)
      absl::StrAppend(&algorithm, " kernels=", kernels);
  }
  for (size_t d = 0; d < decisions_.size(); ++d) {
    const std::string& name = decisions_[d].name;
    const std::string& value = decisions_[d].values[point[d]];
    if (name == "algorithm" || name == "tiles" || name == "kernels") continue;
    if (name == "strip") {
      if (value != "0" && !winograd) absl::StrAppend(&rest, "; strip ", value);
      continue;
    }
    if (name == "order" || name == "parallel") {
      // Winograd's threads share blocks of tiles, or panels.
      absl::StrAppend(&rest, "; ", name, " ", winograd && value == "mn" ? "m" : value);
    } else if (name == "rows") {
      absl::StrAppend(&leaf, " rows=", winograd ? "affine" : value);
    } else if (name == "block") {
      // Panels outside sweep all rows: a block of rows decides nothing there.
      if (Value(point, "order") == "m,n") absl::StrAppend(&rest, "; block m ", value);
    } else if (name == "split") {
      // Partial sums of Strassen's products have places of their own.
      if (value != "0" && !strassen) absl::StrAppend(&rest, "; split k ", value);
    } else {
      absl::StrAppend(&leaf, " ", name, "=", value);
    }
  }
  if (Value(point, "parallel").empty()) rest += "; parallel outer";
  return *Trace::Parse(absl::StrCat("trace ", Trace::kVersion, "; algorithm ", algorithm, "; ", leaf, rest));
}

SearchSpace::Point SearchSpace::StripPointOf(const Trace& trace) const {
  std::vector<const Primitive*> leaves;
  for (const Primitive& primitive : trace.primitives) {
    if (primitive.verb == "leaf") leaves.push_back(&primitive);
  }
  if (trace.Find("strip") == nullptr || leaves.size() != leaves_.size()) return {};
  Point point;
  for (const Decision& decision : decisions_) {
    std::string value = trace.Find("strip")->operands[0];
    if (decision.name != "strip") {
      const auto [stage, option] = PartOption(decision.name);
      value = std::string(leaves[stage]->Option(option).value_or(""));
    }
    const auto found = std::find(decision.values.begin(), decision.values.end(), value);
    point.push_back(found == decision.values.end() ? 0 : static_cast<int>(found - decision.values.begin()));
  }
  return point;
}

SearchSpace::Point SearchSpace::PointOf(const Trace& trace) const {
  if (!leaves_.empty()) return StripPointOf(trace);
  const Primitive* leaf = trace.Find("leaf");
  if (leaf == nullptr || leaf->operands[0] != leaf_ || trace.Find("algorithm") == nullptr) return {};
  Point point;
  for (const Decision& decision : decisions_) {
    std::string value;
    if (const auto option = leaf->Option(decision.name)) value = *option;
    if (const Primitive* primitive = trace.Find(decision.name)) value = primitive->operands.back();
    if (decision.name == "algorithm") value = AlgorithmOf(trace);
    if (decision.name == "tiles") value = absl::StrCat(trace.Find("algorithm")->IntOption("tiles", 0));
    if (decision.name == "kernels") value = trace.Find("algorithm")->Option("kernels").value_or(kTransformed);
    if (value.empty() && (decision.name == "split" || decision.name == "strip")) value = "0";
    if (value.empty() && decision.name == "block") value = decision.values.front();
    const auto found = std::find(decision.values.begin(), decision.values.end(), value);
    // A value that is not in the list: neighbours start from its first.
    point.push_back(found == decision.values.end() ? 0 : static_cast<int>(found - decision.values.begin()));
  }
  return point;
}

}  // namespace hone
