#pragma once

#include <span>
#include <string>
#include <variant>

#include "server/config.h"

namespace hone {

// One setting: `--name value` on the command line, `name = value` in the config file.
struct SettingRow {
  const char* name;
  const char* form;  // of its value, as told to people
  const char* help;
  std::variant<std::string ServerConfig::*, int ServerConfig::*, double ServerConfig::*, bool ServerConfig::*,
               LogLevel ServerConfig::*>
      field;
  double low = 0, high = 0;  // of numbers, both allowed
};

std::span<const SettingRow> SettingTable();
const SettingRow* FindSetting(const std::string& name);
// Sets the field; otherwise returns what is wrong with the text and what to write instead.
std::string SetSetting(const SettingRow& row, const std::string& text, ServerConfig& config);
// The value as SetSetting reads it.
std::string SettingText(const SettingRow& row, const ServerConfig& config);

// What values must be beyond their form, on this host and beside each other. `fault` returns what is wrong
// and what to do, or nothing.
struct SettingCheck {
  const char* setting;
  std::string (*fault)(const ServerConfig& config);
};
std::span<const SettingCheck> SettingChecks();

}  // namespace hone
