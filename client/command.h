#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/arguments.h"
#include "client/config.h"
#include "client/console.h"
#include "client/hone_client.h"

namespace hone {

// What a command gets.
struct CommandContext {
  const Arguments& arguments;
  const ClientConfig& config;
  const Console& console;
  // A connection to the configured server; with none configured, to this user's own, which is started if need
  // be.
  std::function<absl::StatusOr<std::unique_ptr<HoneClient>>()> connect;
};

// One row of the command table. `run` gives the exit code, or the error that decides it.
struct Command {
  const char* name;         // "optimize", "job list"
  const char* summary;      // one line
  const char* positionals;  // as the usage line shows them: "MODEL.onnx"
  int min_positionals;
  int max_positionals;
  std::span<const OptionRow> options;
  const char* details;   // a paragraph for --help; may be empty
  const char* examples;  // lines
  absl::StatusOr<int> (*run)(const CommandContext& context);
};

std::span<const Command> Commands();         // command_table.cc
std::span<const OptionRow> CommonOptions();  // every command has these

// The text of `hone --help` and of `hone COMMAND --help`, for a terminal of that width (0 = 100).
std::string OverviewHelp(int width);
std::string CommandHelp(const Command& command, int width);
// Of `hone NOUN --help`: the commands that begin with this word; empty if none does.
std::string GroupHelp(const std::string& noun, int width);

// Runs one command line (without the program's name) and prints its error, if any. Returns the exit code.
int RunCommandLine(const std::vector<std::string>& words, Console console,
                   const std::function<const char*(const char*)>& getenv);

}  // namespace hone
