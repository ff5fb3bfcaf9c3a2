// Workers that are killed, frozen for longer than a lease, cut off without a word and an hour off, and what
// the server makes of it. See README, "Reliability".
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/storage/sqlite_connection.h"
#include "tests/reliability/fleet_memory.h"
#include "tests/reliability/tcp_relay.h"
#include "tests/reliability/worker_fleet.h"
#include "tests/server/server_process.h"

namespace hone {
namespace {

struct Options {
  int leases = 600;
  int workers = 50;
  double lease_seconds = 1;
  int faults = 30;  // per thousand runs
  unsigned seed = 1;
};

constexpr char kUsage[] =
    "flapping_workers [--leases N] [--workers N] [--lease-seconds S] [--faults PER_THOUSAND_RUNS] "
    "[--seed N]\n";

constexpr absl::Duration kStep = absl::Milliseconds(20);
constexpr int kStepsPerLook = 5;
constexpr double kMostWasted = 0.05;
constexpr double kMostLeasesStuck = 2;
constexpr double kCertificateLeases =
    7;  // a certificate's lifetime: they are renewed all the time, late ones too

// All that is counted.
struct Tally {
  int kills = 0, freezes = 0, cuts = 0;
  int trials = 0, lost = 0, stale = 0, dead = 0, refused = 0, expired = 0, certificates = 0;
  double longest = 0;  // since a held lease was granted or renewed, in leases
  bool ended = false;
};

class Flapping {
 public:
  explicit Flapping(const Options& options)
      : options_(options),
        random_(options.seed),
        folder_(MakeFolder()),
        jobs_(options.workers + options.workers / 5),
        server_(folder_ + "/data",
                {"--lease-seconds", absl::StrCat(options.lease_seconds), "--max-jobs", absl::StrCat(jobs_),
                 "--certificate-hours",
                 absl::StrCat(std::max(0.001, kCertificateLeases * options.lease_seconds / 3600))}),
        memory_(FleetMemory::Map(folder_ + "/memory")) {}

  ~Flapping() {
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
  }

  int Run() {
    const absl::Time begin = absl::Now();
    server_.Start();
    TcpRelay relay(server_.Grpc());
    Caller caller(server_.Channel(server_.AdminToken()));
    const int batches = (options_.leases + jobs_ - 1) / jobs_;
    const std::string model = caller.CreateModel(absl::StrCat("batches=", batches, " trials=1")).name();
    for (int i = 0; i < jobs_; ++i) caller.CreateJob(model);
    {
      WorkerFleet fleet({.folder = folder_,
                         .address = relay.address(),
                         .ca_file = folder_ + "/data/tls/cert.pem",
                         .enrol_token = server_.EnrolToken(),
                         .memory_file = folder_ + "/memory",
                         .lease_seconds = options_.lease_seconds,
                         .workers = options_.workers},
                        random_);
      Torment(fleet, relay, caller);
      died_ = fleet.died();
    }
    server_.Stop(SIGTERM);
    Compare(jobs_ * batches);
    ReadLog();
    return Report(absl::ToDoubleSeconds(absl::Now() - begin));
  }

