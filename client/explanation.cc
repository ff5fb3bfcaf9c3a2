#include "client/explanation.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "client/resource_name.h"
#include "client/table.h"
#include "client/units.h"
#include "proto/values/measurement.h"
#include "proto/values/value_messages.h"

namespace hone {
namespace {

constexpr size_t kSteps = 12;            // shown one by one
constexpr double kWorthShowing = 0.005;  // of log seconds: half a percent
constexpr int kDefaultWidth = 80;
constexpr int kEffectWidth = 9;  // "+123.4 %"
constexpr int kNarrowestBar = 4, kTitledBar = 7, kWidestBar = 30, kNarrowestLabel = 12;
constexpr int kGaps = 6;  // between label, effect, bar and axis

// One contribution to log(predicted) - log(prior).
struct Step {
  std::string label;
  double effect = 0;
};

std::vector<Step> StepsOf(const v1::RecordExplanation& explanation) {
  std::vector<Step> steps = {{"on average", explanation.bias()}};
  Step others;
  int count = 0;
  for (const v1::FeatureEffect& feature : explanation.features()) {
    if (steps.size() <= kSteps && std::fabs(feature.effect()) >= kWorthShowing) {
      steps.push_back({absl::StrFormat("%s = %.3g", feature.feature(), feature.value()), feature.effect()});
    } else {
      others.effect += feature.effect();
      ++count;
    }
  }
  others.label = absl::StrCat(count, count == 1 ? " other" : " others");
  if (count > 0) steps.push_back(others);
  return steps;
}

std::string EffectText(double effect) { return absl::StrFormat("%+.1f %%", 100 * std::expm1(effect)); }

std::string LearntText(const v1::RecordExplanation& explanation) {
  if (explanation.learnt_from() == 0) return "nothing: no measured schedule had been learnt from";
  return absl::StrFormat("x %.3f, from %d measured schedules, %d of them of this task",
                         explanation.predicted_seconds() / explanation.prior_seconds(),
                         explanation.learnt_from(), explanation.learnt_from_task());
}

std::string MeasuredText(const v1::RecordExplanation& explanation) {
  const v1::Measurement& measured = explanation.record().measurement();
  if (measured.outcome() != v1::OUTCOME_OK) {
    return absl::StrCat(std::string(OutcomeName(FromMessage(measured.outcome()))),
                        measured.message().empty() ? "" : ": ", measured.message());
  }
  return absl::StrFormat("%s, %.3f of the prediction", FormatLatency(measured.p20_seconds()),
                         measured.p20_seconds() / explanation.predicted_seconds());
}

std::string Bars(const std::vector<Step>& steps, int width) {
  size_t widest = 0;
  double largest = kWorthShowing;
  for (const Step& step : steps) {
    widest = std::max(widest, step.label.size());
    largest = std::max(largest, std::fabs(step.effect));
  }
  const int room = width > 0 ? width : kDefaultWidth;
  const int label =
      std::clamp(room - kEffectWidth - 2 * kNarrowestBar - kGaps, kNarrowestLabel, static_cast<int>(widest));
  const int half = std::clamp((room - label - kEffectWidth - kGaps) / 2, kNarrowestBar, kWidestBar);
  std::string text =
      absl::StrFormat("%-*s  %*s  %*s | %s\n", label, "effect of", kEffectWidth, "on time", half,
                      half >= kTitledBar ? "faster" : "", half >= kTitledBar ? "slower" : "");
  for (const Step& step : steps) {
    const std::string bar(static_cast<size_t>(std::lround(half * std::fabs(step.effect) / largest)), '#');
    const bool slower = step.effect > 0;
    absl::StrAppendFormat(&text, "%-*s  %*s  %*s |%s\n", label, step.label.substr(0, label), kEffectWidth,
                          EffectText(step.effect), half, slower ? "" : bar, slower ? bar : "");
  }
  return text;
}

}  // namespace

std::string ExplanationText(const v1::RecordExplanation& explanation, int width) {
  const v1::TuningRecord& record = explanation.record();
  const std::vector<std::pair<std::string, std::string>> fields = {
      {"record", absl::StrCat(ShortName(record.name()), ", trial ", record.trial_id(), " of job ",
                              ShortName(record.job()), " (", record.model(), ")")},
      {"task", record.task_label()},
      {"schedule", record.trace()},
      {"roofline", FormatLatency(explanation.prior_seconds())},
      {"learnt", LearntText(explanation)},
      {"predicted",
       absl::StrFormat("%s, +- %.1f %% between the models of the bag",
                       FormatLatency(explanation.predicted_seconds()), 100 * explanation.deviation())},
      {"measured", MeasuredText(explanation)}};
  std::string text = FormatFields(fields, width);
  if (explanation.learnt_from() > 0) absl::StrAppend(&text, "\n", Bars(StepsOf(explanation), width));
  return text;
}

namespace {

constexpr double kSvgWidth = 800, kLeft = 250, kRight = 730, kTop = 100, kRow = 26, kBar = 16;

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

// Where log seconds lie on the drawing.
struct Axis {
  double low, high;
  double X(double log_seconds) const {
    return kLeft + (high > low ? (log_seconds - low) / (high - low) : 0.5) * (kRight - kLeft);
  }
};

Axis AxisOf(const v1::RecordExplanation& explanation, const std::vector<Step>& steps) {
  double at = std::log(explanation.prior_seconds());
  Axis axis{at, at};
  const auto include = [&](double value) {
    axis.low = std::min(axis.low, value);
    axis.high = std::max(axis.high, value);
  };
  for (const Step& step : steps) include(at += step.effect);
  if (explanation.record().measurement().outcome() == v1::OUTCOME_OK)
    include(std::log(explanation.record().measurement().p20_seconds()));
  return axis;
}

void AppendRow(std::string& svg, double y, const std::string& label, const std::string& value) {
  absl::StrAppendFormat(
      &svg, "<text x=\"%g\" y=\"%g\" text-anchor=\"end\">%s</text>\n<text x=\"%g\" y=\"%g\">%s</text>\n",
      kLeft - 12, y + 13, Escaped(label), kRight + 8, y + 13, Escaped(value));
}

// A time across all rows from `top` on.
void AppendMark(std::string& svg, double x, double top, double bottom, const char* colour) {
  absl::StrAppendFormat(&svg, "<path d=\"M%.1f %gV%g\" stroke=\"%s\" stroke-dasharray=\"4 3\"/>\n", x, top,
                        bottom, colour);
}

}  // namespace

std::string ExplanationSvg(const v1::RecordExplanation& explanation) {
  const v1::TuningRecord& record = explanation.record();
  const std::vector<Step> steps = StepsOf(explanation);
  const Axis axis = AxisOf(explanation, steps);
  const double bottom = kTop + kRow * static_cast<double>(steps.size() + 3);
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" font-family=\"sans-serif\" "
      "font-size=\"13\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
      "<text x=\"20\" y=\"30\" font-size=\"16\">%s</text>\n<text x=\"20\" y=\"52\">%s</text>\n"
      "<text x=\"20\" y=\"74\" font-size=\"11\" fill=\"#555\">%s</text>\n",
      kSvgWidth, bottom + 20,
      Escaped(absl::StrCat("Why ", FormatLatency(explanation.predicted_seconds()),
                           " was predicted for trial ", record.trial_id())),
      Escaped(absl::StrCat(record.model(), ", ", record.task_label())), Escaped(record.trace()));
  double at = std::log(explanation.prior_seconds()), y = kTop;
  AppendRow(svg, y, "roofline", FormatLatency(explanation.prior_seconds()));
  AppendMark(svg, axis.X(at), kTop, y + kRow, "#777");
  for (const Step& step : steps) {
    y += kRow;
    const double from = axis.X(at), to = axis.X(at + step.effect);
    absl::StrAppendFormat(&svg, "<rect x=\"%.1f\" y=\"%g\" width=\"%.1f\" height=\"%g\" fill=\"%s\"/>\n",
                          std::min(from, to), y, std::max(1.0, std::fabs(to - from)), kBar,
                          step.effect > 0 ? "#d95f02" : "#1f77b4");
    AppendRow(svg, y, step.label, EffectText(step.effect));
    at += step.effect;
  }
  y += kRow;
  AppendRow(svg, y, "predicted", FormatLatency(explanation.predicted_seconds()));
  AppendMark(svg, axis.X(at), y - kRow, y + kRow, "#333");
  y += kRow;
  const bool ok = record.measurement().outcome() == v1::OUTCOME_OK;
  AppendRow(svg, y, "measured",
            ok ? FormatLatency(record.measurement().p20_seconds())
               : std::string(OutcomeName(FromMessage(record.measurement().outcome()))));
  if (ok) AppendMark(svg, axis.X(std::log(record.measurement().p20_seconds())), kTop, y + kRow, "#2a9d5c");
  return svg + "</svg>\n";
}

}  // namespace hone
