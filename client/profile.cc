#include "client/profile.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/config.h"
#include "client/error.h"
#include "client/table.h"
#include "client/units.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

// When each step of a run began, and the last one ended.
struct StepClock {
  std::vector<int64_t> nanoseconds;

  static void Observe(void* clock, uint32_t step) {
    auto& at = static_cast<StepClock*>(clock)->nanoseconds;
    if (step < at.size()) at[step] = std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  }
};

double MedianSeconds(std::vector<int64_t>& nanoseconds) {
  const auto middle = nanoseconds.begin() + static_cast<int64_t>(nanoseconds.size() / 2);
  std::nth_element(nanoseconds.begin(), middle, nanoseconds.end());
  return static_cast<double>(*middle) * 1e-9;
}

std::string AlgorithmOf(const std::string& trace) {
  constexpr absl::string_view kKey = "algorithm ";
  const size_t at = trace.find(kKey.data());
  if (at == std::string::npos) return "";
  const size_t begin = at + kKey.size();
  return trace.substr(begin, trace.find(';', begin) - begin);
}

// What the report says of a task, with what it was measured to take alone.
Json RowOf(const ModuleProfile::Task& task, double run_seconds, const std::map<std::string, Json>& alone) {
  Json row = {{"task_id", task.id},
              {"label", task.label},
              {"algorithm", task.algorithm},
              {"calls", task.calls},
              {"seconds", task.seconds},
              {"share", run_seconds > 0 ? task.seconds / run_seconds : 0}};
  const auto found = alone.find(task.id);
  if (found == alone.end()) return row;
  const Json& measured = JsonMember(found->second, "measured");
  if (measured.is_boolean() && measured.get<bool>()) row["alone_seconds"] = JsonNumber(found->second, "seconds");
  const double floor = JsonNumber(found->second, "floor_seconds");
  row["floor_seconds"] = floor;
  row["roofline_fraction"] = task.seconds > 0 ? floor / task.seconds : 0;
  return row;
}

}  // namespace

absl::StatusOr<ModuleProfile> ProfileModule(const fs::path& path, const BenchOptions& options) {
  StepClock clock;
  auto opened = LoadedModule::Open(path, options.threads, options.shapes, {StepClock::Observe, &clock});
  if (!opened.ok()) return opened.status();
  LoadedModule& module = **opened;
  const Json& steps = JsonMember(module.description(), "steps");
  const Json& tasks = JsonMember(module.description(), "tasks");
  if (steps.empty()) {
    return WithRemedy(absl::FailedPreconditionError(path.string() + " does not say what its steps are"),
                      "compile the module again with this version of Hone");
  }
  ModuleProfile profile{.name = JsonText(module.description(), "name"), .threads = module.threads()};
  for (const Json& task : tasks) {
    profile.tasks.push_back({JsonText(task, "id"), JsonText(task, "task"), AlgorithmOf(JsonText(task, "trace"))});
  }
  clock.nanoseconds.resize(steps.size() + 1);
  module.FillInputs(options.seed);
  absl::Status status = module.Run();   // brings everything into the caches
  std::vector<std::vector<int64_t>> times(steps.size());
  std::vector<int64_t> runs;
  const absl::Time end = absl::Now() + absl::Seconds(options.window_seconds * options.rounds);
  while (status.ok() && (runs.empty() || absl::Now() < end)) {
    status = module.Run();
    const std::vector<int64_t>& at = clock.nanoseconds;
    for (size_t s = 0; s < times.size(); ++s) times[s].push_back(at[s + 1] - at[s]);
    runs.push_back(at.back() - at.front());
  }
  if (!status.ok()) return status;
  profile.runs = static_cast<int>(runs.size());
  profile.run_seconds = MedianSeconds(runs);
  for (size_t s = 0; s < times.size(); ++s) {
    const double seconds = MedianSeconds(times[s]);
    const auto task = steps[s].is_number_integer() ? steps[s].get<int64_t>() : -1;
    if (task < 0 || task >= static_cast<int64_t>(profile.tasks.size())) {
      profile.copy_seconds += seconds;
      continue;
    }
    ++profile.tasks[static_cast<size_t>(task)].calls;
    profile.tasks[static_cast<size_t>(task)].seconds += seconds;
  }
  std::stable_sort(profile.tasks.begin(), profile.tasks.end(),
                   [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return profile;
}

Json ReportBeside(const fs::path& path) {
  std::error_code error;
  const fs::path folder = fs::is_directory(path, error) ? path : path.parent_path();
  auto text = ReadTextFile((folder / "report.json").string());
  if (!text.ok()) return Json();
  auto report = ParseJson(*text, "report.json");
  return report.ok() ? *std::move(report) : Json();
}

Json ProfileJson(const ModuleProfile& profile, const Json& report) {
  std::map<std::string, Json> alone;
  if (JsonNumber(report, "threads") == profile.threads) {
    for (const Json& task : JsonMember(report, "tasks")) alone[JsonText(task, "task_id")] = task;
  }
  Json rows = Json::array();
  for (const ModuleProfile::Task& task : profile.tasks) rows.push_back(RowOf(task, profile.run_seconds, alone));
  return {{"model", profile.name},
          {"threads", profile.threads},
          {"runs", profile.runs},
          {"run_seconds", profile.run_seconds},
          {"copy_seconds", profile.copy_seconds},
          {"tasks", std::move(rows)}};
}

std::string ProfileText(const ModuleProfile& profile, const Json& report, int width) {
  const Json json = ProfileJson(profile, report);
  std::vector<std::vector<std::string>> rows;
  double measured_alone = 0, measured_inside = 0;
  for (const Json& task : JsonMember(json, "tasks")) {
    const bool alone = task.contains("alone_seconds");
    if (alone) {
      measured_alone += JsonNumber(task, "alone_seconds");
      measured_inside += JsonNumber(task, "seconds");
    }
    rows.push_back({FormatPercent(JsonNumber(task, "share")), FormatLatency(JsonNumber(task, "seconds")),
                    alone ? FormatLatency(JsonNumber(task, "alone_seconds")) : "-",
                    FormatLatency(JsonNumber(task, "floor_seconds")),
                    task.contains("floor_seconds") ? FormatPercent(JsonNumber(task, "roofline_fraction")) : "-",
                    JsonText(task, "calls"), JsonText(task, "algorithm"), JsonText(task, "label")});
  }
  const std::string copies = profile.copy_seconds > 0
                                 ? absl::StrCat(", ", FormatLatency(profile.copy_seconds), " of it copies")
                                 : "";
  const std::string head =
      absl::StrFormat("%s, threads %d: a run takes %s%s (median of %d runs)", profile.name, profile.threads,
                      FormatLatency(profile.run_seconds), copies, profile.runs);
  std::string text = WrapText(head, width > 0 ? width : 1000, 0) + "\n\n";
  text += FormatTable({{"share", Align::kRight},
                       {"in the model", Align::kRight},
                       {"alone", Align::kRight, Narrow::kDrop},
                       {"floor", Align::kRight, Narrow::kDrop},
                       {"of roofline", Align::kRight},
                       {"times", Align::kRight, Narrow::kDrop},
                       {"algorithm", Align::kLeft, Narrow::kDrop},
                       {"task", Align::kLeft, Narrow::kShrink}},
                      rows, width);
  if (measured_alone > 0) {
    absl::StrAppendFormat(&text, "\ntasks measured alone: %s together, %s in the model (%.2fx)\n",
                          FormatLatency(measured_alone), FormatLatency(measured_inside),
                          measured_inside / measured_alone);
  }
  return text;
}

}  // namespace hone
