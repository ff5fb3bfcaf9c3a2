// Quantities, tables, arguments, exit codes: the parts of the command line that only make and read text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "client/arguments.h"
#include "client/bench.h"
#include "client/call_context.h"
#include "client/console.h"
#include "client/convergence.h"
#include "client/error.h"
#include "client/explanation.h"
#include "client/preflight.h"
#include "client/progress.h"
#include "client/record_text.h"
#include "client/report.h"
#include "client/table.h"
#include "client/units.h"

namespace hone {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(UnitsTest, FormatsLatency) {
  EXPECT_EQ(FormatLatency(0), "-");
  EXPECT_EQ(FormatLatency(1.234e-9), "1.23 ns");
  EXPECT_EQ(FormatLatency(456e-6), "456 us");
  EXPECT_EQ(FormatLatency(12.34e-3), "12.3 ms");
  EXPECT_EQ(FormatLatency(99.96e-3), "100 ms");
  EXPECT_EQ(FormatLatency(0.9999), "1.00 s");
  EXPECT_EQ(FormatLatency(2.5), "2.50 s");
}

TEST(UnitsTest, FormatsDurationBytesCounts) {
  EXPECT_EQ(FormatDuration(35.4), "35s");
  EXPECT_EQ(FormatDuration(250), "4m 10s");
  EXPECT_EQ(FormatDuration(7500), "2h 05m");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(15'200'000), "15.2 MB");
  EXPECT_EQ(FormatCount(3.8e9, "FLOP"), "3.80 GFLOP");
}

TEST(UnitsTest, ParsesDurations) {
  EXPECT_DOUBLE_EQ(*ParseDuration("90s"), 90);
  EXPECT_DOUBLE_EQ(*ParseDuration("1h30m"), 5400);
  EXPECT_DOUBLE_EQ(*ParseDuration("250ms"), 0.25);
  EXPECT_DOUBLE_EQ(*ParseDuration("2d"), 172800);
  EXPECT_DOUBLE_EQ(*ParseDuration("12"), 12);
  for (const char* bad : {"", "s", "5x", "0", "-1s", "1h30", "inf", "nan"}) {
    if (std::string(bad) == "1h30") continue;  // a bare number at the end is seconds
    EXPECT_EQ(ExitCodeFor(ParseDuration(bad).status()), kExitUsage) << bad;
  }
}

TEST(UnitsTest, ParsesSizes) {
  EXPECT_EQ(*ParseBytes("500MB"), 500'000'000u);
  EXPECT_EQ(*ParseBytes("1.5kB"), 1500u);
  EXPECT_EQ(*ParseBytes("12"), 12u);
  for (const char* bad : {"", "MB", "-1", "1e30", "nan", "5x"})
    EXPECT_EQ(ExitCodeFor(ParseBytes(bad).status()), kExitUsage) << bad;
}

TEST(UnitsTest, ParsesBudgets) {
  EXPECT_DOUBLE_EQ(ParseBudget("5m")->seconds(), 300);
  EXPECT_EQ(ParseBudget("100trials")->trials(), 100u);
  auto both = ParseBudget("5m,100trials");
  EXPECT_EQ(both->trials(), 100u);
  EXPECT_DOUBLE_EQ(both->seconds(), 300);
  EXPECT_TRUE(ParseBudget("0trials")->zero_trials());
  EXPECT_FALSE(ParseBudget("none")->zero_trials());
  EXPECT_THAT(RemedyOf(ParseBudget("soon").status()), HasSubstr("100trials"));
}

TEST(UnitsTest, ParsesShapes) {
  auto shape = ParseShape("a=b=1,3,48,320");
  ASSERT_TRUE(shape.ok());
  EXPECT_EQ(shape->input(), "a=b");
  EXPECT_THAT(shape->dims(), ElementsAre(1, 3, 48, 320));
  for (const char* bad : {"x", "=1", "x=", "x=1,", "x=0", "x=-1", "x=1,a"})
    EXPECT_FALSE(ParseShape(bad).ok()) << bad;
}

