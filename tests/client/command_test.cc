// Whole command lines against the fake server.
#include "client/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "client/error.h"
#include "client/json.h"
#include "proto/values/sha256.h"
#include "tests/client/fake_server.h"
#include "tests/client/tiny_model.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class CommandTest : public ::testing::Test {
 protected:
  CommandTest() : folder_(fs::path(::testing::TempDir()) / "hone_command_test") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    std::ofstream(folder_ / "net.onnx", std::ios::binary) << TinyModel("");
    std::ofstream(folder_ / "cert.pem") << server_.certificate().certificate_pem;
    environment_ = {{"HONE_SERVER", server_.address()},  {"HONE_TOKEN", "secret"},
                    {"HONE_CA", folder_ / "cert.pem"},   {"HONE_HOME", folder_ / "home"},
                    {"HONE_PROGRAMS", folder_ / "none"}, {"HOME", folder_}};
  }

  int Run(const std::vector<std::string>& words) {
    out_.str("");
    err_.str("");
    const int code = RunCommandLine(words, {out_, err_}, [this](const char* name) -> const char* {
      auto it = environment_.find(name);
      return it == environment_.end() ? nullptr : it->second.c_str();
    });
    EXPECT_EQ((out() + err()).find('\x1b'), std::string::npos);  // piped: no colour, no cursor
    return code;
  }
  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }
  std::string model() const { return folder_ / "net.onnx"; }

  // A job that runs once and succeeds with a module of two files.
  void ScriptSuccess() {
    FakeState& state = server_.state();
    v1::Job job;
    job.set_name("jobs/j1");
    job.set_revision(1);
    job.set_state(v1::JOB_STATE_RUNNING);
    job.mutable_progress()->set_phase("tuning");
    job.mutable_progress()->set_trials_done(4);
    state.job_script.push_back(job);
    job.set_revision(2);
    job.set_state(v1::JOB_STATE_SUCCEEDED);
    job.set_module("modules/x");
    job.set_end_time_micros(1);
    state.job_script.push_back(job);
    v1::Module& module = state.modules["modules/x"];
    module.set_name("modules/x");
    module.set_job("jobs/j1");
    module.set_report_json(R"({"model":"net","verdict":"no gain","tasks":[]})");
    for (const char* name : {"net.so", "report.json"}) {
      v1::NamedBlob& file = *module.add_files();
      file.set_name(name);
      file.mutable_blob()->set_sha256(Sha256Hex(name));
      file.mutable_blob()->set_size(strlen(name));
      state.blobs[Sha256Hex(name)] = name;
    }
  }

  FakeServer server_;
  fs::path folder_;
  std::map<std::string, std::string> environment_;
  std::stringstream out_, err_;
};

TEST_F(CommandTest, OptimizeUploadsTunesAndDownloads) {
  ScriptSuccess();
  const std::string out_dir = folder_ / "out";
  ASSERT_EQ(Run({"optimize", model(), "-o", out_dir, "--trials", "8", "--threads", "2", "--shape", "x=1,3",
                 "--seed", "7", "--algorithms", "exact", "--no-onnxruntime"}),
            kExitOk)
      << err();
  const v1::JobSpec& spec = server_.state().created.at(0);
  EXPECT_EQ(spec.model(), "models/m1");
  EXPECT_EQ(spec.budget().trials(), 8u);
  EXPECT_EQ(spec.threads(), 2u);
  EXPECT_EQ(spec.seed(), 7u);
  EXPECT_EQ(spec.algorithms(), "exact");
  EXPECT_EQ(spec.target(), "host");
  EXPECT_EQ(spec.shapes(0).dims(1), 3);
  EXPECT_TRUE(fs::exists(out_dir + "/net.so"));
  EXPECT_EQ(ReadJsonFile(out_dir + "/origin.json")->at("job"), "jobs/j1");
  EXPECT_THAT(out(), HasSubstr("no gain"));
  EXPECT_THAT(err(), HasSubstr("tuning"));
  EXPECT_THAT(out() + err(), Not(HasSubstr("\x1b")));
}

