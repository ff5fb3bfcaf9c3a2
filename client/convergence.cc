#include "client/convergence.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "client/units.h"

namespace hone {
namespace {

constexpr int kDefaultWidth = 80;
constexpr int kTextHeight = 14;
constexpr int kLabelWidth = 9;  // of the latencies left of the axis
constexpr double kSvgWidth = 800, kSvgHeight = 400, kMargin = 70;

struct Range {
  double low = 0;
  double high = 0;
  double Fraction(double value) const { return high > low ? (value - low) / (high - low) : 0.5; }
};

Range Latencies(const std::vector<ConvergencePoint>& points) {
  auto [low, high] =
      std::minmax_element(points.begin(), points.end(), [](const auto& a, const auto& b) {
        return a.predicted_seconds < b.predicted_seconds;
      });
  return {low->predicted_seconds, high->predicted_seconds};
}

// A latency, or how far it lies below the axis' other end if both would read alike.
std::string LowLabel(const Range& range) {
  const std::string label = FormatLatency(range.low);
  if (range.low == range.high || label != FormatLatency(range.high)) return label;
  return absl::StrFormat("-%.2g %%", 100 * (1 - range.low / range.high));
}

}  // namespace

std::vector<ConvergencePoint> Convergence(
    const v1::Job& job, const google::protobuf::RepeatedPtrField<v1::TuningRecord>& records) {
  struct Task {
    double weight = 0;
    double best = 0;
  };
  std::map<std::string, Task> tasks;
  double total = 0;
  for (const v1::TaskProgress& task : job.progress().tasks()) {
    tasks[task.task_id()] = {static_cast<double>(task.weight()), task.default_seconds()};
    total += task.weight() * task.default_seconds();
  }
  std::vector<ConvergencePoint> points;
  for (const v1::TuningRecord& record : records) {
    auto task = tasks.find(record.task_id());
    const double seconds = record.measurement().p20_seconds();
    if (task != tasks.end() && record.measurement().outcome() == v1::OUTCOME_OK && seconds > 0) {
      double& best = task->second.best;
      const double better = best > 0 ? std::min(best, seconds) : seconds;
      total += task->second.weight * (better - best);
      best = better;
    }
    const int64_t micros = record.create_time_micros() - records[0].create_time_micros();
    points.push_back({points.size() + 1, micros * 1e-6, total});
  }
  return total > 0 ? points : std::vector<ConvergencePoint>();
}

std::string ConvergenceText(const std::vector<ConvergencePoint>& points, int width) {
  if (points.empty()) return "";
  const int columns = std::max(8, (width > 0 ? width : kDefaultWidth) - kLabelWidth - 2);
  const Range range = Latencies(points);
  std::vector<std::string> grid(kTextHeight, std::string(columns, ' '));
  for (int column = 0; column < columns; ++column) {
    const size_t index = column * (points.size() - 1) / (columns - 1);
    const double height = range.Fraction(points[index].predicted_seconds) * (kTextHeight - 1);
    grid[kTextHeight - 1 - static_cast<int>(height + 0.5)][column] = '*';
  }
  std::string text;
  for (int row = 0; row < kTextHeight; ++row) {
    const bool labelled = row == 0 || row == kTextHeight - 1;
    const std::string label = row == 0 ? FormatLatency(range.high) : LowLabel(range);
    grid[row].erase(grid[row].find_last_not_of(' ') + 1);
    absl::StrAppendFormat(&text, "%*s |%s\n", kLabelWidth, labelled ? label : "", grid[row]);
  }
  absl::StrAppendFormat(&text, "%*s +%s\n", kLabelWidth, "", std::string(columns, '-'));
  const std::string end = absl::StrCat(points.back().trial, " trials, ",
                                       FormatDuration(points.back().elapsed_seconds));
  absl::StrAppendFormat(&text, "%*s  1%*s\n", kLabelWidth, "", columns - 1, end);
  return text;
}

std::string ConvergenceSvg(const std::vector<ConvergencePoint>& points, const std::string& title) {
  const std::string escaped =
      absl::StrReplaceAll(title, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" font-family=\"sans-serif\" "
      "font-size=\"13\">\n<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
      "<text x=\"%g\" y=\"30\" font-size=\"16\">%s</text>\n",
      kSvgWidth, kSvgHeight, escaped, kMargin, escaped);
  const double bottom = kSvgHeight - kMargin, right = kSvgWidth - kMargin;
  absl::StrAppendFormat(&svg, "<path d=\"M%g %gV%gH%g\" fill=\"none\" stroke=\"gray\"/>\n", kMargin, kMargin,
                        bottom, right);
  if (points.empty()) return svg + "</svg>\n";
  const Range range = Latencies(points);
  const Range trials = {1, static_cast<double>(points.size())};
  std::string path;
  for (const ConvergencePoint& point : points) {
    const double x = kMargin + trials.Fraction(point.trial) * (right - kMargin);
    const double y = bottom - range.Fraction(point.predicted_seconds) * (bottom - kMargin);
    absl::StrAppendFormat(&path, path.empty() ? "M%.1f %.1f" : "H%.1fV%.1f", x, y);
  }
  absl::StrAppendFormat(&svg,
                        "<path d=\"%s\" fill=\"none\" stroke=\"#1f77b4\" stroke-width=\"2\"/>\n"
                        "<text x=\"%g\" y=\"%g\" text-anchor=\"end\">%s</text>\n"
                        "<text x=\"%g\" y=\"%g\" text-anchor=\"end\">%s</text>\n"
                        "<text x=\"%g\" y=\"%g\" text-anchor=\"end\">%d trials, %s</text>\n</svg>\n",
                        path, kMargin - 6, kMargin + 4, FormatLatency(range.high), kMargin - 6, bottom + 4,
                        LowLabel(range), right, bottom + 22, points.back().trial,
                        FormatDuration(points.back().elapsed_seconds));
  return svg;
}

}  // namespace hone