TEST(ErrorTest, NamesTheRequestWhereTheServersLogKnowsMore) {
  const auto printed = [](const absl::Status& status) {
    std::stringstream out, err;
    PrintError({out, err}, WithRemedy(WithRequestId(status, "4f2e"), "wait"));
    return err.str();
  };
  EXPECT_EQ(printed(absl::InternalError("broken")),
            "hone: error: broken\n  remedy: wait\n  request: 4f2e in the server's log\n");
  EXPECT_EQ(printed(absl::NotFoundError("no job")), "hone: error: no job\n  remedy: wait\n");
}

TEST(TableTest, FitsTheWidthAndKeepsControlCharactersOut) {
  const std::vector<Column> columns = {{"n", Align::kRight}, {"name", Align::kLeft, Narrow::kShrink}};
  EXPECT_EQ(FormatTable(columns, {{"1", "a"}, {"23", "\x1b[31mred"}}, 0), " n  name\n 1  a\n23   [31mred\n");
  EXPECT_EQ(FormatTable(columns, {{"1", "abcdefghijklmnop"}}, 15), "n  name\n1  abcdefghij..\n");
  EXPECT_EQ(FormatTable(columns, {{"1", "äöü"}}, 0), "n  name\n1  äöü\n");
}

TEST(TableTest, WhatIsTooWideLosesColumnsAndThenBecomesBlocks) {
  const std::vector<Column> columns = {{"name"},
                                       {"size", Align::kRight, Narrow::kDrop},
                                       {"what", Align::kLeft, Narrow::kShrink},
                                       {"when", Align::kLeft, Narrow::kDrop}};
  const std::vector<std::vector<std::string>> rows = {{"abcdef", "12", "some more words", "today"},
                                                      {"x", "3", "", "never"}};
  EXPECT_EQ(FormatTable(columns, rows, 0),
            "name    size  what             when\nabcdef    12  some more words  today\nx          3         "
            "       "
            "   never\n");
  EXPECT_EQ(FormatTable(columns, rows, 26), "name    size  what\nabcdef    12  some more ..\nx          3\n");
  EXPECT_EQ(FormatTable(columns, rows, 20), "name    what\nabcdef  some more ..\nx\n");
  EXPECT_EQ(FormatTable(columns, rows, 20, /*titled=*/false), "abcdef  some more ..\nx\n");
  const std::string blocks =
      "name  abcdef\nsize  12\nwhat  some more\n      words\nwhen  today\n\nname  x\nsize  3\nwhen  never\n";
  EXPECT_EQ(FormatTable(columns, rows, 15), blocks);
  EXPECT_EQ(FormatTable(columns, rows, 15, /*titled=*/false), "\n" + blocks);
}

TEST(TableTest, WrapsAtBlanks) { EXPECT_EQ(WrapText("aa bb cc dd", 5, 2), "aa bb\n  cc\n  dd"); }

class ArgumentsTest : public ::testing::Test {
 protected:
  absl::StatusOr<Arguments> Parse(const std::vector<std::string>& words) {
    static constexpr OptionRow kRows[] = {
        {"--out", "-o", "DIR", ""}, {"--shape", nullptr, "S", "", true}, {"--json", nullptr, nullptr, ""}};
    const std::span<const OptionRow> rows[] = {kRows};
    return Arguments::Parse(words, rows);
  }
};

TEST_F(ArgumentsTest, AcceptsEveryForm) {
  auto arguments = Parse({"m.onnx", "-oa", "--shape=x=1", "--shape", "y=2", "--json", "--", "-z"});
  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(arguments->Get("--out"), "a");
  EXPECT_THAT(arguments->All("--shape"), ElementsAre("x=1", "y=2"));
  EXPECT_TRUE(arguments->Has("--json"));
  EXPECT_THAT(arguments->positionals(), ElementsAre("m.onnx", "-z"));
}

TEST_F(ArgumentsTest, ExplainsMistakes) {
  EXPECT_THAT(RemedyOf(Parse({"--shap", "x"}).status()), HasSubstr("--shape"));
  EXPECT_THAT(Parse({"--out"}).status().message(), HasSubstr("needs a value"));
  EXPECT_THAT(Parse({"--json=1"}).status().message(), HasSubstr("takes no value"));
  EXPECT_THAT(Parse({"-o", "a", "-o", "b"}).status().message(), HasSubstr("twice"));
}

