#include "client/console.h"

#include "client/call_context.h"
#include "client/error.h"

namespace hone {

void Console::PrintJson(const Json& json_value) const {
  out << json_value.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
}

void Console::Note(const std::string& text) const {
  if (!json) err << "hone: " << text << std::endl;
}

void PrintError(const Console& console, const absl::Status& status) {
  const std::string remedy = RemedyOf(status), request = RequestIdOf(status);
  if (console.json) {
    Json error = {{"error",
                   {{"code", absl::StatusCodeToString(status.code())},
                    {"message", std::string(status.message())},
                    {"remedy", remedy},
                    {"exit_code", ExitCodeFor(status)}}}};
    if (!request.empty()) error["error"]["request"] = request;
    console.err << error.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
    return;
  }
  console.err << "hone: error: " << status.message() << "\n";
  if (!remedy.empty()) console.err << "  remedy: " << remedy << "\n";
  const bool callers_own = ExitCodeFor(status) != kExitFailure && ExitCodeFor(status) != kExitUnreachable;
  if (!request.empty() && !callers_own) console.err << "  request: " << request << " in the server's log\n";
  console.err.flush();
}

}  // namespace hone
