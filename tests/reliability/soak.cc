// Hours of mixed load on one server, in seconds or for real: nothing may grow, leak or be lost. See README,
// "Reliability".
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/reliability/fleet_memory.h"
#include "tests/reliability/process_usage.h"
#include "tests/reliability/soak_ledger.h"
#include "tests/reliability/soak_load.h"
#include "tests/reliability/tcp_relay.h"
#include "tests/reliability/trend.h"
#include "tests/reliability/worker_fleet.h"

namespace hone {
namespace {

struct Options {
  double seconds = 12;
  unsigned seed = 1;
  std::string folder = "/tmp";
  std::string samples;  // file
};

constexpr char kUsage[] =
    "soak [--seconds S] [--seed N] [--folder F] [--samples FILE]\n"
    "  --folder   the server's data folder is made below it (default /tmp)\n"
    "  --samples  receives a line per second: time, memory, log, descriptors, threads\n";

constexpr int kWorkers = 6;
constexpr double kLeaseSeconds = 2;
constexpr double kFaultEverySeconds = 2;
constexpr double kFirstSeconds = 3;   // of load before anything is counted
constexpr double kLongestSpell = 60;  // of faults, then of none; the last is one of none
constexpr double kWarmUp = 0.25;      // of the run
constexpr double kJudgedHours = 0.5;  // after it; a shorter run says nothing about a slope
constexpr double kMostSlope = 1;      // MiB per hour
constexpr double kMostGrowth = 256;   // MiB, ever
constexpr double kMostWal = 64;       // MiB
constexpr absl::Duration kSteady = absl::Seconds(4);
constexpr absl::Duration kMostDrain = absl::Seconds(30);
constexpr double kMiB = 1 << 20;

struct Usage {
  double memory = 0, wal = 0;  // MiB
  int descriptors = 0;
  int threads = 0, pools = 0;  // without and of gRPC's own pools

  void Lower(const Usage& other) {
    descriptors = std::min(descriptors, other.descriptors);
    threads = std::min(threads, other.threads);
    pools = std::min(pools, other.pools);
  }
};

class Soak {
 public:
  explicit Soak(const Options& options)
      : options_(options),
        random_(options.seed),
        folder_(options.folder),
        data_(folder_.path() + "/data"),
        server_(data_, {"--job-binary", HONE_JOB_BINARY, "--lease-seconds", absl::StrCat(kLeaseSeconds),
                        "--max-jobs", "2", "--object-hours", "0.1", "--upload-hours", "0.1"}) {}

  int Run() {
    server_.Start();
    if (!server_.IsRunning()) return 1;
    {
      SoakLoad load(server_, options_.seed, ledger_);
      // The start that is gone back to: what is made for the first of a kind and then kept is there.
      WithWorkers([&](WorkerFleet&, TcpRelay&) {
        load.Start();
        absl::SleepFor(absl::Seconds(std::clamp(options_.seconds / 4, kFirstSeconds, 10 * kFirstSeconds)));
        load.Stop();
      });
      before_ = Settle();
      WithWorkers([&](WorkerFleet& fleet, TcpRelay& relay) {
        load.Start();
        Torment(fleet, relay, load);
        load.Stop();
      });
      deeds_ = load.deeds();
    }
    after_ = Settle();
    Compare();
    return Report();
  }

 private:
  template <typename Work>
  void WithWorkers(Work work) {
    TcpRelay relay(server_.Grpc());
    WorkerFleet fleet({.folder = folder_.path(),
                       .address = relay.address(),
                       .ca_file = data_ + "/tls/cert.pem",
                       .enrol_token = server_.EnrolToken(),
                       .memory_file = folder_.path() + "/memory",
                       .lease_seconds = kLeaseSeconds,
                       .workers = kWorkers},
                      random_);
    work(fleet, relay);
    died_ += fleet.died();
  }

  Usage Look() const {
    std::error_code error;
    const uintmax_t wal = std::filesystem::file_size(data_ + "/hone.db-wal", error);
    const int pools = GrpcPoolThreads(server_.pid());
    return {.memory = static_cast<double>(ResidentBytes(server_.pid())) / kMiB,
            .wal = error ? 0 : static_cast<double>(wal) / kMiB,
            .descriptors = OpenDescriptors(server_.pid()),
            .threads = Threads(server_.pid()) - pools,
            .pools = pools};
  }

  // The least that is in use once everybody has gone: connections and their threads end a while later.
  Usage Settle() const {
    Usage least = Look();
    absl::Time lowered = absl::Now();
    while (absl::Now() < lowered + kSteady) {
      absl::SleepFor(absl::Milliseconds(100));  // looks at another process
      const Usage before = least;
      least.Lower(Look());
      if (least.descriptors < before.descriptors || least.threads < before.threads) lowered = absl::Now();
    }
    return least;
  }