TEST(ErrorTest, InnermostRemedyWins) {
  absl::Status status =
      WithRemedy(WithContext(WithRemedy(absl::NotFoundError("no file"), "inner"), "reading"), "outer");
  EXPECT_EQ(status.message(), "reading: no file");
  EXPECT_EQ(RemedyOf(status), "inner");
  EXPECT_EQ(ExitCodeFor(status), kExitNotFound);
}

TEST(PreflightTest, NamesEveryNodeWithItsRemedy) {
  auto report = ParseJson(R"({"unsupported":[
      {"node":"n1","operator":"NonMaxSuppression","attribute":"","opset":11,"reason":"not supported yet","remedy":"cut it"},
      {"node":"n2","operator":"Resize","attribute":"mode","opset":13,"reason":"cubic","remedy":"use linear"}]})",
                          "t");
  const absl::Status status = CheckPreflight(*report);
  EXPECT_EQ(ExitCodeFor(status), kExitBadInput);
  EXPECT_THAT(status.message(), HasSubstr("2 nodes"));
  EXPECT_THAT(status.message(), HasSubstr("node 'n2' (Resize, opset 13, attribute mode): cubic; use linear"));
}

TEST(PreflightTest, NodesRefusedAlikeAreOneLine) {
  auto report = ParseJson(R"({"unsupported":[
      {"node":"n1","operator":"Det","opset":11,"reason":"no such operator here","remedy":"cut it"},
      {"node":"n2","operator":"Resize","attribute":"mode","opset":11,"reason":"cubic","remedy":"use linear"},
      {"node":"n3","operator":"Det","opset":11,"reason":"no such operator here","remedy":"cut it"}]})",
                          "t");
  EXPECT_EQ(CheckPreflight(*report).message(),
            "3 nodes of the model are not supported:\n"
            "  node 'n1' and 1 more (Det, opset 11): no such operator here; cut it\n"
            "  node 'n2' (Resize, opset 11, attribute mode): cubic; use linear");
}

TEST(PreflightTest, GivesTheVeryShapeFlag) {
  auto report = ParseJson(R"({"unsupported":[],"unbound_symbols":["N","W"],
      "inputs":[{"name":"x","dtype":"f32","shape":["N",3,48,"W"]}]})",
                          "t");
  EXPECT_THAT(RemedyOf(CheckPreflight(*report)), HasSubstr("--shape 'x=1,3,48,<W>'"));
  EXPECT_TRUE(CheckPreflight(*ParseJson("{}", "t")).ok());
}

TEST(ConvergenceTest, EndsThatReadAlikeAreToldApart) {
  const std::string text = ConvergenceText({{1, 0, 100.0e-3}, {2, 1, 99.96e-3}}, 40);
  EXPECT_THAT(text, HasSubstr("100 ms |"));
  EXPECT_THAT(text, HasSubstr("-0.04 % |"));
  EXPECT_THAT(ConvergenceText({{1, 0, 100e-3}, {2, 1, 50e-3}}, 40), HasSubstr("50.0 ms |"));
}

v1::Job SampleJob() {
  v1::Job job;
  job.set_state(v1::JOB_STATE_RUNNING);
  v1::JobProgress& progress = *job.mutable_progress();
  progress.set_phase("tuning");
  progress.set_trials_done(12);
  progress.set_trials_budget(64);
  progress.set_seconds_spent(70);
  progress.set_seconds_budget(300);
  progress.set_eta_seconds(230);
  progress.set_predicted_seconds(8e-3);
  progress.set_default_predicted_seconds(12e-3);
  for (int i = 1; i <= 3; ++i) {
    v1::TaskProgress& task = *progress.add_tasks();
    task.set_label("conv" + std::to_string(i));
    task.set_weight(i);
    task.set_trials(4);
    task.set_best_seconds(1e-3);
    task.set_default_seconds(2e-3);
    task.set_floor_seconds(5e-4);
  }
  return job;
}

