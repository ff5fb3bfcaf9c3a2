#include "worker/worker_session.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "worker/log.h"

namespace hone {
namespace {

constexpr size_t kResultBytesPerCall = 1 << 20;
constexpr absl::Duration kStoppingPoll = absl::Milliseconds(500);
constexpr absl::Duration kBackOffSlice = absl::Milliseconds(100);

// Credentials file: two lines, the worker's name and its token.
std::string CredentialsPath(const std::string& data_dir) { return data_dir + "/credentials"; }

absl::StatusOr<Credentials> LoadCredentials(const std::string& data_dir) {
  absl::StatusOr<std::string> text = ReadWholeFile(CredentialsPath(data_dir));
  if (!text.ok()) return text.status();
  const std::vector<std::string> lines = absl::StrSplit(*text, '\n');
  if (lines.size() < 2 || lines[0].empty() || lines[1].empty())
    return absl::DataLossError("damaged credentials file");
  return Credentials{lines[0], lines[1]};
}

// The request id of this data directory's enrolment, made once.
absl::StatusOr<std::string> EnrolmentId(const std::string& data_dir) {
  const std::string path = data_dir + "/enrolment";
  absl::StatusOr<std::string> id = ReadWholeFile(path);
  if (id.ok() && !id->empty()) return id;
  std::random_device random;
  std::string bytes;
  for (int i = 0; i < 16; ++i) bytes += static_cast<char>(random());
  const std::string fresh = absl::BytesToHexString(bytes);
  if (absl::Status status = WriteFileDurably(path, fresh); !status.ok()) return status;
  return fresh;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerSession>> WorkerSession::Create(const WorkerSessionOptions& options,
                                                                     const Device& device) {
  std::error_code error;
  std::filesystem::create_directories(options.data_dir, error);
  const std::string path = options.data_dir + "/lock";
  FileDescriptor lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return ErrnoStatus(errno, absl::StrCat("cannot use the data directory: ", path));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(absl::StrCat("another hone-worker uses ", options.data_dir));
  }
  return std::unique_ptr<WorkerSession>(new WorkerSession(options, device, std::move(lock)));
}

WorkerSession::WorkerSession(const WorkerSessionOptions& options, const Device& device,
                             FileDescriptor directory_lock)
    : options_(options),
      directory_lock_(std::move(directory_lock)),
      connection_(options.server),
      results_(options.data_dir + "/results"),
      blobs_(options.data_dir + "/blobs", options.blob_cache_bytes,
             [this](const BlobId& blob, uint64_t offset, const BlobCache::Sink& sink) {
               Credentials credentials;
               {
                 std::lock_guard lock(mutex_);
                 credentials = credentials_;
               }
               return connection_.Download(credentials, blob, offset, sink);
             }),
      executor_({.runner_path = options.runner_path,
                 .allow_unsandboxed = options.allow_unsandboxed,
                 .device = device,
                 .host_lock_path = options.host_lock_path,
                 .open_blob = [this](const BlobId& blob) { return blobs_.Open(blob); }}),
      device_(device) {}

void WorkerSession::Stop() {
  {
    std::lock_guard lock(mutex_);
    if (!stopping_) stopping_.emplace();
  }
  changed_.notify_all();
  connection_.InterruptSynchronize();
}

absl::Status WorkerSession::Run() {
  std::thread talker([this] { Talk(); });
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return next_ || !talking_; });
    if (!next_) break;
    const Lease lease = *std::exchange(next_, std::nullopt);
    const std::shared_ptr<Cancellation> cancellation = cancellation_;
    lock.unlock();
    const Stopwatch watch;
    const LeaseResult result =
        options_.measure ? options_.measure(lease, *cancellation) : executor_.Execute(lease, *cancellation);
    Log(absl::StrCat("lease ", lease.lease_id, ": ", std::string(OutcomeName(result.outcome)), ", ",
                     result.trials.size(), " trials in ", absl::FormatDuration(watch.Elapsed()),
                     result.message.empty() ? "" : ": ", result.message));
    Finish(result, executor_.device());
    lock.lock();
  }
  lock.unlock();
  talker.join();
  return fatal_;
}

