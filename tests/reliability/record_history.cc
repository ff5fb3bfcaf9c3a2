#include "tests/reliability/record_history.h"

#include <atomic>
#include <cmath>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/values/sha256.h"
#include "server/auth/secrets.h"
#include "server/execution/status_macros.h"
#include "server/workers/record_message.h"

namespace hone {
namespace {

constexpr int kTrials = 8, kWindows = 12, kFiles = 8, kTasks = 25, kModels = 100;
constexpr size_t kTaskKeyBytes = 700, kTraceBytes = 130, kReportBytes = 6000;
constexpr size_t kOracleElements = 256;

std::string FileOf(int model, const std::string& name) { return absl::StrCat("history ", model, " ", name); }
constexpr const char* kNames[] = {"model.onnx", "weights.bin"};

v1::Device MakeDevice(const std::string& device_class) {
  v1::Device device;
  device.set_device_class(device_class);
  device.set_cpu_name("Example Processor 9000 with 2 of its cores");
  device.set_target("x86-64-v4");
  device.set_cores(2);
  return device;
}

// One job after the other, on a device of its own.
class Teller {
 public:
  Teller(Store& store, uint64_t seed, int number)
      : store_(store),
        random_(seed * 1000 + static_cast<uint64_t>(number)),
        device_class_(absl::StrCat("history/", number)) {}

  absl::Status Enrol() {
    worker_.id = RandomId();
    worker_.display_name = device_class_;
    worker_.device_class = device_class_;
    worker_.device_bytes = MakeDevice(device_class_).SerializeAsString();
    return store_.Enrol(worker_, {}).status();
  }

  absl::Status TellJob(int64_t records) {
    const int model = static_cast<int>(random_() % kModels);
    ModelRow row{.id = Sha256Hex(absl::StrCat("history model ", model)),
                 .display_name = absl::StrCat("network-", model),
                 .main_file = "model.onnx"};
    for (const char* name : kNames) {
      const std::string content = FileOf(model, name);
      row.files.push_back({name, {Sha256Hex(content), content.size()}});
    }
    for (const FileRow& file : row.files) HONE_RETURN_IF_ERROR(store_.ClaimBlob(kDefaultProject, file.blob));
    HONE_RETURN_IF_ERROR(store_.CreateModel(row, {}).status());
    v1::JobSpec spec;
    spec.set_model("models/" + row.id);
    spec.set_target("x86-64-v4");
    job_ = RandomId();
    HONE_RETURN_IF_ERROR(store_
                             .CreateJob({.id = job_,
                                         .model = row.id,
                                         .model_display_name = row.display_name,
                                         .spec_bytes = spec.SerializeAsString(),
                                         .progress_bytes = std::string(2000, 'p')},
                                        {"users/owner", "CreateJob", RandomHex(16), RandomHex(32)})
                             .status());
    HONE_RETURN_IF_ERROR(store_.StartJob(job_));
    HONE_RETURN_IF_ERROR(store_.ChooseDevice(job_, device_class_, worker_.device_bytes).status());
    uint32_t batch = 0;
    for (; records > 0; records -= kTrials + 1) HONE_RETURN_IF_ERROR(TellBatch(row, ++batch));
    return TellEnd(row);
  }

 private:
  v1::Measurement Measure() {
    v1::Measurement measurement;
    const uint64_t luck = random_() % 100;
    measurement.set_outcome(luck < 94   ? v1::OUTCOME_OK
                            : luck < 97 ? v1::OUTCOME_WRONG_OUTPUT
                                        : v1::OUTCOME_CRASH);
    if (measurement.outcome() != v1::OUTCOME_OK) {
      measurement.set_message("ended by signal 11 (Segmentation fault) in its first window");
      return measurement;
    }
    const double seconds =
        std::exp(std::uniform_real_distribution<>(std::log(1e-5), std::log(1e-2))(random_));
    measurement.set_p20_seconds(seconds);
    measurement.set_median_seconds(seconds * 1.01);
    measurement.set_p95_seconds(seconds * 1.1);
    measurement.set_ratio_to_incumbent(1.1);
    measurement.set_ratio_low(1.05);
    measurement.set_ratio_high(1.15);
    measurement.set_probe_gflops_before(250);
    measurement.set_probe_gflops_after(250);
    for (int i = 0; i < kWindows; ++i) {
      v1::Window& window = *measurement.add_windows();
      window.set_seconds(seconds * (1 + 0.001 * i));
      window.set_calls(20);
      window.set_cpu_fraction(0.999);
      window.set_kept(true);
    }
    return measurement;
  }

