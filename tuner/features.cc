#include "tuner/features.h"

#include <cmath>

#include "proto/values/sha256.h"

namespace hone {
namespace {

double Log(double value) { return std::log2(1 + std::max(0.0, value)); }
double LeafOption(const FeatureInput& x, std::string_view key) {
  const Primitive* leaf = x.trace.Find("leaf");
  return leaf == nullptr ? 0 : static_cast<double>(leaf->IntOption(key, 0));
}
double AlgorithmOption(const FeatureInput& x, std::string_view key) {
  const Primitive* algorithm = x.trace.Find("algorithm");
  return algorithm == nullptr ? 0 : static_cast<double>(algorithm->IntOption(key, 0));
}
double Is(const FeatureInput& x, std::string_view key, std::string_view value) {
  const Primitive* leaf = x.trace.Find("leaf");
  return leaf != nullptr && leaf->Option(key).value_or("") == value ? 1 : 0;
}
double StripRows(const FeatureInput& x) {
  const Primitive* strip = x.trace.Find("strip");
  return strip == nullptr ? 0 : static_cast<double>(Primitive{"", {}, {{"n", strip->operands[0]}}}.IntOption("n", 0));
}
double Operand(const FeatureInput& x, std::string_view verb, std::string_view value) {
  const Primitive* primitive = x.trace.Find(verb);
  return primitive != nullptr && primitive->operands.back() == value ? 1 : 0;
}

// clang-format off
constexpr FeatureRow kRows[] = {
    {"kind", [](const FeatureInput& x) { return static_cast<double>(x.anchor.kind); }},
    {"log_m", [](const FeatureInput& x) { return Log(static_cast<double>(x.anchor.m)); }},
    {"log_n", [](const FeatureInput& x) { return Log(static_cast<double>(x.anchor.n)); }},
    {"log_k", [](const FeatureInput& x) { return Log(static_cast<double>(x.anchor.k)); }},
    {"log_outer", [](const FeatureInput& x) { return Log(static_cast<double>(x.anchor.outer)); }},
    {"log_window", [](const FeatureInput& x) { return Log(static_cast<double>(x.anchor.window)); }},
    {"log_flops", [](const FeatureInput& x) { return Log(x.statistics.flops); }},
    {"waste", [](const FeatureInput& x) { return x.statistics.executed_flops / std::max(1.0, x.statistics.flops); }},
    {"log_input_bytes", [](const FeatureInput& x) { return Log(x.statistics.input_bytes); }},
    {"log_constant_bytes", [](const FeatureInput& x) { return Log(x.statistics.constant_bytes); }},
    {"log_output_bytes", [](const FeatureInput& x) { return Log(x.statistics.output_bytes); }},
    {"log_scratch_bytes", [](const FeatureInput& x) { return Log(x.statistics.scratch_bytes); }},
    {"log_copy_bytes", [](const FeatureInput& x) { return Log(x.statistics.copy_bytes); }},
    {"accumulators", [](const FeatureInput& x) { return static_cast<double>(x.statistics.accumulators); }},
    {"registers", [](const FeatureInput& x) { return static_cast<double>(x.statistics.registers); }},
    {"loads_per_fma", [](const FeatureInput& x) { return static_cast<double>(x.statistics.loads_per_step) / std::max(1, x.statistics.fmas_per_step); }},
    {"log_leaf_calls", [](const FeatureInput& x) { return Log(x.statistics.leaf_calls); }},
    {"log_steps_per_call", [](const FeatureInput& x) { return Log(x.statistics.steps_per_call); }},
    {"a_panel_in_l1", [](const FeatureInput& x) { return Log(x.statistics.a_panel_bytes / x.roofline.l1_bytes); }},
    {"a_panel_in_l2", [](const FeatureInput& x) { return Log(x.statistics.a_panel_bytes / x.roofline.l2_bytes); }},
    {"b_panel_in_l1", [](const FeatureInput& x) { return Log(x.statistics.b_panel_bytes / x.roofline.l1_bytes); }},
    {"b_panel_in_l2", [](const FeatureInput& x) { return Log(x.statistics.b_panel_bytes / x.roofline.l2_bytes); }},
    {"log_a_reads", [](const FeatureInput& x) { return Log(x.statistics.a_reads); }},
    {"log_b_reads", [](const FeatureInput& x) { return Log(x.statistics.b_reads); }},
    {"vector_fraction", [](const FeatureInput& x) { return x.statistics.vector_fraction; }},
    {"log_pieces", [](const FeatureInput& x) { return Log(x.statistics.parallel_pieces); }},
    {"threads", [](const FeatureInput& x) { return static_cast<double>(x.threads); }},
    {"mr", [](const FeatureInput& x) { return LeafOption(x, "mr"); }},
    {"nv", [](const FeatureInput& x) { return LeafOption(x, "nv"); }},
    {"vw", [](const FeatureInput& x) { return LeafOption(x, "vw"); }},
    {"ku", [](const FeatureInput& x) { return LeafOption(x, "ku"); }},
    {"tile", [](const FeatureInput& x) { return LeafOption(x, "tile") + LeafOption(x, "unroll"); }},
    {"hold_a", [](const FeatureInput& x) { return Is(x, "hold", "a"); }},
    {"hold_none", [](const FeatureInput& x) { return Is(x, "hold", "none"); }},
    {"rows_table", [](const FeatureInput& x) { return Is(x, "rows", "table"); }},
    {"panels_outer", [](const FeatureInput& x) { return Operand(x, "order", "n,m"); }},
    {"strassen_levels", [](const FeatureInput& x) { return AlgorithmOption(x, "levels"); }},
    {"winograd_m", [](const FeatureInput& x) { return AlgorithmOption(x, "m"); }},
    {"winograd_tiles", [](const FeatureInput& x) { return Log(AlgorithmOption(x, "tiles")); }},
    {"log_transform_flops", [](const FeatureInput& x) { return Log(x.statistics.transform_flops); }},
    {"log_transform_bytes", [](const FeatureInput& x) { return Log(x.statistics.transform_bytes); }},
    {"log_strip_rows", [](const FeatureInput& x) { return Log(StripRows(x)); }},
    {"log_strip_bytes", [](const FeatureInput& x) { return Log(x.statistics.strip_bytes); }},
    {"strip_in_l2", [](const FeatureInput& x) { return Log(x.statistics.strip_footprint / x.roofline.l2_bytes); }},
    {"parallel_n", [](const FeatureInput& x) { return Operand(x, "parallel", "n") + Operand(x, "parallel", "mn"); }},
};
// clang-format on

}  // namespace

std::span<const FeatureRow> FeatureTable() { return kRows; }

std::vector<float> FeaturesOf(const FeatureInput& input) {
  std::vector<float> values;
  for (const FeatureRow& row : kRows) values.push_back(static_cast<float>(row.value(input)));
  return values;
}

std::string FeatureVersion() {
  std::string names;
  for (const FeatureRow& row : kRows) names.append(row.name).append("\n");
  return Sha256Hex(names).substr(0, 16);
}

}  // namespace hone
