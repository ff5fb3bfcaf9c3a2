#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/commands/listing.h"
#include "client/error.h"
#include "client/module_folder.h"
#include "client/resource_name.h"
#include "client/table.h"
#include "client/units.h"

namespace hone {

absl::StatusOr<int> RunModuleList(const CommandContext& context) {
  auto rows_wanted = ReadRows(context);
  if (!rows_wanted.ok()) return rows_wanted.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  std::string job_name;
  if (auto text = context.arguments.Get("--job")) {
    auto job = ResolveJob(**client, *text);
    if (!job.ok()) return job.status();
    job_name = job->name();
  }
  auto modules = FetchRows(
      *rows_wanted, &v1::ListModulesResponse::modules_size,
      [&](int size, const std::string& token) { return (*client)->ListModules(job_name, size, token); });
  if (!modules.ok()) return modules.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*modules));
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const v1::Module& module : modules->modules()) {
    uint64_t bytes = 0;
    for (const v1::NamedBlob& file : module.files()) bytes += file.blob().size();
    rows.push_back({ShortName(module.name()), ShortName(module.job()), module.target(),
                    absl::StrCat(module.files_size()), FormatBytes(bytes),
                    FormatTime(module.create_time_micros())});
  }
  context.console.out << FormatTable({{"module"},
                                      {"job", Align::kLeft, Narrow::kDrop},
                                      {"target"},
                                      {"files", Align::kRight, Narrow::kDrop},
                                      {"size", Align::kRight},
                                      {"created (UTC)", Align::kLeft, Narrow::kDrop}},
                                     rows, context.console.width);
  PrintNextPage(context, modules->next_page_token());
  return kExitOk;
}

absl::StatusOr<int> RunModuleDownload(const CommandContext& context) {
  const std::string out = context.arguments.GetOr("--out", "out");
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto module = ResolveModule(**client, context.arguments.positional(0));
  if (!module.ok()) return module.status();
  absl::Status status = SaveModule(context, **client, *module, out);
  if (!status.ok()) return status;
  if (context.console.json) {
    context.console.PrintJson({{"module", MessageJson(*module)}, {"out", out}});
  } else {
    context.console.out << module->files_size() << " files in " << out << "\n";
  }
  return kExitOk;
}

}  // namespace hone
