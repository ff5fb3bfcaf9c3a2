#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/commands/commands.h"
#include "client/commands/listing.h"
#include "client/error.h"
#include "client/resource_name.h"
#include "client/table.h"
#include "client/units.h"

namespace hone {
namespace {

constexpr double kMicros = 1e-6;

// What keeps it from work comes before what it does.
std::string StateText(const v1::Worker& worker) {
  return worker.hold().empty() ? worker.state() : worker.hold();
}

// Of the time since it joined, how much it held a lease.
std::string Utilisation(const v1::Worker& worker) {
  const double seconds =
      absl::ToUnixMicros(absl::Now()) * kMicros - static_cast<double>(worker.create_time_micros()) * kMicros;
  return worker.create_time_micros() > 0 && seconds > 0
             ? absl::StrFormat("%.0f %%", 100 * worker.busy_seconds() / seconds)
             : "-";
}

absl::StatusOr<int> Control(const CommandContext& context, v1::WorkerAction action, const char* done) {
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto worker = ResolveWorker(**client, context.arguments.positional(0));
  if (!worker.ok()) return worker.status();
  auto controlled = (*client)->ControlWorker(worker->name(), action);
  if (!controlled.ok()) return controlled.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*controlled));
  } else if (controlled->hold() == "quarantined") {
    context.console.out << "worker " << ShortName(worker->name())
                        << " stays quarantined: " << controlled->hold_reason() << "\n";
  } else {
    context.console.out << "worker " << ShortName(worker->name()) << " " << done << "\n";
  }
  return kExitOk;
}

}  // namespace

absl::StatusOr<int> RunWorkerDrain(const CommandContext& context) {
  return Control(context, v1::WORKER_ACTION_DRAIN, "gets no more work; 'hone worker release' ends that");
}
absl::StatusOr<int> RunWorkerRelease(const CommandContext& context) {
  return Control(context, v1::WORKER_ACTION_RELEASE, "gets work again");
}
absl::StatusOr<int> RunWorkerRemove(const CommandContext& context) {
  return Control(context, v1::WORKER_ACTION_REMOVE,
                 "is removed; started with an enrol token, its device joins as another one");
}

absl::StatusOr<int> RunWorkerList(const CommandContext& context) {
  auto rows_wanted = ReadRows(context);
  if (!rows_wanted.ok()) return rows_wanted.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto workers =
      FetchRows(*rows_wanted, &v1::ListWorkersResponse::workers_size,
                [&](int size, const std::string& token) { return (*client)->ListWorkers(size, token); });
  if (!workers.ok()) return workers.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*workers));
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const v1::Worker& worker : workers->workers()) {
    const v1::Device& device = worker.device();
    rows.push_back({ShortName(worker.name()), worker.display_name(), StateText(worker), device.target(),
                    absl::StrCat(device.cores()), absl::StrCat(worker.trials_done()),
                    absl::StrCat(worker.leases_lost()), Utilisation(worker),
                    FormatTime(worker.last_seen_micros()), device.cpu_name()});
  }
  context.console.out << FormatTable({{"worker"},
                                      {"name"},
                                      {"state"},
                                      {"target"},
                                      {"cores", Align::kRight, Narrow::kDrop},
                                      {"trials", Align::kRight},
                                      {"lost", Align::kRight, Narrow::kDrop},
                                      {"busy", Align::kRight, Narrow::kDrop},
                                      {"last seen (UTC)", Align::kLeft, Narrow::kDrop},
                                      {"cpu", Align::kLeft, Narrow::kDrop}},
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
  std::vector<std::pair<std::string, std::string>> fields = {
      {"worker", ShortName(worker->name())},
      {"name", worker->display_name()},
      {"state", StateText(*worker)},
      {"last seen", FormatTime(worker->last_seen_micros())},
      {"trials", absl::StrCat(worker->trials_done())},
      {"leases", absl::StrFormat("%d done, %d lost", worker->leases_done(), worker->leases_lost())},
      {"busy", Utilisation(*worker)},
      {"cpu", device.cpu_name()},
      {"device class", device.device_class()},
      {"target", device.target()},
      {"cores", absl::StrCat(device.cores())},
      {"read GB/s", absl::StrFormat("L1 %.0f, L2 %.0f, L3 %.0f (%d of %d MiB), memory %.0f",
                                    calibration.l1_read_gbps(), calibration.l2_read_gbps(),
                                    calibration.l3_read_gbps(), calibration.l3_held_bytes() >> 20,
                                    device.l3_bytes() >> 20, calibration.dram_read_gbps())},
      {"fork-join", FormatLatency(calibration.fork_join_us() * 1e-6)}};
  if (worker->lies() > 0) fields.push_back({"lies", absl::StrCat(worker->lies())});
  if (!worker->hold_reason().empty()) fields.push_back({"held because", worker->hold_reason()});
  if (worker->hold() == "quarantined")
    fields.push_back({"", "hone worker release " + ShortName(worker->name())});
  if (!worker->last_failure().empty()) fields.push_back({"last failure", worker->last_failure()});
  const std::map<std::string, double> speeds(calibration.fma_gflops().begin(),
                                             calibration.fma_gflops().end());
  for (const auto& [target, gflops] : speeds)
    fields.push_back({"fma " + target, absl::StrFormat("%.1f GFLOP/s per core", gflops)});
  const std::map<std::string, std::string> facts(device.fingerprint().begin(), device.fingerprint().end());
  fields.insert(fields.end(), facts.begin(), facts.end());
  context.console.out << FormatFields(fields, context.console.width);
  return kExitOk;
}

}  // namespace hone
