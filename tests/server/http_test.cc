// The HTTP side of a real hone-server process: probes, the dashboard's files, the reading API and its limits.
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <regex>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "proto/values/sha256.h"
#include "tests/server/fake_worker.h"
#include "tests/server/server_process.h"

namespace hone {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct Answer : HttpAnswer {
  json Json() const { return json::parse(body, nullptr, /*allow_exceptions=*/false); }
};

class HttpTest : public testing::Test {
 protected:
  HttpTest() : server_(folder_.path() + "/data") {
    server_.Start();
    address_ = server_.Http();  // that file goes when the server begins to stop
  }

  Answer Send(const std::string& request) const { return {SendHttp(address_, request)}; }
  Answer Get(const std::string& path, const std::string& token = "") const {
    return {GetHttp(address_, path, token)};
  }
  Answer Api(const std::string& call) const { return Get("/api/" + call, server_.AdminToken()); }

  TemporaryFolder folder_;
  ServerProcess server_;
  std::string address_;
};

TEST_F(HttpTest, AnswersProbesAndRefusesNonsense) {
  EXPECT_EQ(Get("/healthz").status, 200);
  EXPECT_EQ(Get("/readyz").status, 200);
  EXPECT_EQ(Get("/../../etc/passwd").status, 404);
  EXPECT_EQ(Get("/healthz/").status, 404);
  EXPECT_EQ(Send("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").status, 405);
  EXPECT_NE(Send("nonsense\r\n\r\n").status, 200);
  EXPECT_NE(Send("GET /" + std::string(100'000, 'a')).status, 200);
  EXPECT_NE(Send("GET /healthz HTTP/1.1\r\nX: " + std::string(100'000, 'a') + "\r\n\r\n").status, 200);
  EXPECT_EQ(Get("/healthz").status, 200);
}

TEST_F(HttpTest, MetricsAreInPrometheusTextAndHoldNoSecret) {
  Caller caller(server_.Channel(server_.AdminToken()));
  caller.CreateJob(caller.CreateModel("batches=1 trials=1").name());
  const std::string stranger(64, 'e');
  EXPECT_FALSE(Call(server_.Channel(stranger), "/hone.v1.JobService/ListJobs").ok());
  EXPECT_FALSE(Call(server_.Channel(server_.AdminToken()), "/hone.v1.JobService/" + stranger).ok());
  Answer answer = Get("/metrics");
  const absl::Time begun = absl::Now();   // hone-job is under way a little later
  while (answer.body.find("state=\"running\"") == std::string::npos && absl::Now() < begun + absl::Seconds(20)) {
    absl::SleepFor(absl::Milliseconds(20));
    answer = Get("/metrics");
  }
  EXPECT_THAT(answer.head, HasSubstr("text/plain; version=0.0.4"));
  for (const char* part :
       {"\nhone_jobs{state=\"running\"} 1\n", "\nhone_calls_total{method=\"/hone.v1.JobService/CreateJob\",code=\"OK\"} 1\n",
        "\nhone_call_seconds_bucket{method=\"/hone.v1.JobService/CreateJob\",le=\"+Inf\"} 1\n",
        "\nhone_calls_refused_total{code=\"UNAUTHENTICATED\"} 1\n", "\nhone_wal_bytes ", "\nprocess_open_fds "}) {
    EXPECT_THAT(answer.body, HasSubstr(part));
  }
  const std::regex line("# HELP [a-z_]+ [^{}]+|# TYPE [a-z_]+ (counter|gauge|histogram)|"
                        "[a-z_]+(\\{([a-z]+=\"[^\"]*\",?)+\\})? [0-9.e+-]+");
  for (const std::string& text : std::vector<std::string>(absl::StrSplit(answer.body, '\n', absl::SkipEmpty())))
    EXPECT_TRUE(std::regex_match(text, line)) << text;
  for (const std::string& secret : {stranger, server_.AdminToken(), server_.EnrolToken()})
    EXPECT_THAT(answer.body, Not(HasSubstr(secret)));
}

TEST_F(HttpTest, WhileItStopsCallsUnderWayEndAndNewOnesAreRefused) {
  Caller caller(server_.Channel(server_.AdminToken()));
  v1::UploadBlobRequest part;
  part.mutable_blob()->set_sha256(Sha256Hex("bytes"));
  part.mutable_blob()->set_size(5);
  part.set_data("by");
  v1::BlobStatus blob;
  auto context = Caller::Context();
  auto upload = caller.blobs->UploadBlob(context.get(), &blob);
  ASSERT_TRUE(upload->Write(part));
  while (Get("/metrics").body.find("hone_calls_under_way 1\n") == std::string::npos) std::this_thread::yield();
  kill(server_.pid(), SIGTERM);
  while (Get("/readyz").status == 200) std::this_thread::yield();
  EXPECT_THAT(Get("/readyz").body, HasSubstr("stopping"));
  EXPECT_EQ(Get("/healthz").status, 200);
  v1::ListJobsResponse jobs;
  grpc::Status refused;
  for (int i = 0; i < 100 && refused.ok(); ++i) {   // it says so before it is so
    refused = caller.jobs->ListJobs(Caller::Context().get(), {}, &jobs);
  }
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(refused.error_message(), HasSubstr("is stopping; call again"));
  part.set_data("tes");
  part.clear_blob();
  ASSERT_TRUE(upload->Write(part));
  upload->WritesDone();
  EXPECT_TRUE(upload->Finish().ok());
  EXPECT_TRUE(blob.complete());
  const int status = server_.Stop(0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(HttpTest, ServesThePageUnderAStrictPolicy) {
  const std::pair<const char*, const char*> kPages[] = {
      {"/", "text/html"}, {"/main.js", "text/javascript"}, {"/style.css", "text/css"}};
  for (const auto& [path, type] : kPages) {
    const Answer answer = Get(path);
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_THAT(answer.head, HasSubstr(type)) << path;
    EXPECT_THAT(answer.head, HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self';")) << path;
    EXPECT_THAT(answer.body, Not(IsEmpty())) << path;
    EXPECT_THAT(answer.body, Not(HasSubstr("innerHTML"))) << path;
  }
}

TEST_F(HttpTest, AsksForATokenWithTheRole) {
  const struct {
    std::string token;
    int status;
  } kCallers[] = {{"", 401},
                  {std::string(64, '0'), 401},
                  {"%s%n'; --", 401},
                  {server_.EnrolToken(), 403},
                  {server_.AdminToken(), 200}};
  for (const auto& caller : kCallers) EXPECT_EQ(Get("/api/JobService/ListJobs", caller.token).status, caller.status);
  EXPECT_THAT(Get("/api/JobService/ListJobs").head, HasSubstr("WWW-Authenticate: Bearer"));
  EXPECT_EQ(Get("/api/JobService/ListJobs?token=" + server_.AdminToken()).status, 401);
  EXPECT_THAT(server_.Read("../data.log"), Not(HasSubstr(server_.AdminToken())));
}

TEST_F(HttpTest, OnlyReads) {
  for (const char* method : {"JobService/CancelJob", "JobService/CreateJob", "ModelService/DeleteModel",
                             "WorkerService/Enrol", "JobService/../JobService/ListJobs", "", "x"})
    EXPECT_EQ(Api(method).status, 404) << method;
  EXPECT_EQ(Api("JobService/ListJobs?nonsense=1").status, 400);
  EXPECT_EQ(Api("JobService/ListJobs?page_size=many").status, 400);
  EXPECT_EQ(Api("JobService/GetJob?name=jobs/none").status, 404);
  const Answer bad = Api("RecordService/ListRecords?filter=%22");
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.Json()["code"], "INVALID_ARGUMENT");
}

TEST_F(HttpTest, TellsJobsTrialsAndWorkersAsJson) {
  const std::string hostile = "<img src=x onerror=alert(1)>\"'&";
  FakeWorker worker(server_);
  worker.Start();
  Caller caller(server_.Channel(server_.AdminToken()));
  const v1::Job job = caller.CreateJob(caller.CreateModel("batches=2 trials=4", hostile).name());
  EXPECT_EQ(caller.WaitForEnd(job.name()).state(), v1::JOB_STATE_SUCCEEDED);
  const json listed = Api("JobService/ListJobs?page_size=10").Json();
  ASSERT_EQ(listed["jobs"].size(), 1u) << listed;
  EXPECT_EQ(listed["jobs"][0]["model_display_name"], hostile);
  EXPECT_EQ(listed["jobs"][0]["state"], "JOB_STATE_SUCCEEDED");
  EXPECT_EQ(listed["next_page_token"], "");
  EXPECT_EQ(Api("JobService/GetJob?name=" + job.name()).Json(), listed["jobs"][0]);
  const std::string id = job.name().substr(job.name().find('/') + 1);
  const json log = Api(absl::StrCat("RecordService/ListRecords?filter=job%3D%22", id, "%22%20AND%20batch%3E%3D0")).Json();
  ASSERT_THAT(log["records"], Not(IsEmpty())) << log;
  EXPECT_TRUE(log["records"][0]["measurement"]["p20_seconds"].is_number());
  EXPECT_EQ(Api("WorkerService/ListWorkers").Json()["workers"][0]["name"], worker.name);
  EXPECT_EQ(Api("ModuleService/ListModules").Json()["modules"][0]["job"], job.name());
  worker.Stop();
}

TEST_F(HttpTest, IdleConnectionsAreBounded) {
  std::vector<FileDescriptor> idle;
  for (int i = 0; i < 200; ++i) idle.push_back(Connect(server_.Http()));
  Caller caller(server_.Channel(server_.AdminToken()));
  v1::ServerInfo info;
  EXPECT_TRUE(caller.server->GetServerInfo(Caller::Context().get(), {}, &info).ok());
  idle.clear();
  Answer answer;
  for (int i = 0; i < 1000 && answer.status == 0; ++i) answer = Get("/healthz");  // closed ones are reaped soon
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(server_.Stop(SIGTERM), 0);
}

}  // namespace
}  // namespace hone
