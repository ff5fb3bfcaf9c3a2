// Hostile models through the real server: mutants of real models are uploaded, inspected and, where they
// inspect well, compiled by a job of zero trials.
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/reliability/child_watch.h"
#include "tests/reliability/pause.h"
#include "tests/reliability/process_usage.h"
#include "tests/reliability/seed_models.h"
#include "tests/reliability/submission.h"

namespace hone {
namespace {

constexpr char kUsage[] =
    "usage: mutants [--mutants N] [--seconds S] [--seed S] [--threads N] [--models FOLDER]... [--keep "
    "FOLDER]\n"
    "               [--only N] [--jobs-every N] [--pause-while FILE]\n"
    "  --mutants     how many (default 10000; --seconds ends sooner)\n"
    "  --models      .onnx files below it are mutated besides the small model of the tests\n"
    "  --keep        mutants with a finding are stored there\n"
    "  --only        the mutant of that number alone\n"
    "  --jobs-every  of the mutants of large models that inspect well one in N is compiled (default 20)\n"
    "  --pause-while no mutant is begun while FILE is there\n";
constexpr uint64_t kMostBytes = uint64_t{1} << 30;
constexpr int kSmallNodes = 40;

struct Options {
  int mutants = 10000, only = -1, threads = 2, jobs_every = 20;
  double seconds = 0;
  uint64_t seed = 1;
  std::vector<std::string> folders;
  std::string keep, pause_while;
};

class Mutants {
 public:
  explicit Mutants(const Options& options)
      : options_(options),
        server_(folder_.path() + "/data", {"--job-binary", HONE_JOB_BINARY, "--max-jobs", "2"}),
        seeds_(options.folders) {}

  int Run() {
    server_.Start();
    if (!server_.IsRunning()) return 1;
    FakeWorker worker(server_);
    worker.Start();
    const Submission::Weights weights{seeds_.weights_bytes()};
    const absl::Time begin = absl::Now();
    {
      ChildWatch watch(server_.pid(), kMostBytes, [this](pid_t pid, uint64_t bytes) { TooLarge(bytes); });
      std::vector<std::thread> threads;
      for (int i = 0; i < options_.threads; ++i) threads.emplace_back([&] { Work(weights, begin); });
      for (std::thread& thread : threads) thread.join();
      child_peak_ = watch.peak_bytes();
    }
    worker.Stop();
    if (!server_.IsRunning()) Find(-1, "the server died", "");
    return Report(absl::ToDoubleSeconds(absl::Now() - begin));
  }

 private:
  void Work(const Submission::Weights& weights, absl::Time begin) {
    Submission submission(server_, weights);
    const int first = options_.only < 0 ? 0 : options_.only;
    const int last = options_.only < 0 ? options_.mutants : options_.only + 1;
    while (options_.seconds == 0 || absl::Now() < begin + absl::Seconds(options_.seconds)) {
      WaitWhileThere(options_.pause_while);
      const int number = first + next_++;
      if (number >= last || stopped_) return;
      Try(submission, number);
    }
  }

  void Try(Submission& submission, int number) {
    Dice dice(options_.seed * 1'000'003 + static_cast<uint64_t>(number));
    const SeedModel& seed = seeds_.Pick(dice);
    std::string deeds;
    const std::string bytes = MutateModel(seed.model, dice, &deeds);
    {
      std::lock_guard lock(mutex_);
      under_way_[number] = absl::StrCat(seed.name, ": ", deeds);
    }
    const bool compiled = seed.model.graph().node_size() <= kSmallNodes || dice.OneIn(options_.jobs_every);
    const Answer answer = submission.Run(bytes, dice, compiled);
    std::lock_guard lock(mutex_);
    ++count_;
    ++kinds_[answer.kind];
    slowest_ = std::max(slowest_, answer.slowest_seconds);
    slowest_job_ = std::max(slowest_job_, answer.job_seconds);
    if (!answer.finding.empty()) Find(number, answer.finding, bytes);
    under_way_.erase(number);
    if (count_ % 1000 == 0) std::printf("%d mutants, %d findings\n", count_, findings_), std::fflush(stdout);
    if (!server_.IsRunning()) stopped_ = true;
  }

  void TooLarge(uint64_t bytes) {
    std::lock_guard lock(mutex_);
    ++findings_;
    std::printf("FINDING: a hone-job of %llu MiB while these were under way:\n",
                static_cast<unsigned long long>(bytes >> 20));
    for (const auto& [number, text] : under_way_) std::printf("  mutant %d, %s\n", number, text.c_str());
    std::fflush(stdout);
  }

  // mutex_ is held, or there is one thread only.
  void Find(int number, const std::string& what, const std::string& bytes) {
    ++findings_;
    std::printf("FINDING: mutant %d, %s\n  %s\n", number, under_way_[number].c_str(), what.c_str());
    std::fflush(stdout);
    if (options_.keep.empty()) return;
    std::filesystem::create_directories(options_.keep);
    const std::string path = absl::StrCat(options_.keep, "/", options_.seed, "-", number, ".onnx");
    std::ofstream(path, std::ios::binary) << bytes;
  }

  int Report(double seconds) {
    std::printf("seed %llu: %d mutants of %zu models in %.0f s: %d findings\n",
                static_cast<unsigned long long>(options_.seed), count_, seeds_.count(), seconds, findings_);
    for (const auto& [kind, count] : kinds_) std::printf("  %6d %s\n", count, kind.c_str());
    std::printf(
        "  slowest answer %.2f s, slowest job %.2f s; peak of a hone-job %llu MiB, of the server %llu MiB\n",
        slowest_, slowest_job_, static_cast<unsigned long long>(child_peak_ >> 20),
        static_cast<unsigned long long>(server_.IsRunning() ? PeakBytes(server_.pid()) >> 20 : 0));
    return findings_ == 0 && count_ > 0 ? 0 : 1;
  }

  const Options options_;
  TemporaryFolder folder_;
  ServerProcess server_;
  const SeedModels seeds_;
  std::atomic<int> next_ = 0;
  std::atomic<bool> stopped_ = false;
  std::mutex mutex_;
  std::map<int, std::string> under_way_;
  std::map<std::string, int> kinds_;  // of answers
  int count_ = 0, findings_ = 0;
  double slowest_ = 0, slowest_job_ = 0;
  uint64_t child_peak_ = 0;
};

bool Read(int argc, char** argv, Options* options) {
  const std::map<std::string, std::function<void(const char*)>> flags = {
      {"--mutants", [&](const char* value) { options->mutants = atoi(value); }},
      {"--seconds", [&](const char* value) { options->seconds = atof(value); }},
      {"--seed", [&](const char* value) { options->seed = strtoull(value, nullptr, 10); }},
      {"--threads", [&](const char* value) { options->threads = atoi(value); }},
      {"--models", [&](const char* value) { options->folders.push_back(value); }},
      {"--keep", [&](const char* value) { options->keep = value; }},
      {"--pause-while", [&](const char* value) { options->pause_while = value; }},
      {"--only", [&](const char* value) { options->only = atoi(value); }},
      {"--jobs-every", [&](const char* value) { options->jobs_every = std::max(1, atoi(value)); }},
  };
  for (int i = 1; i < argc; i += 2) {
    const auto flag = flags.find(argv[i]);
    if (flag == flags.end() || i + 1 == argc) return false;
    flag->second(argv[i + 1]);
  }
  return true;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);  // the server's test helpers use its expectations
  hone::Options options;
  if (!hone::Read(argc, argv, &options)) return std::fputs(hone::kUsage, stderr), 2;
  return hone::Mutants(options).Run();
}