TEST_F(CommandTest, OptimizeJsonIsOneObject) {
  ScriptSuccess();
  ASSERT_EQ(Run({"optimize", model(), "-o", folder_ / "out", "--no-onnxruntime", "--json"}), kExitOk)
      << err();
  auto json = ParseJson(out(), "out");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json->at("report").at("verdict"), "no gain");
  EXPECT_EQ(err(), "");
}

TEST_F(CommandTest, DetachReturnsAtOnce) {
  EXPECT_EQ(Run({"optimize", model(), "--detach"}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("hone job watch j1"));
}

TEST_F(CommandTest, UnsupportedNodesStopBeforeAnythingIsQueued) {
  server_.state().inspect_json =
      R"({"unsupported":[{"node":"n","operator":"Foo","opset":13,"reason":"unknown","remedy":"drop it"}]})";
  EXPECT_EQ(Run({"optimize", model()}), kExitBadInput);
  EXPECT_THAT(err(), HasSubstr("node 'n' (Foo, opset 13): unknown; drop it"));
  EXPECT_TRUE(server_.state().created.empty());
}

TEST_F(CommandTest, OpenDimensionsAskForTheFlag) {
  server_.state().inspect_json =
      R"({"unbound_symbols":["W"],"inputs":[{"name":"x","dtype":"f32","shape":["N",3,48,"W"]}]})";
  EXPECT_EQ(Run({"optimize", model()}), kExitBadInput);
  EXPECT_THAT(err(), HasSubstr("--shape 'x=1,3,48,<W>'"));
}

TEST_F(CommandTest, AFailedJobIsAnErrorWithItsCause) {
  v1::Job job;
  job.set_name("jobs/j1");
  job.set_state(v1::JOB_STATE_FAILED);
  job.set_error("node 'n': shapes do not agree");
  job.set_end_time_micros(1);
  server_.state().job_script = {job};
  EXPECT_EQ(Run({"optimize", model(), "-o", folder_ / "out"}), kExitFailure);
  EXPECT_THAT(err(), HasSubstr("shapes do not agree"));
  EXPECT_THAT(err(), HasSubstr("hone job logs j1"));
}

TEST_F(CommandTest, BadInputIsRefusedBeforeConnecting) {
  environment_["HONE_SERVER"] = "127.0.0.1:1";
  std::ofstream(folder_ / "bad.onnx") << "\x3a\x7f";
  EXPECT_EQ(Run({"optimize", folder_ / "bad.onnx"}), kExitBadInput);
  EXPECT_THAT(err(), HasSubstr("not a readable ONNX file"));
  EXPECT_EQ(Run({"optimize", folder_ / "nowhere.onnx"}), kExitNotFound);
  EXPECT_EQ(Run({"optimize", model(), "--budget", "soon"}), kExitUsage);
  EXPECT_EQ(Run({"optimize", model(), "--trials", "-5"}), kExitUsage);
  EXPECT_EQ(Run({"optimize", model(), "--strategy", "magic"}), kExitUsage);
  EXPECT_EQ(Run({"optimize", model()}), kExitUnreachable);
  EXPECT_THAT(err(), HasSubstr("remedy: "));
}

TEST_F(CommandTest, TokenAndCertificateErrorsSayWhatToSet) {
  environment_.erase("HONE_TOKEN");
  EXPECT_EQ(Run({"job", "list"}), kExitDenied);
  EXPECT_THAT(err(), HasSubstr("HONE_TOKEN"));
  environment_["HONE_TOKEN"] = "wrong";
  EXPECT_EQ(Run({"job", "list", "--json"}), kExitDenied);
  EXPECT_EQ(ParseJson(err(), "err")->at("error").at("code"), "UNAUTHENTICATED");
  EXPECT_EQ(ParseJson(err(), "err")->at("error").at("request").get<std::string>().size(), 32u);
  environment_.erase("HONE_CA");
  EXPECT_EQ(Run({"job", "list"}), kExitBadInput);
  EXPECT_THAT(err(), HasSubstr("HONE_CA"));
}

TEST_F(CommandTest, InspectPrintsTheReportAndFailsOnUnsupported) {
  server_.state().inspect_json =
      R"({"model":"net","opset":13,"nodes":3,"inputs":[{"name":"x","dtype":"f32","shape":[1,3]}],"outputs":[],
          "operators":{"Conv":2},"flops":2e9,"constant_bytes":1000,"tasks":[{"label":"conv","weight":2,"flops":1e9}],
          "estimated_tuning_seconds":90})";
  EXPECT_EQ(Run({"inspect", model()}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("input   x f32 [1,3]"));
  EXPECT_THAT(out(), HasSubstr("2.00 GFLOP"));
  EXPECT_THAT(out(), HasSubstr("1m 30s"));
  server_.state().dump_text = "cut text\n";
  EXPECT_EQ(Run({"dump", model(), "--after=cut"}), kExitOk);
  EXPECT_EQ(out(), "cut text\n");
}

