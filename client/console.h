#pragma once

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "client/json.h"

namespace hone {

// Where a command writes: results to `out`, errors, notes and progress to `err`.
struct Console {
  std::ostream& out;
  std::ostream& err;
  bool redraw =
      false;      // `err` is a terminal that shows a live display; else one line per event, no control codes
  int width = 0;  // columns of the terminal that `out` is; 0 = unlimited (piped)
  int err_width = 80;  // columns and lines of the terminal that `err` is, if `redraw`
  int err_height = 24;
  bool interactive = false;  // stdin and `err` are a terminal: questions may be asked (prompt.h)
  bool json = false;  // --json: `out` gets JSON only

  void PrintJson(const Json& json_value) const;
  void Note(const std::string& text) const;  // "hone: text" to err; nothing in JSON mode
};

// "hone: error: CAUSE\n  remedy: ...\n", or one JSON object in JSON mode.
void PrintError(const Console& console, const absl::Status& status);

}  // namespace hone