TEST(ProgressTest, OneLineSaysItAll) {
  EXPECT_EQ(
      ProgressLine(SampleJob()),
      "tuning     12/64 trials  1m 10s of 5m 00s  predicted 8.00 ms (default 12.0 ms, 1.50x)  ETA 3m 50s");
}

TEST(ProgressTest, BlockListsTheLargestTasksFirst) {
  const std::string block = ProgressBlock(SampleJob(), 0, 2);
  EXPECT_LT(block.find("conv3"), block.find("conv2"));
  EXPECT_EQ(block.find("conv1"), std::string::npos);
  EXPECT_THAT(block, HasSubstr("50.0 %"));
  EXPECT_THAT(block, HasSubstr("... and 1 more tasks"));
}

TEST(ProgressTest, PipedOutputHasNoControlCodes) {
  std::stringstream out, err;
  Console console{out, err};
  ProgressDisplay display(console);
  v1::Job job = SampleJob();
  const absl::Time start = absl::UnixEpoch();
  display.Update(job, start);
  display.Update(job, start + absl::Seconds(60));  // nothing new
  job.mutable_progress()->set_trials_done(13);
  display.Update(job, start + absl::Seconds(1));  // too soon
  display.Update(job, start + absl::Seconds(20));
  const std::string text = err.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(ProgressTest, ATerminalIsRedrawnInPlaceWithinItsSize) {
  std::stringstream out, err;
  Console console{out, err};
  console.redraw = true;
  console.err_width = 40;
  console.err_height = 7;
  ProgressDisplay display(console);
  display.Update(SampleJob(), absl::UnixEpoch());
  const std::string first = err.str();
  EXPECT_EQ(std::count(first.begin(), first.end(), '\n'), 5);  // progress, titles, two tasks, "more"
  std::stringstream lines(first);
  for (std::string line; std::getline(lines, line);) EXPECT_LT(line.size(), 40u) << line;
  display.Update(SampleJob(), absl::UnixEpoch());
  EXPECT_THAT(err.str(), HasSubstr("\x1b[5A\x1b[J"));
}

constexpr char kReport[] =
    R"({"model":"net","target":"x86-64-v3","threads":2,"device":{"cpu_name":"CPU"},"trials":64,"seconds":301,
  "verdict":"faster","default":{"median_seconds":0.012,"p20_seconds":0.0119,"p95_seconds":0.013},
  "tuned":{"median_seconds":0.008,"p20_seconds":0.0079,"p95_seconds":0.009,"ratio":0.664,"ratio_low":0.66,"ratio_high":0.67},
  "verified":{"max_error":3.2e-6,"tolerance":1e-4,"inputs":2,"against":"reference schedules"},
  "tasks":[{"label":"conv","weight":2,"seconds":0.004,"share":0.5,"default_seconds":0.006,"floor_seconds":0.003,
  "roofline_fraction":0.75,"algorithm":"winograd m=4","max_error":3.1e-6,"trials":32}]})";

TEST(ReportTest, ShowsBothTimesTheVerdictAndTheTasks) {
  const std::string text = ReportText(*ParseJson(kReport, "report"), nullptr, 0);
  EXPECT_THAT(text, HasSubstr("net for x86-64-v3, threads 2, on CPU  (64 trials, 5m 01s)"));
  EXPECT_THAT(text, HasSubstr("0.664 (0.660 to 0.670)"));
  EXPECT_THAT(text, HasSubstr("verdict: faster, 1.51x the default's speed"));
  EXPECT_THAT(text, HasSubstr("75.0 %"));
  EXPECT_THAT(text, HasSubstr("winograd m=4"));
  EXPECT_THAT(text, HasSubstr("3e-06"));
}

TEST(ReportTest, EmptyReportIsNoCrash) {
  EXPECT_THAT(ReportText(Json::object(), nullptr, 80), HasSubstr("verdict: -"));
}