TEST_F(CommandTest, JobsAreFoundByTheBeginningOfTheirId) {
  for (const char* name : {"jobs/ab1", "jobs/ab2", "jobs/c3"}) server_.state().jobs[name].set_name(name);
  EXPECT_EQ(Run({"job", "show", "c"}), kExitOk) << err();
  EXPECT_EQ(Run({"job", "show", "ab"}), kExitBadInput);
  EXPECT_THAT(err(), HasSubstr("several"));
  EXPECT_EQ(Run({"job", "show", "zz"}), kExitNotFound);
  EXPECT_EQ(Run({"job", "cancel", "c3"}), kExitOk);
  EXPECT_EQ(server_.state().cancelled.at(0), "jobs/c3");
  EXPECT_EQ(Run({"module", "download", "c3"}), kExitBadInput);
  EXPECT_THAT(err(), HasSubstr("hone job watch c3"));
}

TEST_F(CommandTest, AnEndedJobIsResumedWithMoreBudget) {
  v1::Job& job = server_.state().jobs["jobs/j1"];
  job.set_name("jobs/j1");
  EXPECT_EQ(Run({"job", "resume", "j1"}), kExitBadInput);
  EXPECT_THAT(err(), HasSubstr("hone job watch j1"));
  job.set_state(v1::JOB_STATE_CANCELLED);
  job.set_end_time_micros(1);
  job.mutable_progress()->set_trials_done(12);
  EXPECT_EQ(Run({"job", "resume", "j1", "--budget", "soon"}), kExitUsage);
  EXPECT_EQ(Run({"job", "resume", "j1"}), kExitOk) << err();
  EXPECT_THAT(out(), HasSubstr("goes on after 12 trials"));
  EXPECT_EQ(Run({"job", "resume", "j1", "--budget", "5m,100trials", "--json"}), kExitOk) << err();
  EXPECT_EQ(ParseJson(out(), "out")->at("state"), "JOB_STATE_QUEUED");
  ASSERT_EQ(server_.state().resumed.size(), 2u);
  EXPECT_FALSE(server_.state().resumed[0].has_budget());
  EXPECT_EQ(server_.state().resumed[1].budget().trials(), 100u);
  EXPECT_EQ(server_.state().resumed[1].budget().seconds(), 300);
  EXPECT_NE(server_.state().resumed[0].request_id(), server_.state().resumed[1].request_id());
}

TEST_F(CommandTest, ModuleDownloadTakesJobOrModule) {
  ScriptSuccess();
  server_.state().jobs["jobs/j1"] = server_.state().job_script.back();
  EXPECT_EQ(Run({"module", "download", "j1", "-o", folder_ / "a"}), kExitOk) << err();
  EXPECT_EQ(Run({"module", "download", "x", "-o", folder_ / "b"}), kExitOk) << err();
  EXPECT_TRUE(fs::exists(folder_ / "a/net.so") && fs::exists(folder_ / "b/report.json"));
}

