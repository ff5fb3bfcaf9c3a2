#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/commands/listing.h"
#include "client/error.h"
#include "client/resource_name.h"
#include "client/table.h"
#include "client/units.h"

namespace hone {
namespace {

constexpr size_t kShownLetters = 12;  // of a model's id, which is a whole digest

}  // namespace

absl::StatusOr<int> RunModelList(const CommandContext& context) {
  auto rows_wanted = ReadRows(context);
  if (!rows_wanted.ok()) return rows_wanted.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto models =
      FetchRows(*rows_wanted, &v1::ListModelsResponse::models_size,
                [&](int size, const std::string& token) { return (*client)->ListModels(size, token); });
  if (!models.ok()) return models.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*models));
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const v1::Model& model : models->models()) {
    uint64_t bytes = 0;
    for (const v1::NamedBlob& file : model.files()) bytes += file.blob().size();
    rows.push_back({ShortName(model.name()).substr(0, kShownLetters), model.display_name(),
                    absl::StrCat(model.files_size()), FormatBytes(bytes),
                    FormatTime(model.create_time_micros())});
  }
  context.console.out << FormatTable({{"model"},
                                      {"name", Align::kLeft, Narrow::kShrink},
                                      {"files", Align::kRight, Narrow::kDrop},
                                      {"size", Align::kRight},
                                      {"created (UTC)", Align::kLeft, Narrow::kDrop}},
                                     rows, context.console.width);
  PrintNextPage(context, models->next_page_token());
  return kExitOk;
}

absl::StatusOr<int> RunModelDelete(const CommandContext& context) {
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto model = ResolveModel(**client, context.arguments.positional(0));
  if (!model.ok()) return model.status();
  absl::Status status = (*client)->DeleteModel(model->name());
  if (!status.ok())
    return WithRemedy(status, "hone job list shows what uses it; hone job cancel J stops a job");
  if (context.console.json) {
    context.console.PrintJson({{"deleted", model->name()}});
  } else {
    context.console.out << "model " << model->display_name() << " is deleted; its jobs and modules stay\n";
  }
  return kExitOk;
}

}  // namespace hone
