#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "hone/v1/job_link.pb.h"
#include "server/execution/change_hub.h"
#include "server/jobs/job_child.h"
#include "server/jobs/wake_up.h"
#include "server/storage/blob_store.h"
#include "server/storage/store.h"
#include "server/workers/lease_broker.h"

namespace hone {

struct JobOptions {
  JobChildOptions child;           // log_path is filled in per job
  std::string log_directory;       // {job}.log of each child
  int max_running = 2;             // jobs with a child at a time
  int max_fruitless_restarts = 5;  // deaths in a row without a new batch or record: the job fails
  absl::Duration first_backoff = absl::Milliseconds(100);  // before a restart; doubles
  absl::Duration max_backoff = absl::Seconds(10);
  absl::Duration max_starved_backoff = absl::Seconds(2);  // looks whether disk, descriptors, memory are back
  absl::Duration progress_interval = absl::Milliseconds(250);  // at most one progress write per interval
  absl::Duration cancel_grace = absl::Minutes(10);             // for compiling the best so far
  absl::Duration inspect_limit = absl::Seconds(60);
  absl::Duration silence_limit = absl::Minutes(30);  // of a child whose turn it is
};

// What jobs need of the server; all outlive them.
struct JobServices {
  Store& store;
  BlobStore& blobs;
  ChangeHub& hub;
  LeaseBroker& broker;
  JobOptions options;
};

// Opened files of a manifest, in its order.
absl::StatusOr<std::vector<FileDescriptor>> OpenFiles(BlobStore& blobs, const std::vector<FileRow>& files);

// What a hone-job is told of its job: the spec, the device, what was proposed and measured so far. The
// model's files come in descriptors beside it.
absl::StatusOr<v1::StartJob> DescribeJob(Store& store, const JobRow& job, const ModelRow& model);

// One child's life for one running job, from StartJob to the end of the job or of the child. All that counts
// is in the database before the child hears of it. Used by one thread; Stop from any.
class JobSession {
 public:
  enum class End { kJobEnded, kStopped };

  JobSession(JobServices& services, std::string job, WakeUp& wake_up)
      : services_(services), job_(std::move(job)), wake_up_(wake_up) {}

  // An error is the child's death or misbehaviour, or ours to store: worth another try.
  absl::StatusOr<End> Run();
  bool progressed() const { return progressed_; }  // a batch was stored or a record sent
  // The error was a want of the server's own, disk, descriptors or memory: not the child's doing, however
  // often it happens.
  bool starved() const { return starved_; }

 private:
  absl::Status Start();
  absl::Status Loop();
  absl::Status Handle(JobFrame frame);
  absl::Status HandleBatch(const v1::JobMessage& message);
  absl::Status HandleModule(const v1::JobMessage& message);
  absl::Status CountBytes(size_t bytes);  // InvalidArgument: the child sends more than any search does
  absl::Status EndJob(JobState state, const std::string& error, const std::optional<ModuleRow>& module);
  absl::Status LookAtJob();  // new records, cancellation
  absl::Status ChooseDevice();
  absl::Status FlushProgress(bool now);
  absl::Status OfLink(absl::Status status);  // notes that the child has gone
  void Send(const v1::JobMessage& message);  // to the child, whose time to answer begins
  absl::Time SilenceDeadline() const;        // infinite while the child waits for us
  int PollTimeout() const;  // milliseconds

  JobServices& services_;
  const std::string job_;
  WakeUp& wake_up_;
  std::unique_ptr<JobChild> child_;
  JobRow row_;                                     // as last read
  uint64_t last_sequence_ = 0;                     // of the records that the child knows
  std::optional<std::string> wanted_target_;       // the child waits for a device
  std::set<std::string> unmeasured_;               // trials that the child waits for
  absl::Time last_word_ = absl::InfiniteFuture();  // of the child or to it
  absl::Time flood_until_ = absl::InfinitePast();  // the end of a window
  size_t flood_bytes_ = 0;                         // received in it
  std::optional<std::string> progress_bytes_;      // not stored yet
  absl::Time next_progress_ = absl::InfinitePast();
  absl::Time cancel_deadline_ = absl::InfiniteFuture();
  bool ended_ = false;
  bool progressed_ = false;
  bool gone_ = false;  // the child closed its end
  bool starved_ = false;
};

}  // namespace hone