TEST_F(CommandTest, LogQueryPagesAndExportTakesAll) {
  for (int i = 0; i < 5; ++i) {
    v1::TuningRecord& record = server_.state().records.emplace_back();
    record.set_trial_id("b1." + std::to_string(i));
    record.set_trace("algorithm direct; tile ow 7");
    record.mutable_measurement()->set_outcome(v1::OUTCOME_OK);
  }
  EXPECT_EQ(Run({"log", "query", "status=\"ok\"", "--limit", "2"}), kExitOk);
  EXPECT_EQ(server_.state().filters.at(0), "status=\"ok\"");
  EXPECT_THAT(out(), HasSubstr("b1.1"));
  EXPECT_THAT(err(), HasSubstr("--page 2"));
  EXPECT_EQ(Run({"log", "query", "--limit", "4"}), kExitOk);  // over two of the server's pages
  EXPECT_THAT(out(), HasSubstr("b1.3"));
  EXPECT_THAT(out(), Not(HasSubstr("b1.4")));
  EXPECT_THAT(err(), HasSubstr("--page 4"));
  EXPECT_EQ(Run({"log", "query", "--limit", "all", "--json"}), kExitOk);
  EXPECT_EQ(ParseJson(out(), "out")->at("records").size(), 5u);
  EXPECT_EQ(ParseJson(out(), "out")->at("next_page_token"), "");
  EXPECT_EQ(Run({"log", "query", "--limit", "some"}), kExitUsage);
  EXPECT_EQ(Run({"log", "query", "--page", "4"}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("b1.4"));
  EXPECT_EQ(Run({"log", "export", "--format", "csv"}), kExitOk);
  const std::string csv = out();
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 6);
  EXPECT_EQ(Run({"log", "export", "-o", folder_ / "log.jsonl"}), kExitOk);
  std::ifstream lines(folder_ / "log.jsonl");
  std::string line;
  int count = 0;
  for (; std::getline(lines, line); ++count) EXPECT_TRUE(ParseJson(line, "line").ok());
  EXPECT_EQ(count, 5);
  EXPECT_EQ(Run({"log", "query", "bad("}), kExitBadInput);
  EXPECT_EQ(Run({"log", "export", "--format", "xml"}), kExitUsage);
}

TEST_F(CommandTest, ExplainTakesARecordOrAJobsBestTrial) {
  v1::Job& job = server_.state().jobs["jobs/j1"];
  job.set_name("jobs/j1");
  for (const auto& [task, seconds] : {std::pair("aa", 1e-3), {"bb", 2e-3}}) {
    v1::TaskProgress& progress = *job.mutable_progress()->add_tasks();
    progress.set_task_id(task);
    progress.set_weight(1);
    progress.set_best_seconds(seconds);
  }
  for (const double seconds : {3e-3, 1e-3, 2e-3}) {
    v1::TuningRecord& record = server_.state().records.emplace_back();
    record.set_name("records/" + std::to_string(server_.state().records.size()));
    record.set_trace("trace 1; algorithm direct");
    record.mutable_measurement()->set_p20_seconds(seconds);
  }
  v1::TuningRecord& incumbent = server_.state().records.emplace_back();
  incumbent.set_name("records/4");  // the fastest, but without a schedule of its own
  incumbent.mutable_measurement()->set_p20_seconds(1e-4);
  EXPECT_EQ(Run({"log", "explain", "3"}), kExitOk) << err();
  EXPECT_THAT(out(), HasSubstr("record     3"));
  EXPECT_EQ(Run({"log", "explain", "--job", "j1"}), kExitOk) << err();
  EXPECT_THAT(server_.state().filters.back(), HasSubstr("task=\"bb\""));
  EXPECT_EQ(Run({"log", "explain", "--job", "j1", "--task", "a", "--json"}), kExitOk) << err();
  EXPECT_THAT(server_.state().filters.back(), HasSubstr("task=\"aa\""));
  EXPECT_EQ(ParseJson(out(), "out")->at("prior_seconds"), 1e-3);
  EXPECT_THAT(server_.state().explained, ::testing::ElementsAre("records/3", "records/2", "records/2"));
  EXPECT_EQ(Run({"log", "explain", "3", "-o", folder_ / "x.svg"}), kExitOk) << err();
  EXPECT_EQ(out(), "");
  EXPECT_GT(fs::file_size(folder_ / "x.svg"), 500u);
  EXPECT_EQ(Run({"log", "explain", "--job", "j1", "--task", "cc"}), kExitNotFound);
  EXPECT_EQ(Run({"log", "explain"}), kExitUsage);
  EXPECT_EQ(Run({"log", "explain", "3", "--job", "j1"}), kExitUsage);
}

