#include "tests/reliability/soak_ledger.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/storage/sqlite_connection.h"

namespace hone {
namespace {

constexpr int kMostFindings = 100;  // that are told

}  // namespace

void SoakLedger::AddModel(const v1::Model& model) {
  std::lock_guard lock(mutex_);
  models_.push_back(model);
}

void SoakLedger::AddJob(const v1::Job& ended, const v1::Module& module) {
  std::lock_guard lock(mutex_);
  jobs_.push_back({ended, module});
  trials_[ended.name()] = ended.progress().trials_done();
}

std::string SoakLedger::TakeModel(size_t keep) {
  std::lock_guard lock(mutex_);
  if (models_.size() <= keep) return "";
  const std::string name = models_.front().name();
  models_.pop_front();
  deleted_.insert(name);
  return name;
}

std::string SoakLedger::TakeJob(size_t keep) {
  std::lock_guard lock(mutex_);
  if (jobs_.size() <= keep) return "";
  const EndedJob& oldest = jobs_.front();
  const std::string name = oldest.job.name();
  deleted_.insert(name);
  if (!oldest.module.name().empty()) deleted_.insert(oldest.module.name());
  jobs_.pop_front();
  return name;
}

v1::BlobRef SoakLedger::AnyFile(uint64_t random) const {
  std::lock_guard lock(mutex_);
  if (jobs_.empty()) return {};
  const v1::Module& module = jobs_[random % jobs_.size()].module;
  return module.files().empty() ? v1::BlobRef() : module.files(0).blob();
}

void SoakLedger::Find(const std::string& what) {
  std::lock_guard lock(mutex_);
  if (++findings_ > kMostFindings) return;
  std::printf("FINDING: %s\n", what.c_str());
  std::fflush(stdout);
}

int SoakLedger::findings() const {
  std::lock_guard lock(mutex_);
  return findings_;
}

size_t SoakLedger::size() const {
  std::lock_guard lock(mutex_);
  size_t count = models_.size() + jobs_.size() + deleted_.size();
  for (const auto& [job, trials] : trials_) count += trials;
  return count;
}

void SoakLedger::CompareFiles(Caller& caller, const std::string& owner,
                              const google::protobuf::RepeatedPtrField<v1::NamedBlob>& files) {
  for (const v1::NamedBlob& file : files) {
    const grpc::Status status = caller.CheckBlob(file.blob().sha256());
    if (!status.ok()) Find(absl::StrCat("lost: ", file.name(), " of ", owner, ": ", status.error_message()));
  }
}

// No user is at work any more.
void SoakLedger::CompareWith(Caller& caller) {
  for (const v1::Model& model : models_) {
    v1::GetModelRequest request;
    request.set_name(model.name());
    v1::Model now;
    if (!caller.models->GetModel(Caller::Context().get(), request, &now).ok() ||
        now.SerializeAsString() != model.SerializeAsString()) {
      Find(absl::StrCat("lost: ", model.name()));
    }
    CompareFiles(caller, model.name(), model.files());
  }
  for (const auto& [job, module] : jobs_) {
    v1::GetJobRequest request;
    request.set_name(job.name());
    v1::Job now;
    if (!caller.jobs->GetJob(Caller::Context().get(), request, &now).ok() || now.state() != job.state() ||
        now.module() != job.module() || now.progress().trials_done() != job.progress().trials_done()) {
      Find(absl::StrCat("lost: ", job.name()));
    }
    CompareFiles(caller, module.name(), module.files());
  }
  for (const std::string& name : deleted_) {
    grpc::Status status;
    if (name.starts_with("models/")) {
      v1::GetModelRequest request;
      request.set_name(name);
      v1::Model model;
      status = caller.models->GetModel(Caller::Context().get(), request, &model);
    } else if (name.starts_with("jobs/")) {
      v1::GetJobRequest request;
      request.set_name(name);
      v1::Job job;
      status = caller.jobs->GetJob(Caller::Context().get(), request, &job);
    } else {
      v1::GetModuleRequest request;
      request.set_name(name);
      v1::Module module;
      status = caller.modules->GetModule(Caller::Context().get(), request, &module);
    }
    if (status.error_code() != grpc::NOT_FOUND) Find(absl::StrCat("deleted, and still there: ", name));
  }
}

void SoakLedger::CompareWith(const std::string& database) {
  const auto db = Connection::Open(database, Connection::Mode::kWriter);
  if (!db.ok()) return Find(std::string(db.status().message()));
  {
    Query check(**db, "PRAGMA integrity_check");
    if (!check.Next() || check.Text(0) != "ok") Find(absl::StrCat("integrity_check: ", check.Text(0)));
  }
  for (const auto& [job, trials] : trials_) {
    Query query(**db, "SELECT COUNT(*) FROM records WHERE job = ? AND counted = 1",
                std::string(absl::StripPrefix(job, "jobs/")));
    if (!query.Next() || query.Int(0) != trials)
      Find(absl::StrCat(job, " had ", trials, " trials at its end and has ", query.Int(0),
                        " records of them"));
  }
}

}  // namespace hone
