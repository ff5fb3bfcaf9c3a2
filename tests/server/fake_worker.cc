#include "tests/server/fake_worker.h"

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proto/certificates/certificate_request.h"

namespace hone {

WorkerIdentity EnrolWorker(ServerProcess& server) {
  const CertificateRequest asked = *MakeCertificateRequest();
  Caller caller(server.Channel(server.EnrolToken()));
  v1::EnrolRequest request;
  request.set_display_name("fake");
  request.set_certificate_request(asked.request);
  v1::EnrolResponse response;
  const grpc::Status status = caller.workers->Enrol(Caller::Context().get(), request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return {response.worker(), asked.private_key, response.certificate()};
}

FakeWorker::FakeWorker(ServerProcess& server, const std::string& device_class)
    : identity(EnrolWorker(server)), server_(server), device_class_(device_class) {}

FakeWorker::~FakeWorker() { Stop(); }

void FakeWorker::Start() {
  stopping_ = false;
  thread_ = std::thread([this] { Loop(); });
}

void FakeWorker::Stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

bool FakeWorker::WaitForLeases(int count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return leases_ >= count; });
}

v1::Device FakeWorker::Device(const std::string& device_class) {
  v1::Device device;
  device.set_device_class(device_class);
  device.set_target("x86-64-v4");
  device.set_cores(2);
  return device;
}

v1::LeaseResult FakeWorker::Measure(const v1::Lease& lease) {
  v1::LeaseResult result;
  result.set_lease_id(lease.lease_id());
  result.set_outcome(v1::OUTCOME_OK);
  static std::atomic<int> calls = 0;
  double seconds = 1e-3 + 1e-9 * calls++;  // no two measurements are alike
  auto measure = [&](v1::Measurement& measurement) {
    measurement.set_outcome(v1::OUTCOME_OK);
    measurement.set_p20_seconds(seconds);
    measurement.set_median_seconds(seconds);
    measurement.set_p95_seconds(seconds);
    measurement.add_windows()->set_seconds(seconds);
    seconds *= 1.01;
  };
  for (const v1::LeaseTrial& trial : lease.trials()) {
    v1::TrialResult& row = *result.add_trials();
    row.set_trial_id(trial.trial_id());
    measure(*row.mutable_measurement());
  }
  if (lease.has_incumbent()) measure(*result.mutable_incumbent());
  return result;
}

void FakeWorker::Loop() {
  std::unique_ptr<Caller> caller;
  std::map<std::string, v1::LeaseResult> kept;  // by lease, until acknowledged
  std::set<std::string> acknowledged;           // trials; one job per worker in these tests
  while (!stopping_) {
    if (caller == nullptr) caller = std::make_unique<Caller>(server_.Channel(identity));
    v1::SynchronizeRequest request;
    request.set_worker(name);
    *request.mutable_device() = Device(device_class_);
    request.set_accepts_lease(true);
    request.set_wait_seconds(0.2);
    for (const auto& [lease, result] : kept) *request.add_results() = result;
    v1::SynchronizeResponse response;
    auto context = Caller::Context(5);
    context->set_wait_for_ready(false);
    const grpc::Status status = caller->workers->Synchronize(context.get(), request, &response);
    if (!status.ok()) {
      caller.reset();  // the server is away, or back under another port
      std::this_thread::yield();
      continue;
    }
    for (const std::string& lease : response.acknowledged()) {
      for (const v1::TrialResult& trial : kept[lease].trials()) acknowledged.insert(trial.trial_id());
      kept.erase(lease);
    }
    for (const v1::Lease& lease : response.leases()) {
      for (const v1::LeaseTrial& trial : lease.trials()) repeated_ += acknowledged.contains(trial.trial_id());
      {
        std::lock_guard lock(mutex_);
        ++leases_;
      }
      changed_.notify_all();
      kept[lease.lease_id()] = Measure(lease);
    }
  }
}

}  // namespace hone