TEST_F(CommandTest, LogTailGivesEachRecordOnce) {
  for (int i = 0; i < 5; ++i) server_.state().records.emplace_back().set_trial_id("b1." + std::to_string(i));
  EXPECT_EQ(Run({"log", "tail", "status=\"ok\"", "--for", "1ms", "--json"}), kExitOk) << err();
  const std::string lines = out();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 5);
  EXPECT_THAT(server_.state().filters.at(0), HasSubstr("(status=\"ok\") AND create_time>=\"20"));
  EXPECT_EQ(Run({"log", "tail", "--for", "1ms"}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("b1.4"));
}

TEST_F(CommandTest, WorkersAndVersion) {
  v1::Worker& worker = server_.state().workers.emplace_back();
  worker.set_name("workers/w1");
  worker.set_state("idle");
  worker.mutable_device()->set_cpu_name("CPU");
  (*worker.mutable_device()->mutable_calibration()->mutable_fma_gflops())["x86-64-v3"] = 118.2;
  EXPECT_EQ(Run({"worker", "list"}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("idle"));
  EXPECT_EQ(Run({"worker", "show", "w"}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("118.2 GFLOP/s"));
  EXPECT_EQ(Run({"worker", "drain", "w"}), kExitOk);
  EXPECT_EQ(Run({"worker", "list"}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("draining"));
  EXPECT_EQ(Run({"worker", "release", "w"}), kExitOk);
  EXPECT_EQ(server_.state().workers[0].hold(), "");
  EXPECT_EQ(Run({"version"}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("9.9.9"));
  environment_.erase("HONE_SERVER");
  EXPECT_EQ(Run({"version"}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("not running"));
}

TEST_F(CommandTest, ModelsAreListedAndDeleted) {
  for (const char* id : {"aa11", "ab22"}) {
    v1::Model& model = server_.state().listed_models.emplace_back();
    model.set_name(std::string("models/") + id);
    model.set_display_name("net");
  }
  EXPECT_EQ(Run({"model", "list"}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("ab22"));
  EXPECT_EQ(Run({"model", "delete", "a"}), kExitBadInput);
  EXPECT_EQ(Run({"model", "delete", "aa"}), kExitOk) << err();
  EXPECT_EQ(server_.state().listed_models.size(), 1u);
  EXPECT_EQ(Run({"model", "delete", "aa"}), kExitNotFound);
}

TEST_F(CommandTest, JobPlotShowsTheBestSoFar) {
  v1::Job job;
  job.set_name("jobs/j1");
  job.set_model_display_name("a<b");
  v1::TaskProgress& task = *job.mutable_progress()->add_tasks();
  task.set_task_id("t");
  task.set_weight(2);
  task.set_default_seconds(4e-3);
  server_.state().jobs["jobs/j1"] = job;
  EXPECT_EQ(Run({"job", "plot", "j1"}), kExitOk);
  EXPECT_THAT(err(), HasSubstr("nothing was measured"));
  for (double seconds : {3e-3, 5e-3, 1e-3}) {
    v1::TuningRecord& record = server_.state().records.emplace_back();
    record.set_task_id("t");
    record.mutable_measurement()->set_outcome(v1::OUTCOME_OK);
    record.mutable_measurement()->set_p20_seconds(seconds);
  }
  EXPECT_EQ(Run({"job", "plot", "j1", "--json"}), kExitOk);
  const Json points = ParseJson(out(), "out")->at("points");
  ASSERT_EQ(points.size(), 3u);
  EXPECT_DOUBLE_EQ(points[1].at("predicted_seconds").get<double>(), 6e-3);
  EXPECT_DOUBLE_EQ(points[2].at("predicted_seconds").get<double>(), 2e-3);
  EXPECT_EQ(Run({"job", "plot", "j1"}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("6.00 ms |*"));
  EXPECT_EQ(Run({"job", "plot", "j1", "-o", folder_ / "x.svg"}), kExitOk);
  std::stringstream svg;
  svg << std::ifstream(folder_ / "x.svg").rdbuf();
  EXPECT_THAT(svg.str(), HasSubstr("a&lt;b"));
}

TEST_F(CommandTest, CompletionComesFromTheTable) {
  EXPECT_EQ(Run({"completion", "tcsh"}), kExitUsage);
  for (const char* shell : {"bash", "zsh", "fish"}) {
    EXPECT_EQ(Run({"completion", shell}), kExitOk);
    EXPECT_THAT(out(), HasSubstr("fail-if-slower")) << shell;
  }
  ASSERT_EQ(Run({"completion", "bash"}), kExitOk);
  std::ofstream(folder_ / "hone.bash")
      << out() << "try() { COMP_WORDS=(hone \"$@\"); COMP_CWORD=$#; _hone; echo \"${COMPREPLY[*]}\"; }\n"
      << "try opt; try job sh; try job list --li; try bench --wi; try optimize mod\n";
  FILE* bash = popen(("bash " + (folder_ / "hone.bash").string()).c_str(), "r");
  char text[200] = {};
  ASSERT_GT(fread(text, 1, sizeof(text) - 1, bash), 0u);
  EXPECT_EQ(pclose(bash), 0);
  EXPECT_STREQ(text, "optimize\nshow\n--limit\n--window\n\n");
}

TEST_F(CommandTest, HelpListsExitCodes) {
  EXPECT_EQ(Run({"help", "exit-codes"}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("130  interrupted"));
  EXPECT_EQ(Run({"help", "exit-codes", "--json"}), kExitOk);
  EXPECT_EQ(ParseJson(out(), "out")->back().at("code"), 130);
  EXPECT_EQ(Run({"help", "job", "list"}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("usage: hone job list"));
}

TEST_F(CommandTest, ProfileShowsTheTasksBesideTheReport) {
  const fs::path module = fs::read_symlink("/proc/self/exe").parent_path() / "hone_test_relu.so";
  fs::copy_file(module, folder_ / "relu.so");
  auto profile = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"profile", folder_, "--rounds", "2", "--window", "1ms"});
    return Run(more);
  };
  ASSERT_EQ(profile({}), kExitOk) << err();
  EXPECT_THAT(out(), HasSubstr("relu, threads 1: a run takes"));
  EXPECT_THAT(out(), Not(HasSubstr("alone:")));
  std::ofstream(folder_ / "report.json") << R"({"threads":1,"tasks":[{"task_id":"4e1","measured":true,"seconds":2e-9,
      "floor_seconds":1e-9}]})";
  ASSERT_EQ(profile({"--json"}), kExitOk) << err();
  const auto json = ParseJson(out(), "out");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_GE(json->at("runs"), 1);
  const Json& task = json->at("tasks").at(0);
  EXPECT_EQ(task.at("algorithm"), "direct");
  EXPECT_EQ(task.at("calls"), 1);
  EXPECT_EQ(task.at("alone_seconds"), 2e-9);
  EXPECT_LE(task.at("seconds").get<double>() + json->at("copy_seconds").get<double>(),
            1.5 * json->at("run_seconds").get<double>() + 1e-6);
  ASSERT_EQ(profile({}), kExitOk) << err();
  EXPECT_THAT(out(), HasSubstr("tasks measured alone: 2.00 ns together"));
}

TEST_F(CommandTest, CompareGatesAndLeavesEvidence) {
  const std::string module = fs::read_symlink("/proc/self/exe").parent_path() / "hone_test_relu.so";
  const std::string file = folder_ / "evidence.json";
  auto compare = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"compare", module, module, "--rounds", "6", "--window", "1ms"});
    return Run(more);
  };
  ASSERT_EQ(compare({"--fail-if-slower", "100000%", "--evidence", file}), kExitOk) << err();
  EXPECT_THAT(out(), HasSubstr("verdict: not slower"));
  auto evidence = ReadJsonFile(file);
  ASSERT_TRUE(evidence.ok()) << evidence.status();
  EXPECT_EQ(evidence->at("candidate").at("rounds_seconds").size(), 6u);
  EXPECT_EQ(evidence->at("baseline").at("sha256"), evidence->at("candidate").at("sha256"));
  EXPECT_EQ(evidence->at("verdict"), "not slower");
  EXPECT_EQ(compare({"--json"}), kExitOk);
  EXPECT_TRUE(ParseJson(out(), "out").ok());
  EXPECT_EQ(compare({"--fail-if-slower", "2"}), kExitUsage);
  EXPECT_EQ(compare({"--rounds", "5"}), kExitUsage);
  EXPECT_EQ(Run({"compare", module, "/nowhere"}), kExitNotFound);
}

