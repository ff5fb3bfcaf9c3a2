#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hone {

// One option of a command, as a row.
struct OptionRow {
  const char* name;              // "--shape"
  const char* letter = nullptr;  // "-o", or none
  const char* value = nullptr;   // placeholder in the help; nullptr = a flag without value
  const char* help = "";
  bool repeats = false;
};

// The words after the command's name, checked against its rows.
class Arguments {
 public:
  // Accepts "--name value", "--name=value", "-o value", "-ovalue" and "--" (only positionals follow). Usage
  // errors name the word and the nearest option.
  static absl::StatusOr<Arguments> Parse(std::span<const std::string> words,
                                         std::span<const std::span<const OptionRow>> rows);

  bool Has(absl::string_view name) const { return values_.contains(name); }
  std::optional<std::string> Get(absl::string_view name) const;  // the last one given
  std::string GetOr(absl::string_view name, absl::string_view otherwise) const;
  const std::vector<std::string>& All(absl::string_view name) const;
  const std::vector<std::string>& positionals() const { return positionals_; }
  const std::string& positional(size_t index) const { return positionals_[index]; }

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;  // by option name, e.g. "--shape"
  std::vector<std::string> positionals_;
};

// The candidate closest to `word` by edit distance, if it is close at all.
std::optional<std::string> Nearest(absl::string_view word, const std::vector<std::string>& candidates);

}  // namespace hone
