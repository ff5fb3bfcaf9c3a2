// hone-worker: see HelpText in config.cc.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "proto/sandbox/sandbox_status.h"
#include "worker/calibration_store.h"
#include "worker/config.h"
#include "worker/device_detection.h"
#include "worker/log.h"

#ifndef HONE_VERSION
#define HONE_VERSION "unknown"
#endif

namespace hone {
namespace {

// Turns SIGTERM and SIGINT into Stop; a second one ends the process at once. The signals must be blocked in
// all threads.
class SignalThread {
 public:
  explicit SignalThread(WorkerSession* session) : thread_([this, session] { Wait(session); }) {}
  ~SignalThread() {
    done_ = true;
    pthread_kill(thread_.native_handle(), SIGTERM);
    thread_.join();
  }
  static sigset_t Signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
  }

 private:
  void Wait(WorkerSession* session) {
    const sigset_t set = Signals();
    for (bool first = true;; first = false) {
      int signal = 0;
      sigwait(&set, &signal);
      if (done_) return;
      if (!first) _exit(1);
      Log("stopping");
      session->Stop();
    }
  }
  std::atomic<bool> done_{false};
  std::thread thread_;
};

constexpr int kRefused =
    3;  // by the server, which has removed this worker: starting again is for people to decide

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "hone-worker: %s\n", std::string(status.message()).c_str());
  return absl::IsPermissionDenied(status) ? kRefused : 1;
}

int Join(const WorkerSessionOptions& options) {
  // Before any thread is there: all of them inherit the mask.
  const sigset_t signals = SignalThread::Signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  if (const absl::Status sandbox = SandboxStatus(HoneSandboxProbe(), "candidates"); !sandbox.ok()) {
    if (!options.allow_unsandboxed) return Fail(sandbox);
    Log("--allow-unsandboxed: " + std::string(sandbox.message()));
  }
  Device device = DetectDevice();
  absl::StatusOr<Calibration> calibration = CalibrateAlone(device, options.host_lock_path);
  if (!calibration.ok()) return Fail(calibration.status());
  device.calibration = *std::move(calibration);
  if (const absl::Status kept = KeepBestCalibration(options.calibration_path(), &device); !kept.ok())
    Log("cannot keep the calibration: " + kept.ToString());
  absl::StatusOr<std::unique_ptr<WorkerSession>> session = WorkerSession::Create(options, device);
  if (!session.ok()) return Fail(session.status());
  Log("measuring for " + options.server.address + " on " + device.device_class);
  SignalThread signal_thread(session->get());
  const absl::Status status = (*session)->Run();
  return status.ok() ? 0 : Fail(status);
}

int PrintCalibration(const std::string& host_lock_path) {
  Device device = DetectDevice();
  absl::StatusOr<Calibration> calibration = CalibrateAlone(device, host_lock_path);
  if (!calibration.ok()) return Fail(calibration.status());
  device.calibration = *std::move(calibration);
  std::puts(DeviceToJson(device).c_str());
  return 0;
}

int Main(int argc, char** argv) {
  std::error_code error;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", error).string();
  absl::StatusOr<WorkerConfig> config = ParseCommandLine(program, {argv + 1, argv + argc});
  if (!config.ok()) {
    std::fprintf(stderr, "hone-worker: %s (try --help)\n", std::string(config.status().message()).c_str());
    return 2;
  }
  switch (config->command) {
    case WorkerConfig::Command::kHelp:
      std::fputs(HelpText().c_str(), stdout);
      return 0;
    case WorkerConfig::Command::kVersion:
      std::puts("hone-worker " HONE_VERSION);
      return 0;
    case WorkerConfig::Command::kCalibrate:
      return PrintCalibration(config->session.host_lock_path);
    case WorkerConfig::Command::kJoin:
      return Join(config->session);
  }
  return 2;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { return hone::Main(argc, argv); }