// The result is on disk before the lease counts as finished.
void WorkerSession::Finish(const LeaseResult& result, const Device& device) {
  {
    std::lock_guard lock(mutex_);
    if (!abandoned_) {
      const absl::Status stored = results_.Put(result.lease_id, SerialiseResult(result));
      if (!stored.ok())
        Log(absl::StrCat("cannot keep a result, the lease will be lost: ", stored.ToString()));
    }
    if (result.device) {
      device_ = device;
      device_known_ = false;
    }
    current_lease_.clear();
    cancellation_.reset();
    abandoned_ = false;
  }
  changed_.notify_all();
  connection_.InterruptSynchronize();
}

void WorkerSession::Talk() {
  for (bool last = false; !last;) {
    if (absl::Status status = EnsureEnrolled(); !status.ok()) {
      {
        std::lock_guard lock(mutex_);
        last = stopping_ && current_lease_.empty();
      }
      if (last || !MayRetry(status)) break;
      BackOff();
      continue;
    }
    const SynchronizeCall call = MakeCall(&last);
    absl::StatusOr<SynchronizeAnswer> answer = connection_.Synchronize(credentials_, call);
    if (answer.ok()) {
      failures_ = 0;
      if (!last_error_.empty()) Log("in touch with the server again");
      last_error_.clear();
      std::lock_guard lock(mutex_);
      if (call.device) device_known_ = true;
      Handle(*answer);
    } else if (!absl::IsCancelled(answer.status())) {
      if (last || !MayRetry(answer.status())) break;
      BackOff();
    } else {
      last = false;  // interrupted because something changed: say that first
    }
  }
  std::lock_guard lock(mutex_);
  talking_ = false;
  if (cancellation_) cancellation_->Cancel();
  changed_.notify_all();
}

absl::Status WorkerSession::EnsureEnrolled() {
  if (!credentials_.token.empty()) return absl::OkStatus();
  absl::StatusOr<Credentials> credentials = LoadCredentials(options_.data_dir);
  if (!credentials.ok()) {
    if (options_.enrol_token.empty()) {
      return absl::FailedPreconditionError("this worker is not enrolled: --enrol-token is needed");
    }
    absl::StatusOr<std::string> id = EnrolmentId(options_.data_dir);
    if (!id.ok()) return id.status();
    Device device;
    {
      std::lock_guard lock(mutex_);
      device = device_;
    }
    credentials = connection_.Enrol(options_.enrol_token, *id, options_.display_name, device);
    if (!credentials.ok()) return credentials.status();
    const std::string text = absl::StrCat(credentials->worker, "\n", credentials->token, "\n");
    if (absl::Status stored = WriteFileDurably(CredentialsPath(options_.data_dir), text); !stored.ok())
      return stored;
    Log(absl::StrCat("enrolled as ", credentials->worker));
  }
  std::lock_guard lock(mutex_);
  credentials_ = *std::move(credentials);
  return absl::OkStatus();
}

// last: set when nothing is left to do but to hand in what is there.
SynchronizeCall WorkerSession::MakeCall(bool* last) {
  SynchronizeCall call;
  for (ResultStore::Entry& entry : results_.Pending(kResultBytesPerCall))
    call.results.push_back(std::move(entry.bytes));
  std::lock_guard lock(mutex_);
  if (!device_known_) call.device = device_;
  if (!current_lease_.empty()) call.running_leases.push_back(current_lease_);
  // Only with empty hands: the server takes back whatever an accepting worker does not list.
  call.accepts_lease = current_lease_.empty() && call.results.empty() && !stopping_;
  call.wait = options_.poll;
  if (!current_lease_.empty()) call.wait = std::min(call.wait, heartbeat_);
  if (stopping_) {
    *last = current_lease_.empty();
    call.wait = kStoppingPoll;
    if (cancellation_ && stopping_->Elapsed() > options_.stop_grace) {
      cancellation_->Cancel();
      connection_.CancelDownload();
    }
  }
  if (!call.results.empty() || *last) call.wait = absl::ZeroDuration();
  return call;
}

