#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace hone {

// One scheduling decision: `verb operand... key=value...`, e.g. "tile ow 7" or "leaf contract mr=7 nv=4". The verbs and
// their operands are rows of PrimitiveTable().
struct Primitive {
  std::string verb;
  std::vector<std::string> operands;
  std::vector<std::pair<std::string, std::string>> options;

  std::optional<std::string_view> Option(std::string_view key) const;
  int64_t IntOption(std::string_view key, int64_t fallback) const;
  bool operator==(const Primitive&) const = default;
};

// A schedule as data. Text: "trace 1; algorithm direct; order n,m; leaf contract mr=7 nv=4 vw=16; parallel m".
// Parse(ToString()) gives the same trace.
struct Trace {
  static constexpr int kVersion = 1;
  std::vector<Primitive> primitives;

  const Primitive* Find(std::string_view verb) const;   // first, or null
  std::string ToString() const;
  static absl::StatusOr<Trace> Parse(std::string_view text);   // InvalidArgument names the primitive and its fault
  bool operator==(const Trace&) const = default;
};

struct PrimitiveRow {
  std::string_view verb;
  int min_operands, max_operands;
  std::string_view options;     // allowed keys, space separated
  std::string_view summary;     // what it decides, with units
};
const std::vector<PrimitiveRow>& PrimitiveTable();

}  // namespace hone
