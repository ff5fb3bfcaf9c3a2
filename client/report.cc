#include "client/report.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/table.h"
#include "client/units.h"

namespace hone {
namespace {

constexpr size_t kMostTasks = 20;  // shown to people

using Rows = std::vector<std::vector<std::string>>;

// Time ratios are new / old; people read how many times faster that is.
std::string RatioText(double ratio, double low, double high) {
  if (ratio <= 0) return "";
  std::string text = absl::StrFormat("%.3f", ratio);
  if (low > 0 && high > 0) absl::StrAppendFormat(&text, " (%.3f to %.3f)", low, high);
  return text;
}

std::string FasterText(double ratio) {
  if (ratio <= 0) return "-";
  return ratio <= 1 ? absl::StrFormat("%.2fx faster", 1 / ratio) : absl::StrFormat("%.2fx slower", ratio);
}

std::string Head(const Json& report) {
  const Json& device = JsonMember(report, "device");
  std::string head = JsonText(report, "model");
  auto add = [&head](absl::string_view before, const std::string& text) {
    if (!text.empty()) absl::StrAppend(&head, before, text);
  };
  add(" for ", JsonText(report, "target"));
  add(", threads ", JsonText(report, "threads"));
  add(", on ", JsonText(device, "cpu_name"));
  absl::StrAppendFormat(&head, "  (%.0f trials, %s)\n", JsonNumber(report, "trials"),
                        FormatDuration(JsonNumber(report, "seconds")));
  return head;
}

std::string Times(const Json& report, const BenchComparison* bench, int width) {
  const Json& normal = JsonMember(report, "default");
  const Json& tuned = JsonMember(report, "tuned");
  auto row = [](const char* name, const Json& times, const std::string& ratio) -> std::vector<std::string> {
    return {name, FormatLatency(JsonNumber(times, "median_seconds")),
            FormatLatency(JsonNumber(times, "p20_seconds")), FormatLatency(JsonNumber(times, "p95_seconds")),
            ratio};
  };
  Rows rows = {row("default schedules", normal, ""),
               row("tuned schedules", tuned,
                   RatioText(JsonNumber(tuned, "ratio"), JsonNumber(tuned, "ratio_low"),
                             JsonNumber(tuned, "ratio_high")))};
  if (bench != nullptr) {
    rows.push_back({"", "", "", "", ""});
    rows.push_back({"this module, here", FormatLatency(bench->module_median), "",
                    FormatLatency(bench->module_p95),
                    RatioText(bench->ratio, bench->ratio_low, bench->ratio_high) + " of ONNX Runtime's"});
    rows.push_back({absl::StrCat("ONNX Runtime ", bench->version), FormatLatency(bench->reference_median), "",
                    FormatLatency(bench->reference_p95), ""});
  }
  return FormatTable({{""},
                      {"median", Align::kRight},
                      {"p20", Align::kRight, Narrow::kDrop},
                      {"p95", Align::kRight, Narrow::kDrop},
                      {"time ratio (95 %)"}},
                     rows, width);
}

std::string Verdict(const Json& report) {
  const Json& tuned = JsonMember(report, "tuned");
  const std::string verdict = JsonText(report, "verdict");
  std::string text = "verdict: " + (verdict.empty() ? "-" : verdict);
  const double ratio = JsonNumber(tuned, "ratio");
  if (verdict == "faster" && ratio > 0)
    absl::StrAppendFormat(&text, ", %.2fx the default's speed", 1 / ratio);
  if (verdict == "no gain") text += ": the tuned schedules are not faster beyond doubt; the default ones are what you get";
  const Json& verified = JsonMember(report, "verified");
  if (verified.is_object()) {
    absl::StrAppendFormat(&text,
                          "\nverified on the device against %s: max error %.1e (tolerance %.1e), %.0f inputs",
                          JsonText(verified, "against"), JsonNumber(verified, "max_error"),
                          JsonNumber(verified, "tolerance"), JsonNumber(verified, "inputs"));
  } else {
    text += "\nnot verified on the device: too large for the reference schedules there; "
            "compare it with ONNX Runtime";
  }
  return text + "\n";
}

// Measured, of the largest value; nothing without a measurement.
std::string ErrorText(const Json& task) {
  return task.contains("max_error") ? absl::StrFormat("%.0e", JsonNumber(task, "max_error")) : "-";
}

std::string Tasks(const Json& report, int width) {
  Rows rows;
  std::vector<Json> tasks(JsonMember(report, "tasks").begin(), JsonMember(report, "tasks").end());
  std::stable_sort(tasks.begin(), tasks.end(), [](const Json& a, const Json& b) {
    return JsonNumber(a, "share") > JsonNumber(b, "share");
  });
  for (const Json& task : tasks) {
    if (rows.size() == kMostTasks) break;
    rows.push_back({FormatPercent(JsonNumber(task, "share")), FormatLatency(JsonNumber(task, "seconds")),
                    FormatLatency(JsonNumber(task, "default_seconds")),
                    FormatLatency(JsonNumber(task, "floor_seconds")),
                    FormatPercent(JsonNumber(task, "roofline_fraction")), JsonText(task, "trials"),
                    JsonText(task, "weight"), JsonText(task, "algorithm"), ErrorText(task),
                    JsonText(task, "label")});
  }
  if (rows.empty()) return "";
  std::string text = FormatTable({{"share", Align::kRight},
                                  {"time", Align::kRight},
                                  {"default", Align::kRight},
                                  {"floor", Align::kRight, Narrow::kDrop},
                                  {"of roofline", Align::kRight, Narrow::kDrop},
                                  {"trials", Align::kRight, Narrow::kDrop},
                                  {"times", Align::kRight, Narrow::kDrop},
                                  {"algorithm", Align::kLeft, Narrow::kDrop},
                                  {"error", Align::kRight, Narrow::kDrop},
                                  {"task", Align::kLeft, Narrow::kShrink}},
                                 rows, width);
  if (tasks.size() > rows.size()) {
    absl::StrAppend(&text, "... and ", tasks.size() - rows.size(), " more; report.json has them all\n");
  }
  return text;
}

std::string TensorText(const Json& tensor) {
  return absl::StrCat(JsonText(tensor, "name"), "  ", JsonText(tensor, "dtype"), " ",
                      ShapeText(JsonMember(tensor, "shape")));
}

// Operators come as {"Conv": 53} or as a list of names.
std::string OperatorsText(const Json& operators) {
  std::vector<std::string> parts;
  for (const auto& item : operators.items()) {
    parts.push_back(item.value().is_string() ? item.value().get<std::string>()
                                             : absl::StrCat(item.key(), " ", item.value().dump()));
  }
  return absl::StrJoin(parts, ", ");
}

}  // namespace

Json BenchJson(const BenchComparison& bench) {
  return {{"onnxruntime", bench.version},
          {"threads", bench.threads},
          {"rounds", bench.rounds},
          {"module", {{"median_seconds", bench.module_median}, {"p95_seconds", bench.module_p95}}},
          {"reference", {{"median_seconds", bench.reference_median}, {"p95_seconds", bench.reference_p95}}},
          {"ratio", bench.ratio},
          {"ratio_low", bench.ratio_low},
          {"ratio_high", bench.ratio_high},
          {"max_error", bench.max_error},
          {"worst_excess", bench.worst_excess},
          {"agrees", bench.agrees}};
}

std::string ComparisonText(const BenchComparison& bench, const std::string& module_name,
                           const std::string& reference_name, int width) {
  std::string text =
      FormatTable({{""}, {"median", Align::kRight}, {"p95", Align::kRight}},
                  {{module_name, FormatLatency(bench.module_median), FormatLatency(bench.module_p95)},
                   {reference_name, FormatLatency(bench.reference_median),
                    FormatLatency(bench.reference_p95)}},
                  width);
  absl::StrAppendFormat(&text,
                        "ratio: %s, the %s is %s than %s (threads %d, %d rounds in turns)\n",
                        RatioText(bench.ratio, bench.ratio_low, bench.ratio_high), module_name,
                        FasterText(bench.ratio), reference_name, bench.threads, bench.rounds);
  absl::StrAppendFormat(&text, "outputs: %s, max difference %.1e\n",
                        bench.agrees ? "agree (rtol 1e-3, atol 1e-4)" : "DIFFER (rtol 1e-3, atol 1e-4)",
                        bench.max_error);
  return text;
}

std::string BenchText(const BenchComparison& bench, int width) {
  return ComparisonText(bench, "module", absl::StrCat("ONNX Runtime ", bench.version), width);
}

std::string ReportText(const Json& report, const BenchComparison* bench, int width) {
  std::string text = Head(report) + "\n" + Times(report, bench, width) + "\n" + Verdict(report);
  if (bench != nullptr) {
    absl::StrAppendFormat(
        &text, "ONNX Runtime, same inputs, %d threads: the module is %s; outputs %s (max difference %.1e)\n",
        bench->threads, FasterText(bench->ratio), bench->agrees ? "agree" : "DIFFER", bench->max_error);
  }
  const std::string tasks = Tasks(report, width);
  if (!tasks.empty()) absl::StrAppend(&text, "\n", tasks);
  return text;
}

std::string InspectText(const Json& report, int width) {
  std::vector<std::pair<std::string, std::string>> fields;
  for (const Json& tensor : JsonMember(report, "inputs")) fields.push_back({"input", TensorText(tensor)});
  for (const Json& tensor : JsonMember(report, "outputs")) fields.push_back({"output", TensorText(tensor)});
  fields.push_back({"nodes", OperatorsText(JsonMember(report, "operators"))});
  fields.push_back(
      {"work", absl::StrCat(FormatCount(JsonNumber(report, "flops"), "FLOP"), " per run, ",
                            FormatBytes(static_cast<uint64_t>(JsonNumber(report, "constant_bytes"))),
                            " of constants")});
  const double tuning = JsonNumber(report, "estimated_tuning_seconds");
  if (tuning > 0) fields.push_back({"tuning", "about " + FormatDuration(tuning)});
  std::string text = absl::StrCat(JsonText(report, "model"), ": ONNX opset ", JsonText(report, "opset"), ", ",
                                  JsonText(report, "nodes"), " nodes\n", FormatFields(fields, width));
  Rows tasks;
  for (const Json& task : JsonMember(report, "tasks")) {
    tasks.push_back(
        {JsonText(task, "weight"), FormatCount(JsonNumber(task, "flops"), "FLOP"), JsonText(task, "label")});
  }
  if (!tasks.empty()) {
    absl::StrAppend(
        &text, "\n",
        FormatTable(
            {{"times", Align::kRight}, {"work", Align::kRight}, {"task", Align::kLeft, Narrow::kShrink}},
            tasks, width));
  }
  return text;
}

}  // namespace hone
