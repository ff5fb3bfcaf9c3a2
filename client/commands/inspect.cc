#include "client/commands/commands.h"
#include "client/error.h"
#include "client/model_request.h"
#include "client/preflight.h"
#include "client/report.h"

namespace hone {
namespace {

absl::StatusOr<v1::InspectModelResponse> Ask(const CommandContext& context, const std::string& dump_after) {
  auto request = ReadModelRequest(context);
  if (!request.ok()) return request.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto model = Upload(context, **client, *request);
  if (!model.ok()) return model.status();
  v1::InspectModelRequest inspect = InspectRequest(*model, *request);
  inspect.set_dump_after(dump_after);
  auto answer = (*client)->InspectModel(inspect);
  if (!answer.ok()) return WithContext(answer.status(), request->manifest.display_name);
  return answer;
}

}  // namespace

absl::StatusOr<int> RunInspect(const CommandContext& context) {
  auto answer = Ask(context, "");
  if (!answer.ok()) return answer.status();
  auto report = ParseJson(answer->report_json(), "the inspect report");
  if (!report.ok()) return report.status();
  if (context.console.json) {
    context.console.PrintJson(*report);
  } else {
    context.console.out << InspectText(*report, context.console.width);
  }
  context.console.out.flush();
  absl::Status status = CheckPreflight(*report);
  if (!status.ok()) return status;
  return kExitOk;
}

absl::StatusOr<int> RunDump(const CommandContext& context) {
  auto answer = Ask(context, context.arguments.GetOr("--after", "cut"));
  if (!answer.ok()) return answer.status();
  if (context.console.json) {
    context.console.PrintJson({{"dump", answer->dump_text()}});
  } else {
    context.console.out << answer->dump_text();
  }
  return kExitOk;
}

}  // namespace hone
