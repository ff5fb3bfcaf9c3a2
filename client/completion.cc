#include "client/completion.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/command.h"
#include "client/error.h"

namespace hone {
namespace {

// "job list" -> {"job", "list"}; "up" -> {"up", ""}.
std::pair<std::string, std::string> Words(const Command& command) {
  return absl::StrSplit(command.name, absl::MaxSplits(' ', 1));
}

// The verbs of every noun, and the commands of one word without any.
std::map<std::string, std::set<std::string>> Verbs() {
  std::map<std::string, std::set<std::string>> verbs;
  for (const Command& command : Commands()) {
    const auto [noun, verb] = Words(command);
    if (verb.empty()) {
      verbs[noun];
    } else {
      verbs[noun].insert(verb);
    }
  }
  return verbs;
}

std::string OptionWords(const Command& command) {
  std::vector<std::string> words;
  for (std::span<const OptionRow> rows : {command.options, CommonOptions()}) {
    for (const OptionRow& row : rows) words.push_back(row.name);
  }
  return absl::StrJoin(words, " ");
}

// Matches "WORD_NUMBER:FIRST SECOND"; the earlier pattern wins.
std::string BashScript() {
  const auto verbs = Verbs();
  std::string script =
      "_hone() {\n"
      "  local current=\"${COMP_WORDS[COMP_CWORD]}\" words=\n"
      "  case \"$COMP_CWORD:${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n";
  absl::StrAppend(
      &script, "    1:*) words='",
      absl::StrJoin(verbs, " ", [](std::string* out, const auto& row) { absl::StrAppend(out, row.first); }),
      " --help --version' ;;\n");
  for (const auto& [noun, of_noun] : verbs) {
    if (of_noun.empty()) continue;
    absl::StrAppend(&script, "    2:", noun, "\\ *) words='", absl::StrJoin(of_noun, " "), "' ;;\n");
  }
  for (const Command& command : Commands()) {
    const auto [noun, verb] = Words(command);
    absl::StrAppend(&script, "    *:", noun, "\\ ", verb, verb.empty() ? "*" : "", ") words='",
                    OptionWords(command), "' ;;\n");
  }
  absl::StrAppend(&script,
                  "  esac\n"
                  "  COMPREPLY=()\n"
                  "  [[ $words == -* && $current != -* ]] && return\n"
                  "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                  "}\n"
                  "complete -o default -F _hone hone\n");
  return script;
}

std::string ZshScript() {
  return absl::StrCat("autoload -Uz compinit bashcompinit\ncompinit\nbashcompinit\n", BashScript());
}

std::string FishQuoted(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

std::string FishScript() {
  const auto verbs = Verbs();
  std::string script;
  for (const Command& command : Commands()) {
    const auto [noun, verb] = Words(command);
    const std::string chosen = absl::StrCat("__fish_seen_subcommand_from ", noun);
    std::string here = chosen;
    if (verb.empty()) {
      absl::StrAppend(&script, "complete -c hone -n __fish_use_subcommand -a ", noun, " -d ",
                      FishQuoted(command.summary), "\n");
    } else {
      absl::StrAppend(&here, "; and __fish_seen_subcommand_from ", verb);
      absl::StrAppend(&script, "complete -c hone -n __fish_use_subcommand -a ", noun, "\n");
      absl::StrAppend(&script, "complete -c hone -n '", chosen, "; and not __fish_seen_subcommand_from ",
                      absl::StrJoin(verbs.at(noun), " "), "' -a ", verb, " -d ", FishQuoted(command.summary),
                      "\n");
    }
    for (std::span<const OptionRow> rows : {command.options, CommonOptions()}) {
      for (const OptionRow& row : rows) {
        absl::StrAppend(&script, "complete -c hone -n '", here, "' -l ", row.name + 2,
                        row.letter ? absl::StrCat(" -s ", row.letter + 1) : "", row.value ? " -r" : "",
                         " -d ",
                        FishQuoted(row.help), "\n");
      }
    }
  }
  return script;
}

struct Shell {
  const char* name;
  std::string (*script)();
};
constexpr Shell kShells[] = {{"bash", BashScript}, {"zsh", ZshScript}, {"fish", FishScript}};

}  // namespace

absl::StatusOr<std::string> CompletionScript(absl::string_view shell) {
  for (const Shell& row : kShells) {
    if (row.name == shell) return row.script();
  }
  return UsageError(absl::StrCat("no completion for '", shell, "'; there is one for bash, zsh and fish"));
}

}  // namespace hone
