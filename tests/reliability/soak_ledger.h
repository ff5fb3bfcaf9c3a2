#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "tests/server/server_process.h"

namespace hone {

// What a server has acknowledged to its users and not been told to delete since, and what was found wrong
// with its answers. Thread-safe.
class SoakLedger {
 public:
  void AddModel(const v1::Model& model);
  void AddJob(const v1::Job& ended, const v1::Module& module);  // the module has no name if there is none
  // The oldest of these leaves the ledger once there are more than `keep`; empty if there are not.
  std::string TakeModel(size_t keep);
  std::string TakeJob(size_t keep);
  v1::BlobRef AnyFile(uint64_t random) const;  // of a module; no digest if there is none

  void Find(const std::string& what);  // and prints it
  int findings() const;

  // Everything named here must be there, with its content; everything deleted must be gone.
  void CompareWith(Caller& caller);
  // No trial of any job that ended, deleted ones too, may be missing or twice; PRAGMA integrity_check.
  void CompareWith(const std::string& database);
  size_t size() const;  // things acknowledged

 private:
  void CompareFiles(Caller& caller, const std::string& owner,
                    const google::protobuf::RepeatedPtrField<v1::NamedBlob>& files);

  mutable std::mutex mutex_;
  std::deque<v1::Model> models_;
  struct EndedJob {
    v1::Job job;
    v1::Module module;
  };
  std::deque<EndedJob> jobs_;
  std::map<std::string, uint32_t> trials_;  // by job
  std::set<std::string> deleted_;
  int findings_ = 0;
};

}  // namespace hone
