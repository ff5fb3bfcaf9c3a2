#include "worker/worker_session.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "worker/calibration_store.h"
#include "worker/log.h"

namespace hone {
namespace {

constexpr size_t kResultBytesPerCall = 1 << 20;
constexpr absl::Duration kStoppingPoll = absl::Milliseconds(500);
constexpr absl::Duration kLongestRest = absl::Hours(1);  // between two calibrations of an idle device
constexpr absl::Duration kBackOffSlice = absl::Milliseconds(100);

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
      identities_(options.data_dir),
      connection_(options.server),
      results_(options.data_dir + "/results"),
      blobs_(options.data_dir + "/blobs", options.blob_cache_bytes,
             [this](const BlobId& blob, uint64_t offset, const BlobCache::Sink& sink) {
               return connection_.Download(blob, offset, sink);
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
  const bool calibrates = !options_.measure && options_.idle_calibration > absl::ZeroDuration();
  absl::Duration rest = calibrates ? options_.idle_calibration : kLongestRest;
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto called = [this] { return next_ || !talking_; };
    if (!changed_.wait_for(lock, absl::ToChronoMilliseconds(rest), called)) {
      if (!calibrates) continue;
      rest = std::min(2 * rest, kLongestRest);
      lock.unlock();
      CalibrateAgain();
      lock.lock();
      continue;
    }
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
    Finish(result);
    lock.lock();
  }
  lock.unlock();
  talker.join();
  return fatal_;
}

void WorkerSession::CalibrateAgain() {
  if (const absl::Status status = executor_.Calibrate(); !status.ok())
    return Log(absl::StrCat("calibrating while idle: ", status.ToString()));
  Tell(executor_.device());
  connection_.InterruptSynchronize();
}

void WorkerSession::Tell(const Device& device) {
  Device best = device;
  if (const absl::Status kept = KeepBestCalibration(options_.calibration_path(), &best); !kept.ok())
    Log(absl::StrCat("cannot keep the calibration: ", kept.ToString()));
  std::lock_guard lock(mutex_);
  device_ = std::move(best);
  device_known_ = false;
}

// The result is on disk before the lease counts as finished.
void WorkerSession::Finish(const LeaseResult& result) {
  if (result.device) Tell(*result.device);
  {
    std::lock_guard lock(mutex_);
    if (!abandoned_) {
      const absl::Status stored = results_.Put(result.lease_id, SerialiseResult(result));
      if (!stored.ok())
        Log(absl::StrCat("cannot keep a result, the lease will be lost: ", stored.ToString()));
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
    absl::StatusOr<SynchronizeAnswer> answer = connection_.Synchronize(call);
    if (answer.ok()) {
      failures_ = 0;
      if (!last_error_.empty()) Log("in touch with the server again");
      last_error_.clear();
      {
        std::lock_guard lock(mutex_);
        if (call.device) device_known_ = true;
        Handle(*answer);
      }
      if (answer->renew_certificate) {  // said again until it is done
        if (const absl::Status renewed = RenewCertificate(); !renewed.ok()) Log(renewed.ToString());
      }
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
  if (!worker_.empty()) return absl::OkStatus();
  absl::StatusOr<Identity> identity = identities_.Load();
  if (absl::IsDataLoss(identity.status()))
    Log(absl::StrCat(identity.status().message(), ": enrolling again"));
  if (!identity.ok()) identity = Enrol();
  if (!identity.ok()) return identity.status();
  connection_.Identify(*identity);
  worker_ = identity->worker;
  return absl::OkStatus();
}

absl::StatusOr<Identity> WorkerSession::Enrol() {
  const std::string former = identities_.FormerToken();
  if (former.empty() && options_.enrol_token.empty()) {
    return absl::FailedPreconditionError(
        "this worker is not enrolled: give --enrol-token-file a token of 'hone token enrol'");
  }
  const absl::StatusOr<CertificateRequest> request = identities_.ProvideEnrolment();
  if (!request.ok()) return request.status();
  Device device;
  {
    std::lock_guard lock(mutex_);
    device = device_;
  }
  const auto enrol = [&](const std::string& token) {
    return connection_.Enrol(token, *request, options_.display_name, device);
  };
  absl::StatusOr<Identity> identity = enrol(former.empty() ? options_.enrol_token : former);
  if (absl::IsUnauthenticated(identity.status()) && !former.empty() && !options_.enrol_token.empty())
    identity = enrol(options_.enrol_token);
  if (!identity.ok()) return identity;
  if (const absl::Status stored = identities_.Store(*identity); !stored.ok()) return stored;
  Log("enrolled as " + identity->worker);
  return identity;
}

// With a new key. Until the new pair is stored, and should that fail, the old one stays.
absl::Status WorkerSession::RenewCertificate() {
  const absl::StatusOr<CertificateRequest> request = MakeCertificateRequest();
  if (!request.ok()) return request.status();
  const absl::StatusOr<Identity> identity = connection_.RenewCertificate(*request);
  if (!identity.ok()) return identity.status();
  if (const absl::Status stored = identities_.Store(*identity); !stored.ok()) return stored;
  connection_.Identify(*identity);
  Log("the certificate is renewed");
  return absl::OkStatus();
}

void WorkerSession::Forget() {
  identities_.Forget();
  connection_.Identify({});
  worker_.clear();
  std::lock_guard lock(mutex_);
  device_known_ = false;
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
  if (status.message() != last_error_) Log(status.ToString());  // each attempt has an id of its own
  last_error_ = std::string(status.message());
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kNotFound: {
      if (worker_.empty()) return Fail(status);  // the enrol token is none
      // The certificate expired while nobody asked (the machine slept), or this worker is forgotten.
      const absl::Status renewed = RenewCertificate();
      if (!absl::IsUnauthenticated(renewed) && !absl::IsNotFound(renewed))
        return renewed.ok() || MayRetry(renewed);
      if (options_.enrol_token.empty()) return Fail(renewed);
      Forget();
      return true;
    }
    case absl::StatusCode::kPermissionDenied:
      if (!worker_.empty()) Forget();  // removed: whoever starts this worker again lets it join anew
      return Fail(status);
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnimplemented:
      return Fail(status);
    default:
      return true;
  }
}

bool WorkerSession::Fail(const absl::Status& status) {
  std::lock_guard lock(mutex_);
  fatal_ = status;
  return false;
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
