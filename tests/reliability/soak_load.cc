#include "tests/reliability/soak_load.h"

#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/values/sha256.h"
#include "tests/compiler/frontend/onnx/onnx_model.h"

namespace hone {
namespace {

constexpr size_t kModelsKept = 30, kJobsKept = 30;
constexpr double kLeastBytes = 1 << 10, kMostBytes = 4 << 20;  // of an upload
constexpr size_t kChunk = 64 << 10;
constexpr int kPatienceSeconds = 60;  // for an answer
constexpr absl::Duration kJobPatience = absl::Minutes(5);
constexpr int kPages = 3;
// A job whose module no worker could measure: all three were killed, frozen or cut off at it.
constexpr char kNoLuck[] = "given up after 3 attempts";

constexpr const char* kFilters[] = {"",
                                    "status=ok",
                                    "status!=ok",
                                    "latency<1.00001ms",
                                    "trace:\"leaf contract\"",
                                    "model=soak AND attempts>1",
                                    "target=x86-64-v3 (task_label:conv OR task_label:gemm)"};
constexpr const char* kPaths[] = {"/",
                                  "/readyz",
                                  "/metrics",
                                  "/api/JobService/ListJobs?page_size=50",
                                  "/api/ModuleService/ListModules",
                                  "/api/RecordService/ListRecords?page_size=200",
                                  "/api/WorkerService/ListWorkers"};

std::string RandomBytes(std::mt19937_64& random, size_t size) {
  std::string bytes(size, '\0');
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    const uint64_t word = random();
    bytes.replace(at, std::min(sizeof(word), size - at), reinterpret_cast<const char*>(&word),
                  std::min(sizeof(word), size - at));
  }
  return bytes;
}

v1::CreateModelRequest ModelOf(const std::string& content, const std::string& name) {
  v1::CreateModelRequest request;
  request.set_display_name(name);
  request.set_main_file("model.onnx");
  v1::NamedBlob& file = *request.add_files();
  file.set_name("model.onnx");
  file.mutable_blob()->set_sha256(Sha256Hex(content));
  file.mutable_blob()->set_size(content.size());
  return request;
}

}  // namespace

const SoakLoad::DeedRow SoakLoad::kDeeds[] = {
    {"uploads", 2, 1000, &SoakLoad::Upload},
    {"jobs", 2, 200, &SoakLoad::Tune},
    {"queries", 2, 200, &SoakLoad::Query},
    {"pages", 1, 100, &SoakLoad::Browse},
};

SoakLoad::SoakLoad(ServerProcess& server, unsigned seed, SoakLedger& ledger)
    : server_(server), seed_(seed), http_(server.Http()), token_(server.AdminToken()), ledger_(ledger) {
  User user = MakeUser(0);
  const std::string content = SmallClassifier().proto().SerializeAsString();
  v1::Model model;
  if (Expect("upload", Send(user, content, 0, content.size())) &&
      Expect("CreateModel", user.caller.models->CreateModel(Caller::Context(kPatienceSeconds).get(),
                                                            ModelOf(content, "soak"), &model)))
    model_ = model.name();
}

SoakLoad::~SoakLoad() { Stop(); }

SoakLoad::User SoakLoad::MakeUser(unsigned number) {
  return {Caller(server_.Channel(token_)), std::mt19937_64(uint64_t{seed_} << 32 | number)};
}

bool SoakLoad::Expect(const std::string& what, const grpc::Status& status) {
  if (!status.ok()) ledger_.Find(absl::StrCat(what, ": ", status.error_code(), ": ", status.error_message()));
  return status.ok();
}

void SoakLoad::Start() {
  stopping_ = false;
  for (const DeedRow& row : kDeeds) {
    for (int i = 0; i < row.users; ++i) {
      threads_.emplace_back([this, &row, number = ++users_] {
        User user = MakeUser(number);
        std::unique_lock lock(mutex_);
        while (!stopping_) {
          lock.unlock();
          (this->*row.deed)(user);
          lock.lock();
          ++deeds_[row.name];
          changed_.wait_for(lock, std::chrono::milliseconds(row.pause_milliseconds),
                            [this] { return stopping_; });
        }
      });
    }
  }
}

void SoakLoad::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

std::map<std::string, int> SoakLoad::deeds() const {
  std::lock_guard lock(mutex_);
  return deeds_;
}

// From `offset` to `cut_at`; short of the end the call is cancelled there.
grpc::Status SoakLoad::Send(User& user, const std::string& content, uint64_t offset, size_t cut_at) {
  auto context = Caller::Context(kPatienceSeconds);
  v1::BlobStatus blob;
  auto writer = user.caller.blobs->UploadBlob(context.get(), &blob);
  v1::UploadBlobRequest request;
  request.mutable_blob()->set_sha256(Sha256Hex(content));
  request.mutable_blob()->set_size(content.size());
  request.set_offset(offset);
  size_t at = offset;
  do {
    request.set_data(content.substr(at, kChunk));
    if (!writer->Write(request)) break;
    request.clear_blob();
    at += kChunk;
  } while (at < cut_at);
  if (cut_at < content.size()) context->TryCancel();
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (status.ok() && !blob.complete()) return {grpc::ABORTED, "not complete"};
  return status;
}

