#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hone/v1/job_link.pb.h"
#include "proto/values/file_descriptor.h"
#include "tuner/job/job_link.h"

namespace hone {

// A hone-job child with a test as its server and worker: candidates run in this process and are compared with the
// lease's oracle; their times are made up from their traces, so that every run of a job sees the same ones.
class JobHarness {
 public:
  explicit JobHarness(const std::string& program = HONE_JOB_PROGRAM);
  ~JobHarness();   // kills what still runs
  JobHarness(const JobHarness&) = delete;

  void Start(v1::StartJob start, const std::string& model);
  void Inspect(v1::InspectModelRequest request, const std::string& model);
  void Explain(v1::ExplainTrial question, const std::string& model);
  // Answers messages until the job's end, or until `most_batches` are measured and the next one is stored.
  void Serve(size_t most_batches = 1000);
  void Cancel();
  void Kill();
  int CloseAndWait();   // closes the link; the exit code

  pid_t pid() const { return pid_; }

  double module_ratio = 0.8;                       // of the tuned module to the default one
  std::string slow_task;  // the key of one that takes a thousand times as long as others
  std::vector<v1::ProposeBatch> proposals;         // all that came
  std::vector<v1::TuningRecord> log;               // all that were sent
  std::vector<std::string> phases;                 // of progress, repetitions dropped
  v1::JobProgress progress;                        // the last with tasks
  std::vector<std::string> wrong;                  // what was not right about a candidate
  std::optional<v1::JobMessage> end;               // module, failed, inspected or explained
  std::map<std::string, std::string> module_files;

 private:
  void Measure(const v1::ProposeBatch& batch, const std::map<std::string, std::string>& objects);
  std::vector<v1::TuningRecord> Records(const v1::ProposeBatch& batch);
  void Append(std::vector<v1::TuningRecord> records);

  const FileDescriptor outbox_;
  pid_t pid_ = -1;
  int socket_ = -1;
  std::optional<JobLink> link_;
};

}  // namespace hone
