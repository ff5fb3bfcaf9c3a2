#include "tests/reliability/fault_case.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "proto/certificates/certificate_request.h"
#include "proto/values/sha256.h"
#include "server/storage/sqlite_connection.h"
#include "tests/reliability/full_disk.h"
#include "tests/server/fake_worker.h"
#include "tests/server/server_process.h"

namespace hone {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(40);      // for the whole case
constexpr absl::Duration kServingAgain = absl::Seconds(10);  // after the fault has ended
constexpr int kBatches = 3, kTrials = 2;
constexpr size_t kChunk = 64 << 10;
constexpr size_t kContentBytes = 200 << 10;

std::vector<std::string> ReadLines(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// A failure of the server's surroundings must look like one: try again. These tell the caller it is its
// fault.
bool Blames(grpc::StatusCode code) {
  return code == grpc::INVALID_ARGUMENT || code == grpc::NOT_FOUND || code == grpc::FAILED_PRECONDITION ||
         code == grpc::DATA_LOSS || code == grpc::INTERNAL || code == grpc::UNAUTHENTICATED ||
         code == grpc::PERMISSION_DENIED || code == grpc::ALREADY_EXISTS || code == grpc::UNKNOWN;
}

// What was acknowledged, by the name that the server gave it.
struct Ledger {
  std::map<std::string, std::string> blobs;  // content by digest
  v1::Model model;
  std::string job;
  std::set<std::string> trials;
  v1::Module module;
};

class FaultCase {
 public:
  explicit FaultCase(const Fault& fault)
      : fault_(fault),
        folder_(MakeFolder()),
        data_(folder_ + "/data"),
        log_(folder_ + "/faults"),
        plain_(data_),
        faulty_(data_, {}, Wrapper()) {}

  ~FaultCase() {
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
  }

  CaseResult Run() {
    std::unique_ptr<FullDisk> disk;
    if (fault_.site == "full disk") {
      disk = FullDisk::Mount(data_);
      if (disk == nullptr) {
        result_.permitted = false;
        return std::move(result_);
      }
    }
    std::thread supervisor([this] { Supervise(); });
    std::thread worker([this] { Work(); });
    std::thread filler([&] { Fill(disk.get()); });
    Use();
    filler.join();
    done_ = true;
    worker.join();
    supervisor.join();
    KillAndCompare();
    CheckDatabase();
    if (disk != nullptr) result_.fired = true;
    if (fault_.site.empty()) result_.calls = ReadLines(log_);
    return std::move(result_);
  }

 private:
  static std::string MakeFolder() {
    std::string path =
        (access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + std::string("/hone-fault-XXXXXX");
    return mkdtemp(path.data());
  }

  std::vector<std::string> Wrapper() const {
    if (fault_.site == "full disk") return {};
    std::vector<std::string> words = {"env", absl::StrCat("LD_PRELOAD=", HONE_FAULT_INJECTOR),
                                      absl::StrCat("HONE_FAULT_FOLDER=", data_),
                                      absl::StrCat("HONE_FAULT_LOG=", log_)};
    if (fault_.site.empty()) return words;
    words.push_back(absl::StrCat("HONE_FAULT_SITE=", fault_.site));
    words.push_back(absl::StrCat("HONE_FAULT_AT=", fault_.at));
    words.push_back(absl::StrCat("HONE_FAULT_DO=", fault_.what));
    words.push_back(absl::StrCat("HONE_FAULT_MILLISECONDS=", fault_.milliseconds));
    return words;
  }

  void Differ(const std::string& text) {
    std::lock_guard lock(mutex_);
    if (differences_.insert(text).second) result_.differences.push_back(text);
  }

  absl::Time FaultEnd() {
    std::lock_guard lock(mutex_);
    return fault_end_;
  }
  void FaultEnds() {
    std::lock_guard lock(mutex_);
    fault_end_ = absl::Now();
  }
  bool Late() const { return absl::Now() > begin_ + kPatience; }

  // Starts the server, with the fault in its first life, and again whenever it has ended.
  void Supervise() {
    ServerProcess* server = &faulty_;
    size_t seen = 0;
    while (!done_) {
      if (!server->IsRunning()) {
        if (result_.starts > 0) FaultEnds();
        if (result_.starts > 0 && fault_.site != "full disk") server = &plain_;
        ++result_.starts;
        server->TryStart();
        continue;
      }
      if (!fault_.site.empty()) {
        const std::vector<std::string> lines = ReadLines(log_);
        result_.fired = result_.fired || !lines.empty();
        if (lines.size() > seen) FaultEnds();
        seen = lines.size();
      }
      absl::SleepFor(absl::Milliseconds(2));  // polls another process's file
    }
    if (!fault_.site.empty() && !ReadLines(log_).empty()) result_.fired = true;
    server->Stop(SIGKILL);
  }

  void Fill(FullDisk* disk) {
    if (disk == nullptr) return;
    absl::SleepFor(absl::Milliseconds(fault_.at));  // the moment is the case
    disk->Fill();
    absl::SleepFor(absl::Milliseconds(fault_.milliseconds));
    FaultEnds();
    disk->Free();
    FaultEnds();
  }

  std::unique_ptr<grpc::ClientContext> Context() {
    auto context = Caller::Context(5);
    context->set_wait_for_ready(false);  // the server comes back under another port
    return context;
  }

  // Calls until it is answered; what `call` returns is the RPC's status. False when the case is out of time.
  bool Retry(const std::string& what, const std::function<grpc::Status(Caller&)>& call) {
    const absl::Time begin = absl::Now();
    while (!Late()) {
      if (caller_ == nullptr && std::filesystem::exists(data_ + "/endpoint.json"))
        caller_ = std::make_unique<Caller>(plain_.Channel(plain_.AdminToken()));
      if (caller_ != nullptr) {
        const grpc::Status status = call(*caller_);
        if (status.ok()) {
          const double waited = absl::ToDoubleSeconds(absl::Now() - std::max(begin, FaultEnd()));
          if (what != "job") result_.slowest_seconds = std::max(result_.slowest_seconds, waited);
          if (what != "job" && waited > absl::ToDoubleSeconds(kServingAgain))
            Differ(absl::StrCat(what, " was answered only after ", waited, " s"));
          return true;
        }
        if (Blames(status.error_code()))
          Differ(absl::StrCat(what, " was told ", status.error_code(), ": ", status.error_message()));
        caller_.reset();
      }
      absl::SleepFor(absl::Milliseconds(5));  // between attempts
    }
    Differ(what + " was never answered");
    return false;
  }

  grpc::Status Upload(Caller& caller) {
    v1::QueryBlobRequest query;
    query.set_sha256(Sha256Hex(content_));
    v1::BlobStatus blob;
    grpc::Status status = caller.blobs->QueryBlob(Context().get(), query, &blob);
    if (!status.ok() || blob.complete()) return status;
    auto context = Context();
    auto writer = caller.blobs->UploadBlob(context.get(), &blob);
    v1::UploadBlobRequest request;
    request.mutable_blob()->set_sha256(query.sha256());
    request.mutable_blob()->set_size(content_.size());
    request.set_offset(blob.committed_size());
    size_t at = blob.committed_size();
    do {  // at least one message: a complete part may wait only for its end
      request.set_data(content_.substr(at, kChunk));
      if (!writer->Write(request)) break;
      request.clear_blob();
      at += kChunk;
    } while (at < content_.size());
    writer->WritesDone();
    status = writer->Finish();
    if (status.ok() && !blob.complete()) return {grpc::ABORTED, "not complete yet"};
    return status;
  }

  grpc::Status CreateModel(Caller& caller) {
    v1::CreateModelRequest request;
    request.set_request_id("the model");
    request.set_display_name("fake");
    request.set_main_file("model.onnx");
    request.add_files()->set_name("model.onnx");
    request.mutable_files(0)->mutable_blob()->set_sha256(Sha256Hex(content_));
    request.mutable_files(0)->mutable_blob()->set_size(content_.size());
    return caller.models->CreateModel(Context().get(), request, &ledger_.model);
  }

  grpc::Status CreateJob(Caller& caller) {
    v1::CreateJobRequest request;
    request.set_request_id("the job");
    request.mutable_spec()->set_model(ledger_.model.name());
    request.mutable_spec()->set_target("x86-64-v3");
    v1::Job job;
    const grpc::Status status = caller.jobs->CreateJob(Context().get(), request, &job);
    if (!status.ok()) return status;
    if (!ledger_.job.empty() && ledger_.job != job.name()) Differ("a job was created twice");
    ledger_.job = job.name();
    return status;
  }

  grpc::Status WaitForJob(Caller& caller, v1::Job& job) {
    v1::WatchJobRequest request;
    request.set_name(ledger_.job);
    request.set_timeout_seconds(1);
    request.set_after_revision(job.revision());
    const grpc::Status status = caller.jobs->WatchJob(Context().get(), request, &job);
    if (!status.ok() || job.end_time_micros() != 0) return status;
    return WaitForJob(caller, job);
  }

  grpc::Status Download(Caller& caller, const std::string& sha256, std::string& content) {
    content.clear();
    auto context = Context();
    v1::DownloadBlobRequest request;
    request.set_sha256(sha256);
    auto reader = caller.blobs->DownloadBlob(context.get(), request);
    v1::DownloadBlobResponse response;
    while (reader->Read(&response)) content += response.data();
    return reader->Finish();
  }

  // The user: uploads, creates a job, waits, downloads.
  void Use() {
    if (!Retry("upload", [&](Caller& caller) { return Upload(caller); })) return;
    ledger_.blobs[Sha256Hex(content_)] = content_;
    if (!Retry("CreateModel", [&](Caller& caller) { return CreateModel(caller); })) return;
    if (!Retry("CreateJob", [&](Caller& caller) { return CreateJob(caller); })) return;
    v1::Job job;
    if (!Retry("job", [&](Caller& caller) { return WaitForJob(caller, job); })) return;
    if (job.state() != v1::JOB_STATE_SUCCEEDED) return Differ("the job ended otherwise: " + job.error());
    Retry("CreateJob again", [&](Caller& caller) { return CreateJob(caller); });
    v1::GetModuleRequest request;
    request.set_name(job.module());
    v1::Module module;
    if (!Retry("GetModule",
               [&](Caller& c) { return c.modules->GetModule(Context().get(), request, &module); }))
      return;
    ledger_.module = module;
    for (const v1::NamedBlob& file : module.files()) {
      std::string content;
      if (!Retry("download", [&](Caller& c) { return Download(c, file.blob().sha256(), content); })) return;
      if (Sha256Hex(content) != file.blob().sha256()) Differ("the module's bytes are others");
      ledger_.blobs[file.blob().sha256()] = content;
    }
  }

  // The worker: enrols, measures, sends each result until it is acknowledged.
  void Work() {
    std::unique_ptr<Caller> caller;
    const CertificateRequest asked = *MakeCertificateRequest();
    v1::EnrolResponse identity;
    std::map<std::string, v1::LeaseResult> kept;
    for (; !done_ && !Late(); absl::SleepFor(absl::Milliseconds(identity.worker().empty() ? 5 : 1))) {
      if (!std::filesystem::exists(data_ + "/endpoint.json")) continue;
      if (identity.worker().empty()) {
        v1::EnrolRequest request;
        request.set_display_name("fake");
        request.set_request_id("the worker");
        request.set_certificate_request(asked.request);
        Caller enroller(plain_.Channel(plain_.EnrolToken()));
        if (!enroller.workers->Enrol(Context().get(), request, &identity).ok()) identity.Clear();
        continue;
      }
      if (caller == nullptr) {
        const WorkerIdentity worker{identity.worker(), asked.private_key, identity.certificate()};
        caller = std::make_unique<Caller>(plain_.Channel(worker));
      }
      v1::SynchronizeRequest request;
      request.set_worker(identity.worker());
      *request.mutable_device() = FakeWorker::Device("test-class");
      request.set_accepts_lease(true);
      request.set_wait_seconds(0.1);
      for (const auto& [lease, result] : kept) *request.add_results() = result;
      v1::SynchronizeResponse response;
      const grpc::Status status = caller->workers->Synchronize(Context().get(), request, &response);
      if (!status.ok()) {
        if (Blames(status.error_code()))
          Differ(absl::StrCat("the worker was told ", status.error_code(), ": ", status.error_message()));
        caller.reset();
        continue;
      }
      for (const std::string& lease : response.acknowledged()) {
        for (const v1::TrialResult& trial : kept[lease].trials()) ledger_.trials.insert(trial.trial_id());
        kept.erase(lease);
      }
      for (const v1::Lease& lease : response.leases()) {
        for (const v1::LeaseTrial& trial : lease.trials()) {
          if (ledger_.trials.contains(trial.trial_id()))
            Differ(trial.trial_id() + " was measured and is leased again");
        }
        kept[lease.lease_id()] = FakeWorker::Measure(lease);
      }
    }
  }

  void KillAndCompare() {
    result_.acknowledged = ledger_.blobs.size() + ledger_.trials.size() + !ledger_.model.name().empty() +
                           !ledger_.job.empty() + !ledger_.module.name().empty();
    if (!result_.differences.empty()) return KeepLog();
    caller_.reset();
    if (!plain_.TryStart()) return Differ("the server does not start again");
    for (const auto& [digest, content] : ledger_.blobs) {
      std::string now;
      if (Retry("blob", [&](Caller& caller) { return Download(caller, digest, now); }) && now != content)
        Differ("a blob is lost");
    }
    v1::Job job;
    Retry("the job", [&](Caller& caller) { return WaitForJob(caller, job); });
    if (job.module() != ledger_.module.name()) Differ("the job has lost its module");
    if (job.progress().trials_done() != kBatches * kTrials) Differ("the count of trials differs");
    v1::GetModelRequest model_request;
    model_request.set_name(ledger_.model.name());
    v1::Model model;
    Retry("the model", [&](Caller& c) { return c.models->GetModel(Context().get(), model_request, &model); });
    if (model.SerializeAsString() != ledger_.model.SerializeAsString()) Differ("the model differs");
    CompareRecords();
    plain_.Stop(SIGTERM);
    if (!result_.differences.empty()) KeepLog();
  }

  void CompareRecords() {
    v1::ListRecordsRequest request;
    request.set_page_size(100);
    v1::ListRecordsResponse response;
    Retry("the log", [&](Caller& c) { return c.records->ListRecords(Context().get(), request, &response); });
    std::set<std::string> logged;
    for (const v1::TuningRecord& record : response.records()) {
      if (!logged.insert(record.trial_id()).second) Differ(record.trial_id() + " is in the log twice");
      if (ledger_.trials.contains(record.trial_id()) && record.measurement().outcome() != v1::OUTCOME_OK)
        Differ(record.trial_id() + " has lost its measurement");
    }
    for (const std::string& trial : ledger_.trials) {
      if (!logged.contains(trial)) Differ(trial + " was acknowledged and is lost");
    }
    for (const v1::NamedBlob& file : ledger_.module.files()) {
      const std::vector<std::string> seen = absl::StrSplit(ledger_.blobs[file.blob().sha256()], '\n');
      if (std::set<std::string>(seen.begin(), seen.end()) != logged || seen.size() != logged.size())
        Differ("the job saw another log");
    }
  }

  void CheckDatabase() {
    const auto connection = Connection::Open(data_ + "/hone.db", Connection::Mode::kWriter);
    if (!connection.ok()) return Differ(std::string(connection.status().message()));
    Query query(**connection, "PRAGMA integrity_check");
    if (!query.Next() || query.Text(0) != "ok") Differ("integrity_check: " + query.Text(0));
    Query foreign(**connection, "PRAGMA foreign_key_check");
    if (foreign.Next()) Differ("a foreign key points nowhere");
  }

  void KeepLog() {
    const std::vector<std::string> lines = ReadLines(data_ + ".log");
    const size_t first = lines.size() > 12 ? lines.size() - 12 : 0;
    for (size_t i = first; i < lines.size(); ++i) result_.differences.push_back("  server: " + lines[i]);
  }

  const Fault fault_;
  const std::string folder_, data_, log_;
  ServerProcess plain_, faulty_;
  const std::string content_ =
      absl::StrCat("batches=", kBatches, " trials=", kTrials, " padding=", std::string(kContentBytes, 'x'));
  const absl::Time begin_ = absl::Now();
  std::atomic<bool> done_ = false;
  std::unique_ptr<Caller> caller_;  // the user's
  Ledger ledger_;                   // trials are the worker's until it has ended
  std::mutex mutex_;
  absl::Time fault_end_ = absl::InfinitePast();
  std::set<std::string> differences_;
  CaseResult result_;
};

}  // namespace

std::string Fault::Text() const {
  if (site.empty()) return "no fault";
  const std::string deed = kills() ? absl::StrCat("killed ", what) : strerrorname_np(atoi(what.c_str()));
  if (milliseconds == 0) return absl::StrCat(site, " #", at, ": ", deed);
  return absl::StrCat(site, " #", at, ": ", deed, " for ", milliseconds, " ms");
}

CaseResult RunCase(const Fault& fault) { return FaultCase(fault).Run(); }

}  // namespace hone