  void Torment(WorkerFleet& fleet, TcpRelay& relay, SoakLoad& load) {
    std::ofstream samples(options_.samples);
    const absl::Time begin = absl::Now();
    const double spell = std::min(kLongestSpell, options_.seconds / 2);
    double next_fault = 0, next_sample = 0, next_line = 60;
    for (double now = 0; now < options_.seconds; now = absl::ToDoubleSeconds(absl::Now() - begin)) {
      absl::SleepFor(absl::Milliseconds(20));  // the pace of faults
      fleet.Maintain();
      const bool calm = static_cast<int>((options_.seconds - now) / spell) % 2 == 0;
      if (now >= next_fault && !calm) Fault(fleet, relay), next_fault = now + kFaultEverySeconds;
      if (now < next_sample) continue;
      next_sample += 1;
      const Usage usage = Look();
      memory_.push_back({now / 3600, usage.memory});
      most_.memory = std::max(most_.memory, usage.memory);
      most_.wal = std::max(most_.wal, usage.wal);
      samples << absl::StrCat(now, " ", usage.memory, " ", usage.wal, " ", usage.descriptors, " ",
                              usage.threads, "\n")
              << std::flush;
      if (now < next_line) continue;
      next_line += 60;
      std::printf("%.0f s: %.1f MiB, WAL %.1f MiB, %d descriptors, %d threads, %d jobs, %d findings\n", now,
                  usage.memory, usage.wal, usage.descriptors, usage.threads, load.deeds()["jobs"],
                  ledger_.findings());
      std::fflush(stdout);
    }
  }

  void Fault(WorkerFleet& fleet, TcpRelay& relay) {
    ++faults_;
    switch (random_() % 3) {
      case 0:
        return fleet.Kill();
      case 1:
        return fleet.Freeze();
      default:
        relay.Silence(random_);
    }
  }

  // As it is, after a SIGKILL, and in the database once it has ended in order.
  void Compare() {
    if (!server_.IsRunning()) return ledger_.Find("the server died");
    for (const bool killed : {false, true}) {
      if (killed) server_.Stop(SIGKILL), server_.Start();
      Caller caller(server_.Channel(server_.AdminToken()));
      ledger_.CompareWith(caller);
    }
    const absl::Time begin = absl::Now();
    const int status = server_.Stop(SIGTERM);
    drain_ = absl::Now() - begin;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) ledger_.Find("the server did not end in order");
    ledger_.CompareWith(data_ + "/hone.db");
  }

  // After the warm-up, the median of every ten seconds.
  Trend MemoryTrend() const {
    std::vector<Sample> medians;
    for (size_t i = static_cast<size_t>(kWarmUp * static_cast<double>(memory_.size()));
         i + 10 <= memory_.size(); i += 10) {
      std::vector<Sample> ten(memory_.begin() + static_cast<std::ptrdiff_t>(i),
                              memory_.begin() + static_cast<std::ptrdiff_t>(i + 10));
      std::nth_element(ten.begin(), ten.begin() + 5, ten.end(),
                       [](const Sample& a, const Sample& b) { return a.value < b.value; });
      medians.push_back({memory_[i + 5].at, ten[5].value});
    }
    return medians.size() < 2 ? Trend() : TheilSen(medians);
  }

  int Report() const {
    std::string deeds;
    for (const auto& [name, count] : deeds_)
      absl::StrAppend(&deeds, deeds.empty() ? "" : ", ", count, " ", name);
    const Trend trend = MemoryTrend();
    const bool judged = options_.seconds * (1 - kWarmUp) / 3600 >= kJudgedHours;
    const double growth = most_.memory - before_.memory;
    std::printf(
        "seed %u: %.0f s of %s; %d faults of workers, %d ended by themselves; %zu acknowledged things, %d "
        "findings\n"
        "  descriptors %d -> %d, threads %d -> %d (gRPC's pools: %d -> %d); memory %.1f MiB, at most %+.1f, "
        "slope %+.2f MiB/h (95 %% interval "
        "%+.2f to %+.2f%s); WAL at most %.1f MiB; drained in %.2f s\n",
        options_.seed, options_.seconds, deeds.c_str(), faults_, died_, ledger_.size(), ledger_.findings(),
        before_.descriptors, after_.descriptors, before_.threads, after_.threads, before_.pools, after_.pools,
        before_.memory, growth, trend.slope, trend.low, trend.high, judged ? "" : "; too short to judge",
        most_.wal, absl::ToDoubleSeconds(drain_));
    const bool passed = ledger_.findings() == 0 && died_ == 0 && faults_ > 0 && deeds_.size() == 4 &&
                        after_.descriptors <= before_.descriptors && after_.threads <= before_.threads &&
                        growth <= kMostGrowth && (!judged || trend.slope <= kMostSlope) &&
                        most_.wal <= kMostWal && drain_ <= kMostDrain;
    std::printf("%s\n", passed ? "passed" : "FAILED");
    return passed ? 0 : 1;
  }

  const Options options_;
  std::mt19937 random_;
  TemporaryFolder folder_;
  const std::string data_;
  ServerProcess server_;
  SoakLedger ledger_;
  std::map<std::string, int> deeds_;
  std::vector<Sample> memory_;  // MiB by hour
  Usage before_, after_, most_;
  absl::Duration drain_;
  int faults_ = 0, died_ = 0;
};

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);  // the server's test helpers use its expectations
  hone::Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--seconds" && atof(value) > 0)
      options.seconds = atof(value);
    else if (flag == "--seed")
      options.seed = static_cast<unsigned>(atoi(value));
    else if (flag == "--folder")
      options.folder = value;
    else if (flag == "--samples")
      options.samples = value;
    else
      return std::fputs(hone::kUsage, stderr), 2;
  }
  return hone::Soak(options).Run();
}
