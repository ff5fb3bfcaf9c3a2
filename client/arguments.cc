#include "client/arguments.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/error.h"

namespace hone {
namespace {

const OptionRow* Find(std::span<const std::span<const OptionRow>> groups, absl::string_view name) {
  for (std::span<const OptionRow> rows : groups) {
    for (const OptionRow& row : rows) {
      if (name == row.name || (row.letter != nullptr && name == row.letter)) return &row;
    }
  }
  return nullptr;
}

absl::Status UnknownOption(std::span<const std::span<const OptionRow>> groups, absl::string_view name) {
  std::vector<std::string> names;
  for (std::span<const OptionRow> rows : groups) {
    for (const OptionRow& row : rows) names.push_back(row.name);
  }
  auto nearest = Nearest(name, names);
  return WithRemedy(UsageError(absl::StrCat("unknown option ", name)),
                    nearest ? absl::StrCat("did you mean ", *nearest, "?") : "--help lists the options");
}

int EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<int> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// Splits "--name=value" and "-ovalue" into name and value; a plain "--name" or "-o" has none.
std::pair<std::string, std::optional<std::string>> SplitOption(const std::string& word) {
  if (absl::StartsWith(word, "--")) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) return {word, std::nullopt};
    return {word.substr(0, equals), word.substr(equals + 1)};
  }
  if (word.size() > 2) return {word.substr(0, 2), word.substr(2)};
  return {word, std::nullopt};
}

}  // namespace

absl::StatusOr<Arguments> Arguments::Parse(std::span<const std::string> words,
                                           std::span<const std::span<const OptionRow>> rows) {
  Arguments result;
  bool only_positionals = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (only_positionals || word == "-" || !absl::StartsWith(word, "-")) {
      result.positionals_.push_back(word);
      continue;
    }
    if (word == "--") {
      only_positionals = true;
      continue;
    }
    auto [name, value] = SplitOption(word);
    const OptionRow* row = Find(rows, name);
    if (row == nullptr) return UnknownOption(rows, name);
    if (row->value == nullptr) {
      if (value) return UsageError(absl::StrCat(row->name, " takes no value"));
      value = "";
    } else if (!value) {
      if (i + 1 == words.size())
        return UsageError(absl::StrCat(row->name, " needs a value: ", row->name, " ", row->value));
      value = words[++i];
    }
    std::vector<std::string>& values = result.values_[row->name];
    if (!values.empty() && !row->repeats) return UsageError(absl::StrCat(row->name, " is given twice"));
    values.push_back(*value);
  }
  return result;
}

std::optional<std::string> Arguments::Get(absl::string_view name) const {
  auto it = values_.find(name);
  if (it == values_.end()) return std::nullopt;
  return it->second.back();
}

std::string Arguments::GetOr(absl::string_view name, absl::string_view otherwise) const {
  return Get(name).value_or(std::string(otherwise));
}

const std::vector<std::string>& Arguments::All(absl::string_view name) const {
  static const std::vector<std::string>& none = *new std::vector<std::string>();
  auto it = values_.find(name);
  return it == values_.end() ? none : it->second;
}

std::optional<std::string> Nearest(absl::string_view word, const std::vector<std::string>& candidates) {
  std::optional<std::string> best;
  const size_t dashes = std::min(word.size(), word.find_first_not_of('-'));
  int least = std::max(1, static_cast<int>(word.size() - dashes) / 3);
  for (const std::string& candidate : candidates) {
    const int distance = EditDistance(word, candidate);
    if (distance <= least) {
      least = distance - 1;
      best = candidate;
    }
  }
  return best;
}

}  // namespace hone
