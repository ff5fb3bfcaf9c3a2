#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands/commands.h"
#include "client/commands/listing.h"
#include "client/error.h"
#include "client/resource_name.h"
#include "client/table.h"
#include "client/units.h"

namespace hone {

absl::StatusOr<int> RunWorkerList(const CommandContext& context) {
  auto page = ReadPage(context);
  if (!page.ok()) return page.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto workers = (*client)->ListWorkers(page->size, page->token);
  if (!workers.ok()) return workers.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*workers));
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const v1::Worker& worker : workers->workers()) {
    const v1::Device& device = worker.device();
    rows.push_back({ShortName(worker.name()), worker.display_name(), worker.state(), device.target(),
                    absl::StrCat(device.cores()), absl::StrCat(worker.trials_done()),
                    FormatTime(worker.last_seen_micros()), device.cpu_name()});
  }
  context.console.out << FormatTable({{"worker"},
                                      {"name"},
                                      {"state"},
                                      {"target"},
                                      {"cores", Align::kRight},
                                      {"trials", Align::kRight},
                                      {"last seen (UTC)"},
                                      {"cpu", Align::kLeft, true}},
                                     rows, context.console.width);
  PrintNextPage(context, workers->next_page_token());
  return kExitOk;
}

absl::StatusOr<int> RunWorkerShow(const CommandContext& context) {
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto worker = ResolveWorker(**client, context.arguments.positional(0));
  if (!worker.ok()) return worker.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*worker));
    return kExitOk;
  }
  const v1::Device& device = worker->device();
  const v1::Calibration& calibration = device.calibration();
  std::vector<std::vector<std::string>> rows = {
      {"worker", ShortName(worker->name())},
      {"name", worker->display_name()},
      {"state", worker->state()},
      {"last seen", FormatTime(worker->last_seen_micros())},
      {"trials", absl::StrCat(worker->trials_done())},
      {"cpu", device.cpu_name()},
      {"device class", device.device_class()},
      {"target", device.target()},
      {"cores", absl::StrCat(device.cores())},
      {"read GB/s",
       absl::StrFormat("L1 %.0f, L2 %.0f, L3 %.0f, memory %.0f", calibration.l1_read_gbps(),
                       calibration.l2_read_gbps(), calibration.l3_read_gbps(), calibration.dram_read_gbps())},
      {"fork-join", FormatLatency(calibration.fork_join_us() * 1e-6)}};
  for (const auto& [target, gflops] : calibration.fma_gflops()) {
    rows.push_back({"fma " + target, absl::StrFormat("%.1f GFLOP/s per core", gflops)});
  }
  for (const auto& [key, value] : device.fingerprint()) rows.push_back({key, value});
  context.console.out << FormatTable({{"field"}, {"value", Align::kLeft, true}}, rows, context.console.width);
  return kExitOk;
}

}  // namespace hone