void SoakLoad::Upload(User& user) {
  const double size =
      kLeastBytes * std::pow(kMostBytes / kLeastBytes, std::uniform_real_distribution<>()(user.random));
  const std::string content = RandomBytes(user.random, static_cast<size_t>(size));
  if (user.OneIn(4)) Send(user, content, 0, content.size() / 2);
  grpc::Status status;
  // The server may still be at the call that was cut off: then this one began at the wrong place.
  for (int attempt = 0; attempt < 10; ++attempt) {
    v1::QueryBlobRequest query;
    query.set_sha256(Sha256Hex(content));
    v1::BlobStatus blob;
    status = user.caller.blobs->QueryBlob(Caller::Context(kPatienceSeconds).get(), query, &blob);
    if (status.ok()) status = Send(user, content, blob.committed_size(), content.size());
    if (status.error_code() != grpc::OUT_OF_RANGE && status.error_code() != grpc::ABORTED) break;
  }
  if (!Expect("upload", status)) return;
  v1::Model model;
  if (!Expect("CreateModel", user.caller.models->CreateModel(Caller::Context(kPatienceSeconds).get(),
                                                             ModelOf(content, "upload"), &model)))
    return;
  ledger_.AddModel(model);
  v1::DeleteModelRequest request;
  request.set_name(ledger_.TakeModel(kModelsKept));
  if (request.name().empty()) return;
  v1::DeleteModelResponse deleted;
  Expect("DeleteModel",
         user.caller.models->DeleteModel(Caller::Context(kPatienceSeconds).get(), request, &deleted));
}

v1::Job SoakLoad::WatchToTheEnd(User& user, v1::Job job, bool cancel) {
  const absl::Time begin = absl::Now();
  v1::WatchJobRequest watch;
  watch.set_name(job.name());
  while (job.end_time_micros() == 0 && absl::Now() < begin + kJobPatience) {
    if (cancel && job.state() == v1::JOB_STATE_RUNNING) {
      v1::CancelJobRequest request;
      request.set_name(job.name());
      if (!Expect("CancelJob",
                  user.caller.jobs->CancelJob(Caller::Context(kPatienceSeconds).get(), request, &job)))
        break;
      cancel = false;
    }
    watch.set_after_revision(job.revision());
    watch.set_timeout_seconds(5);
    if (!Expect("WatchJob", user.caller.jobs->WatchJob(Caller::Context(kPatienceSeconds).get(), watch, &job)))
      break;
  }
  return job;
}

void SoakLoad::Tune(User& user) {
  v1::CreateJobRequest request;
  v1::JobSpec& spec = *request.mutable_spec();
  spec.set_model(model_);
  spec.set_target("x86-64-v3");
  spec.set_threads(1);
  spec.set_seed(user.random());
  v1::ShapeBinding& shape = *spec.add_shapes();
  shape.set_input("x");
  for (const int dim : {1, 3, 8, 8}) shape.add_dims(dim);
  if (user.OneIn(4)) {
    spec.mutable_budget()->set_zero_trials(true);
  } else {
    spec.mutable_budget()->set_trials(static_cast<uint32_t>(2 + user.random() % 8));
  }
  v1::Job job;
  if (!Expect("CreateJob",
              user.caller.jobs->CreateJob(Caller::Context(kPatienceSeconds).get(), request, &job)))
    return;
  job = WatchToTheEnd(user, job, user.OneIn(6));
  if (job.end_time_micros() == 0 || job.child_restarts() > 0 ||
      (job.state() == v1::JOB_STATE_FAILED && !absl::StrContains(job.error(), kNoLuck))) {
    ledger_.Find(absl::StrCat(job.name(), " ended badly: ", job.ShortDebugString()));
  }
  v1::Module module;
  if (!job.module().empty()) {
    v1::GetModuleRequest get;
    get.set_name(job.module());
    Expect("GetModule",
           user.caller.modules->GetModule(Caller::Context(kPatienceSeconds).get(), get, &module));
  }
  if (job.end_time_micros() != 0) ledger_.AddJob(job, module);
  v1::DeleteJobRequest deletion;
  deletion.set_name(ledger_.TakeJob(kJobsKept));
  if (deletion.name().empty()) return;
  v1::DeleteJobResponse deleted;
  Expect("DeleteJob",
         user.caller.jobs->DeleteJob(Caller::Context(kPatienceSeconds).get(), deletion, &deleted));
}

void SoakLoad::Query(User& user) {
  v1::ListRecordsRequest request;
  request.set_filter(kFilters[user.random() % std::size(kFilters)]);
  request.set_page_size(static_cast<int>(1 + user.random() % 500));
  for (int page = 0; page < kPages; ++page) {
    v1::ListRecordsResponse response;
    if (!Expect("ListRecords", user.caller.records->ListRecords(Caller::Context(kPatienceSeconds).get(),
                                                                request, &response)))
      return;
    request.set_page_token(response.next_page_token());
    if (request.page_token().empty()) break;
  }
  v1::ListModelsResponse models;
  Expect("ListModels", user.caller.models->ListModels(Caller::Context(kPatienceSeconds).get(), {}, &models));
  const v1::BlobRef blob = ledger_.AnyFile(user.random());
  if (blob.sha256().empty()) return;
  const grpc::Status status = user.caller.CheckBlob(blob.sha256());
  // Its job may have been deleted meanwhile.
  if (status.error_code() != grpc::NOT_FOUND) Expect("DownloadBlob", status);
}

void SoakLoad::Browse(User& user) {
  const std::string path = kPaths[user.random() % std::size(kPaths)];
  const HttpAnswer answer = GetHttp(http_, path, token_);
  if (answer.status != 200) ledger_.Find(absl::StrCat("GET ", path, ": ", answer.status, " ", answer.body));
}

}  // namespace hone
