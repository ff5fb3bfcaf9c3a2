#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/command.h"
#include "client/error.h"
#include "client/table.h"

namespace hone {
namespace {

constexpr int kWidth = 100;
constexpr int kNarrowestText = 30;  // beside a term; else it goes below

int UsableWidth(int width) { return width > 0 && width < kWidth ? width : kWidth; }

// Two columns: a term, and its explanation wrapped beside it, or below where there is little room.
std::string Definitions(const std::vector<std::pair<std::string, std::string>>& rows, int width) {
  size_t widest = 0;
  for (const auto& [term, text] : rows) widest = std::max(widest, term.size());
  const bool below = width - static_cast<int>(widest) - 4 < kNarrowestText;
  const int indent = below ? 6 : static_cast<int>(widest) + 4;
  std::string result;
  for (const auto& [term, text] : rows) {
    if (below) absl::StrAppend(&result, "  ", term, "\n");
    result += HangingText(below ? "" : "  " + term, text, width, indent);
  }
  return result;
}

std::string OptionTerm(const OptionRow& row) {
  return absl::StrCat(row.letter ? row.letter : "", row.letter ? ", " : "", row.name, row.value ? " " : "",
                      row.value ? row.value : "");
}

std::string OptionList(std::span<const OptionRow> rows, int width) {
  std::vector<std::pair<std::string, std::string>> terms;
  for (const OptionRow& row : rows) {
    terms.emplace_back(OptionTerm(row),
                       absl::StrCat(row.help, row.repeats ? " May be given several times." : ""));
  }
  return Definitions(terms, width);
}

std::string Indented(const char* lines) {
  std::string result;
  for (absl::string_view line : absl::StrSplit(lines, '\n')) absl::StrAppend(&result, "  ", line, "\n");
  return result;
}

}  // namespace

std::string OverviewHelp(int width) {
  width = UsableWidth(width);
  std::vector<std::pair<std::string, std::string>> commands, codes;
  for (const Command& command : Commands()) commands.emplace_back(command.name, command.summary);
  for (const ExitCode& code : ExitCodes()) codes.emplace_back(absl::StrCat(code.code), code.meaning);
  return absl::StrCat(
      WrapText(
          "hone: finds the fastest way to run a machine-learning model on this device and compiles it to "
          "a native module.",
          width, 0),
      "\n\nusage: hone COMMAND [arguments] [options]\n       hone COMMAND --help    details and examples\n"
      "\ncommands:\n",
      Definitions(commands, width),
      "\nstart here:\n  hone optimize model.onnx --budget 5m -o out/\n\nexit codes:\n",
      Definitions(codes, width));
}

std::string CommandHelp(const Command& command, int width) {
  width = UsableWidth(width);
  std::string text = absl::StrCat(
      WrapText(absl::StrCat("hone ", command.name, ": ", command.summary), width, 0), "\n\nusage: hone ",
      command.name, *command.positionals ? " " : "", command.positionals, " [options]\n");
  if (*command.details) absl::StrAppend(&text, "\n", WrapText(command.details, width, 0), "\n");
  if (!command.options.empty()) absl::StrAppend(&text, "\noptions:\n", OptionList(command.options, width));
  absl::StrAppend(&text, "\ncommon options:\n", OptionList(CommonOptions(), width));
  absl::StrAppend(&text, "\nexamples:\n", Indented(command.examples));
  return text;
}

std::string GroupHelp(const std::string& noun, int width) {
  std::vector<std::pair<std::string, std::string>> commands;
  for (const Command& command : Commands()) {
    if (absl::StartsWith(command.name, noun + " ")) commands.emplace_back(command.name, command.summary);
  }
  if (commands.empty()) return "";
  return absl::StrCat("usage: hone ", noun, " COMMAND [arguments] [options]\n       hone ", noun,
                      " COMMAND --help    details and examples\n\ncommands:\n",
                      Definitions(commands, UsableWidth(width)));
}

}  // namespace hone
