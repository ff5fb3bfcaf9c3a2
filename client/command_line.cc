#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/command.h"
#include "client/error.h"
#include "client/local_service.h"

namespace hone {
namespace {

struct Match {
  const Command* command = nullptr;
  size_t words = 0;  // of the command's name
};

// The row whose name are the first one or two words.
Match FindCommand(const std::vector<std::string>& words) {
  Match best;
  for (const Command& command : Commands()) {
    const absl::string_view name = command.name;
    const size_t count = std::count(name.begin(), name.end(), ' ') + 1;
    if (words.size() < count || count <= best.words) continue;
    const std::string given = count == 1 ? words[0] : absl::StrCat(words[0], " ", words[1]);
    if (given == name) best = {&command, count};
  }
  return best;
}

absl::Status UnknownCommand(const std::vector<std::string>& words) {
  std::vector<std::string> verbs, names;
  for (const Command& command : Commands()) {
    names.push_back(command.name);
    names.push_back(names.back().substr(0, names.back().find(' ')));  // its noun
    if (absl::StartsWith(command.name, words[0] + " "))
      verbs.push_back(std::string(command.name).substr(words[0].size() + 1));
  }
  if (verbs.empty()) {
    auto nearest = Nearest(words[0], names);
    return WithRemedy(
        UsageError(absl::StrCat("there is no command '", words[0], "'")),
        nearest ? absl::StrCat("did you mean hone ", *nearest, "?") : "hone --help lists the commands");
  }
  const std::string list = absl::StrCat("hone ", words[0], " ", absl::StrJoin(verbs, "|"));
  if (words.size() < 2 || absl::StartsWith(words[1], "-"))
    return WithRemedy(UsageError(absl::StrCat("hone ", words[0], " needs to know what to do")), list);
  auto nearest = Nearest(words[1], verbs);
  return WithRemedy(UsageError(absl::StrCat("there is no command '", words[0], " ", words[1], "'")),
                    nearest ? absl::StrCat("did you mean hone ", words[0], " ", *nearest, "?") : list);
}

absl::Status CheckPositionals(const Command& command, const Arguments& arguments) {
  const int given = static_cast<int>(arguments.positionals().size());
  if (given >= command.min_positionals && given <= command.max_positionals) return absl::OkStatus();
  const std::string usage = absl::StrCat("usage: hone ", command.name, " ", command.positionals);
  if (given < command.min_positionals) {
    return WithRemedy(UsageError(absl::StrCat("hone ", command.name, " needs ", command.positionals)), usage);
  }
  return WithRemedy(
      UsageError(absl::StrCat("what is '", arguments.positional(command.max_positionals), "' for?")), usage);
}

absl::StatusOr<std::unique_ptr<HoneClient>> ConnectTo(const ClientConfig& config, const Console& console) {
  if (!config.server.empty()) {
    auto endpoint = RemoteEndpoint(config);
    if (!endpoint.ok()) return endpoint.status();
    return HoneClient::Connect(*endpoint);
  }
  auto state = LocalService(config, console).Up();
  if (!state.ok()) return state.status();
  return HoneClient::Connect(state->endpoint);
}

bool WantsHelp(std::span<const std::string> words) {
  return std::any_of(words.begin(), words.end(),
                     [](const std::string& word) { return word == "--help" || word == "-h"; });
}

absl::StatusOr<int> Dispatch(const std::vector<std::string>& words, Console& console,
                             const std::function<const char*(const char*)>& getenv) {
  console.json = std::find(words.begin(), words.end(), "--json") != words.end();
  const Match match = FindCommand(words);
  const bool nothing = match.command == nullptr &&
                       (words.empty() || words[0] == "help" || absl::StartsWith(words[0], "-"));
  if (nothing) {
    if (!words.empty() && words[0] == "--version") return Dispatch({"version"}, console, getenv);
    std::vector<std::string> rest(words.begin() + (words.empty() ? 0 : 1), words.end());
    if (!rest.empty() && words[0] == "help") {
      rest.push_back("--help");
      return Dispatch(rest, console, getenv);
    }
    if (!words.empty() && words[0] != "help" && !WantsHelp(words))
      return WithRemedy(UsageError(absl::StrCat("there is no option ", words[0])), "hone --help");
    (words.empty() ? console.err : console.out) << OverviewHelp(console.width);
    return words.empty() ? kExitUsage : kExitOk;
  }
  if (match.command == nullptr && WantsHelp(words)) {
    const std::string help = GroupHelp(words[0], console.width);
    console.out << help;
    if (!help.empty()) return kExitOk;
  }
  if (match.command == nullptr) return UnknownCommand(words);
  const std::span<const std::string> rest(words.begin() + match.words, words.end());
  if (WantsHelp(rest)) {
    console.out << CommandHelp(*match.command, console.width);
    return kExitOk;
  }
  const std::span<const OptionRow> rows[] = {match.command->options, CommonOptions()};
  auto arguments = Arguments::Parse(rest, rows);
  if (!arguments.ok()) return arguments.status();
  absl::Status status = CheckPositionals(*match.command, *arguments);
  if (!status.ok()) return status;
  auto config = ReadConfig(*arguments, getenv);
  if (!config.ok()) return config.status();
  CommandContext context{*arguments, *config, console, [&] { return ConnectTo(*config, console); }};
  return match.command->run(context);
}

}  // namespace

int RunCommandLine(const std::vector<std::string>& words, Console console,
                   const std::function<const char*(const char*)>& getenv) {
  auto code = Dispatch(words, console, getenv);
  console.out.flush();
  if (code.ok()) return *code;
  PrintError(console, code.status());
  return ExitCodeFor(code.status());
}

}  // namespace hone