  absl::Status TellBatch(const ModelRow& model, uint32_t number) {
    const std::string task = absl::StrCat("task ", random_() % kTasks, " of ", model.id);
    v1::ProposeBatch proposal;
    proposal.set_number(number);
    proposal.set_task_key(task + std::string(kTaskKeyBytes - task.size(), 'k'));
    proposal.set_task_label("conv2d 64x56x56 -> 64 3x3");
    proposal.set_target("x86-64-v4");
    proposal.set_trace_version(1);
    proposal.set_compiler_build("0.1.0");
    v1::OracleSample& sample = *proposal.mutable_lease()->add_oracle_samples();
    for (size_t i = 0; i < kOracleElements; ++i) sample.add_element(i * 97), sample.add_value(0.5);
    const RecordContext context{.job = job_,
                                .model_display_name = model.display_name,
                                .proposal = proposal,
                                .seed = 1,
                                .device_class = device_class_,
                                .worker = worker_.id,
                                .device = MakeDevice(device_class_)};
    BatchRow batch{
        .job = job_, .number = number, .proposal_bytes = proposal.SerializeAsString(), .run_seconds = 600};
    std::vector<TrialRow> trials;
    LeaseCompletion completion{.worker = worker_.id};
    for (int i = 0; i < kTrials; ++i) {
      TrialRow& trial = trials.emplace_back();
      trial.trial_id = absl::StrCat("b", number, ".", i);
      trial.trace = absl::StrCat("trace 1; algorithm ",
                                 i % 3 == 0 ? "winograd m=4 tiles=" : "direct; leaf contract mr=", random_());
      trial.trace.resize(kTraceBytes, 't');
      trial.object = {RandomHex(32), 20'000};
      trial.predicted_seconds = 1e-3;
      batch.objects.push_back(trial.object.sha256);
      completion.ended.push_back(MakeRecordRow(context, trial, Measure()));
    }
    completion.incumbent = MakeIncumbentRow(context, Measure());
    HONE_RETURN_IF_ERROR(store_.StoreBatch(batch, trials, {}));
    HONE_ASSIGN_OR_RETURN(const std::optional<LeaseGrant> lease,
                          store_.ClaimLease(worker_.id, device_class_, 30));
    if (!lease) return absl::InternalError("there is no lease for the batch");
    completion.lease_id = lease->lease_id;
    return store_.CompleteLease(completion);
  }

  absl::Status TellEnd(const ModelRow& model) {
    ModuleRow module{.id = job_,
                     .job = job_,
                     .model = model.id,
                     .target = "x86-64-v4",
                     .report_json = std::string(kReportBytes, 'r')};
    for (int i = 0; i < kFiles; ++i)
      module.files.push_back({absl::StrCat("file", i), {RandomHex(32), 100'000}});
    return store_.EndJob(job_, JobState::kSucceeded, "", module);
  }

  Store& store_;
  std::mt19937_64 random_;
  const std::string device_class_;
  WorkerRow worker_;
  std::string job_;
};

}  // namespace

std::vector<std::string> HistoryFiles() {
  std::vector<std::string> files;
  for (int model = 0; model < kModels; ++model) {
    for (const char* name : kNames) files.push_back(FileOf(model, name));
  }
  return files;
}

absl::Status TellHistory(Store& store, const HistoryOptions& options) {
  std::atomic<int64_t> left = options.records;
  std::mutex mutex;
  absl::Status first_error;
  std::vector<std::thread> threads;
  for (int i = 0; i < options.jobs_at_once; ++i) {
    threads.emplace_back([&, i] {
      Teller teller(store, options.seed, i);
      absl::Status status = teller.Enrol();
      for (int64_t mine; status.ok() && (mine = left.fetch_sub(kRecordsPerJob)) > 0;)
        status = teller.TellJob(std::min<int64_t>(mine, kRecordsPerJob));
      std::lock_guard lock(mutex);
      if (first_error.ok()) first_error = status;
    });
  }
  for (std::thread& thread : threads) thread.join();
  return first_error;
}

}  // namespace hone
