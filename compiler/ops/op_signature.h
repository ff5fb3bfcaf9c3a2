#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/ops/op.h"

namespace hone {

using Types = std::span<const TensorType>;
using InferResult = absl::StatusOr<std::vector<TensorType>>;

// What holds for an operator's operands whatever its attributes say; checked before its own inference.
struct OpSignature {
  enum class Elements : uint8_t { kAny, kNumeric /* not bool */, kFloat, kBool };
  int min_inputs = 1, max_inputs = 1;
  std::span<const AttrSpec> attributes = {};
  Elements elements = Elements::kAny;  // of the first input
  bool same_type = true;               // the others have its type
  int min_rank = 0, max_rank = 16;     // of every input
};
absl::Status CheckOperands(const OpSignature& signature, const AttrMap& attrs, Types inputs);
absl::Status CheckResult(Types outputs);

// A row's inference: the signature's checks around the operator's own.
template <const OpSignature& signature, auto infer>
InferResult InferChecked(const AttrMap& attrs, Types inputs) {
  if (absl::Status status = CheckOperands(signature, attrs, inputs); !status.ok()) return status;
  InferResult outputs = infer(attrs, inputs);
  if (!outputs.ok()) return outputs;
  if (absl::Status status = CheckResult(*outputs); !status.ok()) return status;
  return outputs;
}

template <const OpSignature& signature, auto infer>
OpRow MakeRow(std::string_view name, OpClass op_class, std::string_view summary, decltype(OpRow::lower) lower,
              decltype(OpRow::cases) cases, decltype(OpRow::flops) flops) {
  return {name,
          op_class,
          signature.min_inputs,
          signature.max_inputs,
          summary,
          InferChecked<signature, infer>,
          lower,
          cases,
          flops,
          signature.attributes};
}

}  // namespace hone
