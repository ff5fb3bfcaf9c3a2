// The API's edge through a real hone-server process: who may call what, and what bad input gets.
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/certificates/certificate_request.h"
#include "proto/values/file_descriptor.h"
#include "proto/values/sha256.h"
#include "server/auth/certificate.h"
#include "tests/server/fake_worker.h"
#include "tests/server/server_process.h"

namespace hone {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class ApiTest : public testing::Test {
 protected:
  ApiTest() : server_(folder_.path() + "/data") { server_.Start(); }

  TemporaryFolder folder_;
  ServerProcess server_;
};

TEST_F(ApiTest, AWorkerSpeaksOnlyForItself) {
  const FakeWorker one(server_), two(server_);
  Caller caller(server_.Channel(one.identity));
  v1::SynchronizeRequest request;
  request.set_worker(two.name);
  v1::SynchronizeResponse response;
  EXPECT_EQ(caller.workers->Synchronize(Caller::Context().get(), request, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  request.set_worker(one.name);
  EXPECT_TRUE(caller.workers->Synchronize(Caller::Context().get(), request, &response).ok());
  request.set_accepts_lease(true);  // without a device
  EXPECT_EQ(caller.workers->Synchronize(Caller::Context().get(), request, &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(ApiTest, EnrollingTwiceWithOneRequestIsOneWorker) {
  const CertificateRequest asked = *MakeCertificateRequest(), other = *MakeCertificateRequest();
  Caller joining(server_.Channel(server_.EnrolToken()));
  v1::EnrolRequest request;
  request.set_request_id("r1");
  request.set_certificate_request(asked.request);
  v1::EnrolResponse first, second;
  ASSERT_TRUE(joining.workers->Enrol(Caller::Context().get(), request, &first).ok());
  ASSERT_TRUE(joining.workers->Enrol(Caller::Context().get(), request, &second).ok());
  EXPECT_EQ(first.worker(), second.worker());
  for (const v1::EnrolResponse& response : {first, second}) {  // the worker has one of them, whichever
    const WorkerIdentity worker{response.worker(), asked.private_key, response.certificate()};
    EXPECT_TRUE(Call(server_.Channel(worker), "/hone.v1.ServerService/GetServerInfo").ok());
  }
  request.set_certificate_request(other.request);  // whoever knows the request_id does not become this worker
  EXPECT_EQ(joining.workers->Enrol(Caller::Context().get(), request, &second).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ApiTest, AWrongCertificateIsNoServer) {
  const CertificatePem other = *MakeServerCertificate("");
  const auto channel = server_.Channel(server_.AdminToken(), other.certificate);
  EXPECT_FALSE(channel->WaitForConnected(absl::ToChronoTime(absl::Now() + absl::Milliseconds(500))));
  EXPECT_TRUE(Call(server_.Channel(server_.AdminToken()), "/hone.v1.ServerService/GetServerInfo").ok());
}

TEST_F(ApiTest, SecretsAreTheOwnersAlone) {
  for (const char* name : {"", "/admin.token", "/enrol.token", "/tls/key.pem", "/tls/workers.pem",
                           "/endpoint.json", "/hone.db"}) {
    struct stat info;
    ASSERT_EQ(stat((folder_.path() + "/data" + name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 077, 0u) << name;
  }
  EXPECT_THAT(server_.Read("hone.db") + server_.Read("hone.db-wal"), Not(HasSubstr(server_.AdminToken())));
}

TEST_F(ApiTest, AFolderHasOneServer) {
  ServerProcess second(folder_.path() + "/data");
  const std::string command = absl::StrCat(HONE_SERVER_BINARY, " --data-dir ", folder_.path(), "/data 2>&1");
  FILE* pipe = popen(command.c_str(), "r");
  char text[256] = {};
  EXPECT_NE(fgets(text, sizeof(text), pipe), nullptr);
  EXPECT_NE(pclose(pipe), 0);
  EXPECT_THAT(text, HasSubstr("another hone-server uses"));
}

TEST_F(ApiTest, BadUploadsAreRefusedAndTheServerServesOn) {
  Caller caller(server_.Channel(server_.AdminToken()));
  v1::BlobStatus blob;
  const std::string content(3 << 20, 'x');
  grpc::Status status = caller.Upload(content, &blob, 2 << 20);  // chunks of 2 MiB
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("at most 1048576"));

  const auto stream = [&](const v1::UploadBlobRequest& request) {
    auto context = Caller::Context();
    auto writer = caller.blobs->UploadBlob(context.get(), &blob);
    writer->Write(request);
    writer->WritesDone();
    return writer->Finish();
  };
  v1::UploadBlobRequest request;
  request.mutable_blob()->set_sha256("../../etc/passwd");
  EXPECT_EQ(stream(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.mutable_blob()->set_sha256(Sha256Hex("right"));
  request.mutable_blob()->set_size(5);
  request.set_data("wrong");
  EXPECT_EQ(stream(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_offset(3);
  EXPECT_EQ(stream(request).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  request.set_offset(0);
  request.set_data("right and more");
  EXPECT_EQ(stream(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.mutable_blob()->set_size(10ull << 40);  // 10 TB
  EXPECT_EQ(stream(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  {
    auto context = Caller::Context();
    auto writer = caller.blobs->UploadBlob(context.get(), &blob);
    writer->WritesDone();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  v1::DownloadBlobRequest download;
  download.set_sha256(Sha256Hex("never uploaded"));
  auto context = Caller::Context();
  EXPECT_EQ(caller.blobs->DownloadBlob(context.get(), download)->Finish().error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(caller.Upload(content, &blob).ok());
  EXPECT_EQ(caller.Download(Sha256Hex(content)), content);
}

TEST_F(ApiTest, AnUploadResumesAfterACutAndAKilledServer) {
  std::string content;
  for (int i = 0; content.size() < (5 << 20); ++i) absl::StrAppend(&content, i, ",");
  v1::UploadBlobRequest request;
  request.mutable_blob()->set_sha256(Sha256Hex(content));
  request.mutable_blob()->set_size(content.size());
  v1::QueryBlobRequest query;
  query.set_sha256(Sha256Hex(content));
  v1::BlobStatus blob;
  uint64_t sent = 0;
  for (int round = 0; !blob.complete(); ++round) {
    ASSERT_LT(round, 20);
    Caller caller(server_.Channel(server_.AdminToken()));
    ASSERT_TRUE(caller.blobs->QueryBlob(Caller::Context().get(), query, &blob).ok());
    auto context = Caller::Context();
    auto writer = caller.blobs->UploadBlob(context.get(), &blob);
    request.set_offset(blob.committed_size());
    *request.mutable_blob() = v1::BlobRef();
    request.mutable_blob()->set_sha256(query.sha256());
    request.mutable_blob()->set_size(content.size());
    for (uint64_t at = request.offset(), n = 0; at < content.size() && (n < 8 || round > 4);
         at += 1 << 17, ++n) {
      request.set_data(content.substr(at, 1 << 17));
      sent += request.data().size();
      if (!writer->Write(request)) break;
      request.clear_blob();
    }
    if (round % 2 == 0 && round <= 4) {
      context->TryCancel();
    } else if (round <= 4) {
      server_.Stop(SIGKILL);
      server_.Start();
    } else {
      writer->WritesDone();
    }
    writer->Finish();
  }
  EXPECT_LT(sent, 3 * content.size());
  Caller caller(server_.Channel(server_.AdminToken()));
  EXPECT_EQ(caller.Download(query.sha256()), content);
}

TEST_F(ApiTest, BadManifestsAreRefused) {
  Caller caller(server_.Channel(server_.AdminToken()));
  v1::BlobStatus blob;
  ASSERT_TRUE(caller.Upload("graph", &blob).ok());
  v1::CreateModelRequest good;
  good.set_display_name("net");
  good.set_main_file("a.onnx");
  good.add_files()->set_name("a.onnx");
  good.mutable_files(0)->mutable_blob()->set_sha256(Sha256Hex("graph"));
  good.mutable_files(0)->mutable_blob()->set_size(5);
  v1::Model model;
  ASSERT_TRUE(caller.models->CreateModel(Caller::Context().get(), good, &model).ok());
  const auto refused = [&](auto change) {
    v1::CreateModelRequest request = good;
    change(request);
    const grpc::Status status = caller.models->CreateModel(Caller::Context().get(), request, &model);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << request.ShortDebugString();
    EXPECT_THAT(status.error_message(), Not(IsEmpty()));
  };
  for (const char* name : {"../a.onnx", "/etc/passwd", "a/../../b", "", "a\\b", "a\nb"}) {
    refused([&](v1::CreateModelRequest& r) {
      r.mutable_files(0)->set_name(name);
      r.set_main_file(name);
    });
  }
  refused([](v1::CreateModelRequest& r) { r.set_main_file("b.onnx"); });
  refused([](v1::CreateModelRequest& r) { *r.add_files() = r.files(0); });
  refused([](v1::CreateModelRequest& r) { r.set_display_name("../up"); });
  refused([](v1::CreateModelRequest& r) { r.mutable_files(0)->mutable_blob()->set_size(6); });
  refused([](v1::CreateModelRequest& r) { r.mutable_files(0)->mutable_blob()->set_sha256("x"); });
  refused([](v1::CreateModelRequest& r) { r.set_request_id(std::string(200, 'r')); });
  refused([](v1::CreateModelRequest& r) {
    for (int i = 0; i < 300; ++i) {
      *r.add_files() = r.files(0);
    }
  });
  v1::CreateModelRequest missing = good;
  missing.mutable_files(0)->mutable_blob()->set_sha256(Sha256Hex("not there"));
  const grpc::Status status = caller.models->CreateModel(Caller::Context().get(), missing, &model);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr(Sha256Hex("not there")));
}

TEST_F(ApiTest, BadJobsAndNamesAreRefused) {
  Caller caller(server_.Channel(server_.AdminToken()));
  const v1::Model model = caller.CreateModel("batches=0 trials=0");
  v1::Job job;
  const auto create = [&](auto change) {
    v1::CreateJobRequest request;
    request.mutable_spec()->set_model(model.name());
    change(*request.mutable_spec());
    return caller.jobs->CreateJob(Caller::Context().get(), request, &job).error_code();
  };
  EXPECT_EQ(create([](v1::JobSpec& s) { s.set_model("models/../x"); }), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(create([](v1::JobSpec& s) { s.set_model("models/" + std::string(64, 'a')); }),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(create([](v1::JobSpec& s) { s.mutable_budget()->set_seconds(-1); }),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(create([](v1::JobSpec& s) { s.mutable_budget()->set_seconds(std::nan("")); }),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(create([](v1::JobSpec& s) { s.set_algorithms("magic"); }), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(create([](v1::JobSpec& s) { s.add_shapes()->add_dims(-1); }), grpc::StatusCode::INVALID_ARGUMENT);
  v1::GetJobRequest get;
  get.set_name("jobs/nosuchjob");
  EXPECT_EQ(caller.jobs->GetJob(Caller::Context().get(), get, &job).error_code(),
            grpc::StatusCode::NOT_FOUND);
  v1::WatchJobRequest watch;
  watch.set_name("jobs/nosuchjob");
  EXPECT_EQ(caller.jobs->WatchJob(Caller::Context().get(), watch, &job).error_code(),
            grpc::StatusCode::NOT_FOUND);
  v1::ListRecordsRequest records;
  records.set_filter("latency < quick");
  v1::ListRecordsResponse response;
  const grpc::Status status = caller.records->ListRecords(Caller::Context().get(), records, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("column 11"));
}

TEST_F(ApiTest, ListingsArePaged) {
  Caller caller(server_.Channel(server_.AdminToken()));
  const v1::Model model = caller.CreateModel("batches=1 trials=1");
  std::set<std::string> made;
  for (int i = 0; i < 5; ++i) made.insert(caller.CreateJob(model.name()).name());
  v1::ListJobsRequest request;
  request.set_page_size(2);
  std::set<std::string> listed;
  int pages = 0;
  do {
    v1::ListJobsResponse response;
    ASSERT_TRUE(caller.jobs->ListJobs(Caller::Context().get(), request, &response).ok());
    for (const v1::Job& job : response.jobs()) EXPECT_TRUE(listed.insert(job.name()).second);
    request.set_page_token(response.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(listed, made);
  EXPECT_EQ(pages, 3);
  v1::ListModelsRequest other;
  other.set_page_token("bm8");
  v1::ListModelsResponse models;
  EXPECT_EQ(caller.models->ListModels(Caller::Context().get(), other, &models).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ApiTest, AWatchAnswersAtAChangeOrAtItsTime) {
  Caller caller(server_.Channel(server_.AdminToken()));
  const v1::Job created =
      caller.CreateJob(caller.CreateModel("batches=1 trials=1").name());  // waits for a worker
  v1::WatchJobRequest watch;
  watch.set_name(created.name());
  v1::Job job = created;
  while (job.state() == v1::JOB_STATE_QUEUED) {
    watch.set_after_revision(job.revision());
    watch.set_timeout_seconds(10);
    ASSERT_TRUE(caller.jobs->WatchJob(Caller::Context().get(), watch, &job).ok());
  }
  watch.set_after_revision(job.revision());
  watch.set_timeout_seconds(0.05);
  v1::Job same;
  ASSERT_TRUE(caller.jobs->WatchJob(Caller::Context().get(), watch, &same).ok());
  EXPECT_EQ(same.revision(), job.revision());
}

TEST_F(ApiTest, InspectsByAChildOfItsOwn) {
  Caller caller(server_.Channel(server_.AdminToken()));
  v1::InspectModelRequest request;
  request.set_model(caller.CreateModel("any=1").name());
  request.add_file_names("/etc/passwd");  // dropped
  v1::InspectModelResponse response;
  const grpc::Status status = caller.models->InspectModel(Caller::Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.report_json(), "{\"main\":\"model.onnx\"}");
}

TEST_F(ApiTest, AModelTooLargeToInspectIsRefusedAsSuch) {
  Caller caller(server_.Channel(server_.AdminToken()));
  v1::InspectModelRequest request;
  request.set_model(caller.CreateModel("out_of_memory=1").name());
  v1::InspectModelResponse response;
  EXPECT_EQ(caller.models->InspectModel(Caller::Context().get(), request, &response).error_code(),
            grpc::RESOURCE_EXHAUSTED);
}

TEST_F(ApiTest, TheLogTellsCallsApartByTheIdThatTheirCallersKnow) {
  const auto told = [](const grpc::ClientContext& context) {
    const auto& trailing = context.GetServerTrailingMetadata();
    const auto id = trailing.find("x-request-id");
    return id == trailing.end() ? std::string() : std::string(id->second.data(), id->second.size());
  };
  const auto logged = [this](const std::string& event) {
    std::ifstream log(folder_.path() + "/data.log");
    std::string line, found;
    while (std::getline(log, line)) {
      if (line.find("\"event\":\"" + event + "\"") != std::string::npos) found += line;
    }
    return found;
  };
  Caller caller(server_.Channel(server_.AdminToken()));
  v1::CreateJobRequest create;
  create.mutable_spec()->set_model(caller.CreateModel("always_die=1").name());
  v1::Job job;
  const auto own = Caller::Context();
  own->AddMetadata("x-request-id", "my-id");
  ASSERT_TRUE(caller.jobs->CreateJob(own.get(), create, &job).ok());
  EXPECT_EQ(told(*own), "my-id");
  EXPECT_THAT(logged("job_created"), HasSubstr("\"request\":\"my-id\""));

  v1::InspectModelRequest inspect;  // fails, by the server's fault
  inspect.set_model(create.spec().model());
  v1::InspectModelResponse inspected;
  const auto anonymous = Caller::Context();
  anonymous->AddMetadata("x-request-id", std::string(200, 'x'));  // too long: the server makes one
  EXPECT_EQ(caller.models->InspectModel(anonymous.get(), inspect, &inspected).error_code(), grpc::INTERNAL);
  ASSERT_FALSE(told(*anonymous).empty());
  EXPECT_THAT(logged("call_failed"), HasSubstr("\"request\":\"" + told(*anonymous) + "\""));
  EXPECT_THAT(logged("call_failed"), HasSubstr("hone-job"));

  Caller stranger(server_.Channel("wrong"));
  const auto refused = Caller::Context();
  refused->AddMetadata("x-request-id", "strange");
  EXPECT_EQ(stranger.jobs->CreateJob(refused.get(), create, &job).error_code(), grpc::UNAUTHENTICATED);
  EXPECT_THAT(logged("call_refused"), HasSubstr("\"request\":\"strange\""));
}

TEST_F(ApiTest, AnInspectionEndsWithItsCaller) {
  Caller caller(server_.Channel(server_.AdminToken()));
  v1::InspectModelRequest request;
  request.set_model(caller.CreateModel("hang=1").name());
  v1::InspectModelResponse response;
  const grpc::Status status = caller.models->InspectModel(Caller::Context(0.3).get(), request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  const absl::Time begin = absl::Now();
  EXPECT_TRUE(WIFEXITED(server_.Stop(SIGTERM)));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(20));  // a hung child would hold it for a minute
}

TEST_F(ApiTest, ServesOnAfterItsDescriptorsWereExhausted) {
  server_.Stop(SIGTERM);
  const rlimit low{100, 100};
  server_.Start();
  ASSERT_EQ(prlimit(server_.pid(), RLIMIT_NOFILE, &low, nullptr), 0);
  // The limit was read at start; below it the accept itself fails, as it does when other descriptors eat the
  // reserve.
  {
    std::vector<FileDescriptor> idle;
    for (int i = 0; i < 300; ++i) idle.push_back(Connect(server_.Grpc()));
  }
  EXPECT_TRUE(Call(server_.Channel(server_.AdminToken()), "/hone.v1.ServerService/GetServerInfo", 20).ok());
}

}  // namespace
}  // namespace hone