 private:
  static std::string MakeFolder() {
    std::string path =
        (access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + std::string("/hone-fleet-XXXXXX");
    return mkdtemp(path.data());
  }

  void Torment(WorkerFleet& fleet, TcpRelay& relay, Caller& caller) {
    const auto reader = Connection::Open(folder_ + "/data/hone.db", Connection::Mode::kReader);
    if (!reader.ok()) return;
    const absl::Time deadline = absl::Now() + absl::Seconds(60 + options_.leases / 20);
    int64_t faults = 0;
    for (int step = 0; !tally_.ended && absl::Now() < deadline; ++step) {
      absl::SleepFor(kStep);  // the pace of faults
      fleet.Maintain();
      for (; faults * 1000 < int64_t{memory_->begun} * options_.faults; ++faults) Fault(fleet, relay);
      if (step % kStepsPerLook != 0) continue;
      LookAtLeases(**reader);
      tally_.ended = AllEnded(caller);
    }
  }

  void Fault(WorkerFleet& fleet, TcpRelay& relay) {
    switch (random_() % 3) {
      case 0:
        ++tally_.kills;
        return fleet.Kill();
      case 1:
        ++tally_.freezes;
        return fleet.Freeze();
      default:
        tally_.cuts += relay.Silence(random_);
    }
  }

  // The server is on the machine's clock, as this is.
  void LookAtLeases(Connection& db) {
    const int64_t now = absl::ToUnixMicros(absl::Now());
    Query query(db, "SELECT MIN(lease_until - lease_seconds * 1e6) FROM leases WHERE state = 'leased'");
    if (!query.Next() || query.IsNull(0)) return;
    tally_.longest =
        std::max(tally_.longest, (static_cast<double>(now) - query.Real(0)) * 1e-6 / options_.lease_seconds);
  }

  bool AllEnded(Caller& caller) {
    v1::ListJobsRequest request;
    request.set_page_size(1000);
    v1::ListJobsResponse response;
    if (!caller.jobs->ListJobs(Caller::Context().get(), request, &response).ok()) return false;
    return std::all_of(response.jobs().begin(), response.jobs().end(),
                       [](const v1::Job& job) { return job.end_time_micros() > 0; });
  }

  // Each trial has one record, of a run under a lease that its worker held to the end.
  void Compare(int trials) {
    const auto db = Connection::Open(folder_ + "/data/hone.db", Connection::Mode::kWriter);
    if (!db.ok()) return;
    Query query(**db, "SELECT job, batch, worker, status, latency FROM records WHERE counted = 1");
    while (query.Next()) {
      ++tally_.trials;
      if (query.Text(3) != "ok") {
        ++tally_.dead;
        continue;
      }
      const FleetMemory::Run& run = memory_->runs[FleetMemory::RunOf(query.Real(4)) % FleetMemory::kMaxRuns];
      Query lease(**db,
                  "SELECT 1 FROM leases WHERE lease_id = ? AND job = ? AND batch = ? AND worker = ? AND "
                  "state = 'done'",
                  std::string(run.lease_id), query.Text(0), query.Int(1), query.Text(2));
      tally_.stale += !run.finished || !lease.Next();
    }
    tally_.lost = trials - tally_.trials;
  }

  void ReadLog() {
    std::ifstream in(folder_ + "/data.log");
    for (std::string line; std::getline(in, line);) {
      tally_.refused += absl::StrContains(line, "stale_result_refused");
      tally_.expired += absl::StrContains(line, "lease_expired");
      tally_.certificates += absl::StrContains(line, "certificate_issued");
    }
  }

  int Report(double seconds) const {
    const uint32_t runs = memory_->begun;
    const int accepted = tally_.trials - tally_.dead;
    const double wasted = runs > 0 ? (runs - accepted) / static_cast<double>(runs) : 1;
    std::printf(
        "seed %u: %d workers, %d trials in %u runs, %.0f s; %d killed, %d frozen, %d connections "
        "silenced, all clocks an hour off or right\n"
        "  %d lost, %d stale completions accepted (%d refused), %d dead-lettered, %d leases expired, longest "
        "held without a word %.2f leases, %.2f %% of the runs wasted, %d certificates, %d workers ended by "
        "themselves%s\n",
        options_.seed, options_.workers, tally_.trials, runs, seconds, tally_.kills, tally_.freezes,
        tally_.cuts, tally_.lost, tally_.stale, tally_.refused, tally_.dead, tally_.expired, tally_.longest,
        100 * wasted, tally_.certificates, died_, tally_.ended ? "" : "; NOT ALL JOBS ENDED");
    const bool passed = tally_.ended && tally_.lost == 0 && tally_.stale == 0 && died_ == 0 &&
                        tally_.longest <= kMostLeasesStuck && wasted <= kMostWasted &&
                        tally_.certificates > options_.workers &&
                        tally_.kills + tally_.freezes + tally_.cuts > 0;
    std::printf("%s\n", passed ? "passed" : "FAILED");
    return passed ? 0 : 1;
  }

  const Options options_;
  std::mt19937 random_;
  const std::string folder_;
  const int jobs_;  // each has one lease at a time
  ServerProcess server_;
  FleetMemory* const memory_;
  Tally tally_;
  int died_ = 0;
};

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);  // the server's test helpers use its expectations
  hone::Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    const double value = i + 1 < argc ? atof(argv[i + 1]) : 0;
    if (value <= 0) return std::fputs(hone::kUsage, stderr), 2;
    if (flag == "--leases")
      options.leases = static_cast<int>(value);
    else if (flag == "--workers")
      options.workers = static_cast<int>(value);
    else if (flag == "--lease-seconds")
      options.lease_seconds = value;
    else if (flag == "--faults")
      options.faults = static_cast<int>(value);
    else if (flag == "--seed")
      options.seed = static_cast<unsigned>(value);
    else
      return std::fputs(hone::kUsage, stderr), 2;
  }
  return hone::Flapping(options).Run();
}