void WorkerSession::Handle(const SynchronizeAnswer& answer) {
  for (const std::string& lease_id : answer.acknowledged) results_.Remove(lease_id);
  for (const std::string& lease_id : answer.abandon) {
    results_.Remove(lease_id);
    if (lease_id != current_lease_ || !cancellation_) continue;
    Log(absl::StrCat("lease ", lease_id, " is no longer ours"));
    abandoned_ = true;
    cancellation_->Cancel();
    connection_.CancelDownload();
  }
  for (const SynchronizeAnswer::ReceivedLease& received : answer.leases) Accept(received);
}

void WorkerSession::Accept(const SynchronizeAnswer::ReceivedLease& received) {
  // One that is under way or finished already was sent again because an answer got lost.
  if (received.lease_id == current_lease_ || results_.Has(received.lease_id) || stopping_) return;
  if (!received.lease.ok()) {
    const LeaseResult refusal{.lease_id = received.lease_id,
                              .outcome = Outcome::kInfrastructure,
                              .message = std::string(received.lease.status().message())};
    const absl::Status stored = results_.Put(received.lease_id, SerialiseResult(refusal));
    Log(absl::StrCat("refused lease ", received.lease_id, ": ", refusal.message,
                     stored.ok() ? "" : " (and lost that)"));
    return;
  }
  if (!current_lease_.empty()) return;  // not begun: the server's heartbeat limit takes it back
  next_ = *received.lease;
  current_lease_ = received.lease_id;
  heartbeat_ = absl::Seconds(received.lease->lease_seconds / 3);
  cancellation_ = std::make_shared<Cancellation>();
  changed_.notify_all();
}

bool WorkerSession::MayRetry(const absl::Status& status) {
  if (status.ToString() != last_error_) Log(last_error_ = status.ToString());
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kNotFound: {
      // The server does not know this identity (any more). With an enrol token there may be a new one.
      std::lock_guard lock(mutex_);
      if (!credentials_.token.empty() && !options_.enrol_token.empty()) {
        credentials_ = {};
        std::error_code error;
        std::filesystem::remove(CredentialsPath(options_.data_dir), error);
        std::filesystem::remove(options_.data_dir + "/enrolment", error);
        device_known_ = false;
        return true;
      }
      fatal_ = status;
      return false;
    }
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnimplemented: {
      std::lock_guard lock(mutex_);
      fatal_ = status;
      return false;
    }
    default:
      return true;
  }
}

// Exponential with jitter, so that a fleet does not come back in step. Stop ends the wait, and so does a
// connection that comes back.
void WorkerSession::BackOff() {
  absl::Duration wait = options_.first_backoff * (int64_t{1} << std::min(failures_++, 20));
  wait = std::min(wait, options_.longest_backoff) * std::uniform_real_distribution<double>(0.5, 1)(jitter_);
  std::unique_lock lock(mutex_);
  const bool was_stopping = stopping_.has_value();
  for (const Stopwatch watch; watch.Elapsed() < wait && stopping_.has_value() == was_stopping;) {
    lock.unlock();
    const bool was_connected = connection_.IsConnected();
    const bool connected = was_connected || connection_.AwaitConnected(kBackOffSlice);
    lock.lock();
    if (connected && !was_connected) break;
    if (was_connected) changed_.wait_for(lock, absl::ToChronoMilliseconds(kBackOffSlice));
  }
  if (stopping_ && cancellation_ && stopping_->Elapsed() > options_.stop_grace) cancellation_->Cancel();
}

}  // namespace hone