TEST(BenchTest, MedianIntervalByOrderStatistics) {
  std::vector<double> ratios;
  for (int i = 1; i <= 15; ++i) ratios.push_back(i);
  const RatioInterval interval = MedianInterval(ratios);
  EXPECT_EQ(interval.median, 8);
  EXPECT_EQ(interval.low, 4);  // binomial(15, 1/2): 4th smallest and largest
  EXPECT_EQ(interval.high, 12);
  EXPECT_EQ(MedianInterval({2}).low, 2);
}

v1::RecordExplanation SampleExplanation() {
  v1::RecordExplanation explanation;
  v1::TuningRecord& record = *explanation.mutable_record();
  record.set_name("records/812");
  record.set_job("jobs/7f3a");
  record.set_trial_id("b2.3");
  record.set_model("a<b");
  record.set_task_label("conv");
  record.set_trace("trace 1; algorithm direct");
  record.mutable_measurement()->set_outcome(v1::OUTCOME_OK);
  record.mutable_measurement()->set_p20_seconds(0.9e-3);
  explanation.set_learnt_from(24);
  explanation.set_learnt_from_task(8);
  explanation.set_prior_seconds(1e-3);
  explanation.set_predicted_seconds(0.8e-3);
  explanation.set_bias(std::log(0.8) + 0.2 - 0.1 - 0.001);
  for (const auto& [name, effect] : {std::pair("mr", -0.2), {"winograd_m", 0.1}, {"nv", 0.001}}) {
    v1::FeatureEffect& feature = *explanation.add_features();
    feature.set_feature(name);
    feature.set_value(14);
    feature.set_effect(effect);
  }
  return explanation;
}

TEST(ExplanationTest, ShowsWhatMadeAPrediction) {
  v1::RecordExplanation explanation = SampleExplanation();
  const std::string text = ExplanationText(explanation, 80);
  EXPECT_THAT(text, HasSubstr("record     812, trial b2.3 of job 7f3a (a<b)"));
  EXPECT_THAT(text, HasSubstr("learnt     x 0.800, from 24 measured schedules, 8 of them of this task"));
  EXPECT_THAT(text, HasSubstr("measured   900 us, 1.125 of the prediction"));
  EXPECT_THAT(text, HasSubstr("mr = 14            -18.1 %  ######################### |\n"
                              "winograd_m = 14    +10.5 %                            |#############\n"
                              "1 other             +0.1 %                            |\n"));
  for (const int width : {40, 80, 200}) {
    std::stringstream lines(ExplanationText(explanation, width));
    for (std::string line; std::getline(lines, line);)
      EXPECT_LE(line.size(), static_cast<size_t>(width)) << line;
  }
  const std::string svg = ExplanationSvg(explanation);
  EXPECT_THAT(svg, HasSubstr("a&lt;b"));
  EXPECT_EQ(svg.find("a<b"), std::string::npos);
  EXPECT_THAT(svg, HasSubstr("on average"));
  EXPECT_THAT(svg, HasSubstr("mr = 14"));
  explanation.mutable_record()->mutable_measurement()->set_outcome(v1::OUTCOME_CRASH);
  explanation.mutable_record()->mutable_measurement()->set_message("killed by signal 11");
  EXPECT_THAT(ExplanationText(explanation, 0), HasSubstr("measured   crash: killed by signal 11"));
  EXPECT_THAT(ExplanationSvg(explanation), HasSubstr("crash"));
  v1::RecordExplanation first = SampleExplanation();
  first.set_learnt_from(0);
  EXPECT_EQ(ExplanationText(first, 0).find("effect of"), std::string::npos);
}

TEST(RecordTextTest, CsvQuotesWhatItMust) {
  v1::TuningRecord record;
  record.set_trace("a,\"b\"");
  record.mutable_measurement()->set_outcome(v1::OUTCOME_OK);
  const std::string line = CsvLine(record);
  EXPECT_THAT(line, HasSubstr(",\"a,\"\"b\"\"\"\n"));
  EXPECT_THAT(line, HasSubstr(",ok,"));
  const std::string titles = CsvTitles();
  EXPECT_EQ(std::count(titles.begin(), titles.end(), ','), 25);
}

}  // namespace
}  // namespace hone