TEST_F(CommandTest, WithoutAServerProgramUpSaysSo) {
  environment_.erase("HONE_SERVER");
  EXPECT_NE(Run({"up", "--timeout", "5s"}), kExitOk);
  EXPECT_THAT(err(), HasSubstr("hone-server"));
  EXPECT_EQ(Run({"down"}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("nothing was running"));
}

TEST_F(CommandTest, EveryCommandHasHelpWithExamplesAndRefusesUnknownOptions) {
  for (const Command& command : Commands()) {
    const std::string help = CommandHelp(command, 0);
    EXPECT_THAT(help, HasSubstr("examples:\n  hone ")) << command.name;
    std::vector<std::string> words;
    std::stringstream name(command.name);
    for (std::string word; name >> word;) words.push_back(word);
    words.push_back("--no-such-option");
    EXPECT_EQ(Run(words), kExitUsage) << command.name;
  }
  EXPECT_EQ(Run({"job"}), kExitUsage);
  EXPECT_THAT(err(), HasSubstr("hone job list|show|watch"));
  EXPECT_EQ(Run({"job", "lst"}), kExitUsage);
  EXPECT_THAT(err(), HasSubstr("did you mean hone job list?"));
  for (const std::vector<std::string>& words : {std::vector<std::string>{"job", "--help"}, {"help", "job"}}) {
    EXPECT_EQ(Run(words), kExitOk);
    EXPECT_THAT(out(), HasSubstr("job cancel"));
    EXPECT_THAT(out(), Not(HasSubstr("model list")));
  }
  EXPECT_EQ(Run({"jobs", "--help"}), kExitUsage);
  EXPECT_THAT(err(), HasSubstr("did you mean hone job?"));
  EXPECT_EQ(Run({"--colour"}), kExitUsage);
  EXPECT_EQ(out(), "");
  EXPECT_EQ(Run({"optimise"}), kExitUsage);
  EXPECT_THAT(err(), HasSubstr("hone optimize"));
  EXPECT_EQ(Run({}), kExitUsage);
}

// Only lines that cannot be broken (usage, examples) may be wider than the terminal.
TEST_F(CommandTest, HelpFitsTheTerminal) {
  for (const int width : {40, 80, 200}) {
    std::string text = OverviewHelp(width) + GroupHelp("job", width);
    for (const Command& command : Commands()) {
      const std::string help = CommandHelp(command, width);
      text += help.substr(0, help.find("\nexamples:"));
    }
    std::stringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("hone ") < 8) continue;
      EXPECT_LE(line.size(), static_cast<size_t>(width)) << line;
    }
  }
}

// The whole help against tests/client/golden/help.txt. HONE_UPDATE_GOLDENS=1 writes it.
TEST_F(CommandTest, HelpIsTheGolden) {
  std::string help = OverviewHelp(0);
  for (const Command& command : Commands()) help += "\n--------\n" + CommandHelp(command, 0);
  const char* path = "tests/client/golden/help.txt";
  if (getenv("HONE_UPDATE_GOLDENS") != nullptr) std::ofstream(path) << help;
  std::stringstream golden;
  golden << std::ifstream(path).rdbuf();
  EXPECT_EQ(help, golden.str()) << "if the change is meant: HONE_UPDATE_GOLDENS=1 "
                                << "build/bin/hone_client_test";
}

}  // namespace
}  // namespace hone
