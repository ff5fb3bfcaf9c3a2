// How soon a server with a long past answers: after a stop, and after a SIGKILL that left a full write-ahead
// log; and how long looking into that past takes. See README, "Reliability".
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/storage/sqlite_store.h"
#include "server/workers/record_message.h"
#include "tests/reliability/record_history.h"
#include "tests/server/server_process.h"

extern char** environ;

namespace hone {
namespace {

struct Options {
  int64_t records = 1'000'000;
  int starts = 24, rounds = 5;
  double bar_seconds = 2;
  std::string folder = "/tmp", keep, fill;
};

constexpr char kUsage[] =
    "recovery [--records N] [--starts N] [--rounds N] [--bar SECONDS] [--folder F] [--keep DATA]\n"
    "  --keep  a data folder that stays, and is used again if it is there\n";

constexpr double kLogMiB = 40;  // of a log that a SIGKILL leaves
constexpr int kJobsKilled = 8;  // under way at that moment: they go on with the next start
constexpr absl::Duration kAge = absl::Hours(24 * 30);  // of the history: beyond all retention
constexpr double kMiB = 1 << 20;

std::string DatabaseOf(const std::string& data) { return data + "/hone.db"; }

double SizeMiB(const std::string& path) {
  std::error_code error;
  const uintmax_t bytes = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<double>(bytes) / kMiB;
}

// Ends what another history was killed at, so that such jobs do not pile up.
absl::Status Tell(const std::string& data, const HistoryOptions& options) {
  const Clock clock = [] { return absl::Now() - kAge; };
  auto store =
      SqliteStore::Open({.path = DatabaseOf(data), .clock = clock, .make_lost_record = MakeLostRecordRow});
  if (!store.ok()) return store.status();
  const auto under_way = (*store)->ListJobIds(JobState::kRunning);
  if (!under_way.ok()) return under_way.status();
  for (const std::string& job : *under_way) {
    const absl::Status ended = (*store)->EndJob(job, JobState::kCancelled, "", std::nullopt);
    if (!ended.ok()) return ended;
  }
  return TellHistory(**store, options);
}

// For a process of its own, to be killed: more history, behind a reader that keeps all of it in the log.
int Fill(const std::string& data) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto reader = Connection::Open(DatabaseOf(data), Connection::Mode::kReader);
  if (!reader.ok() || !(*reader)->Execute("BEGIN; SELECT COUNT(*) FROM jobs").ok()) return 1;
  const absl::Status status = Tell(data, {.records = INT64_MAX / 2,
                                          .seed = static_cast<uint64_t>(absl::ToUnixMicros(absl::Now())),
                                          .jobs_at_once = kJobsKilled});
  std::fprintf(stderr, "filling the log: %s\n", status.ToString().c_str());
  return 1;
}

// The pages of a file leave the page cache: the next reader pays for the disk.
void Evict(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  fdatasync(file);
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  close(file);
}

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(q * static_cast<double>(values.size())))];
}

struct QueryRow {
  const char* what;
  grpc::Status (*ask)(Caller&, const std::string& job);
};

grpc::Status Records(Caller& caller, const std::string& filter, int size = 50,
                     const std::string& token = "") {
  v1::ListRecordsRequest request;
  request.set_filter(filter);
  request.set_page_size(size);
  request.set_page_token(token);
  v1::ListRecordsResponse response;
  return caller.records->ListRecords(Caller::Context(120).get(), request, &response);
}

const QueryRow kQueries[] = {
    {"ListJobs",
     [](Caller& c, const std::string&) {
       v1::ListJobsRequest request;
       request.set_page_size(50);
       v1::ListJobsResponse response;
       return c.jobs->ListJobs(Caller::Context().get(), request, &response);
     }},
    {"ListModels",
     [](Caller& c, const std::string&) {
       v1::ListModelsResponse response;
       return c.models->ListModels(Caller::Context().get(), {}, &response);
     }},
    {"ListModules of a job",
     [](Caller& c, const std::string& job) {
       v1::ListModulesRequest request;
       request.set_job("jobs/" + job);
       v1::ListModulesResponse response;
       return c.modules->ListModules(Caller::Context().get(), request, &response);
     }},
    {"ListProjects (usage)",
     [](Caller& c, const std::string&) {
       v1::ListProjectsResponse response;
       return c.admin->ListProjects(Caller::Context().get(), {}, &response);
     }},
    {"all records", [](Caller& c, const std::string&) { return Records(c, ""); }},
    {"job=J", [](Caller& c, const std::string& job) { return Records(c, "job=" + job); }},
    {"job=J AND status!=ok",
     [](Caller& c, const std::string& job) {
       return Records(c, absl::StrCat("job=", job, " AND status!=ok"));
     }},
    {"model=network-7 AND status!=ok",
     [](Caller& c, const std::string&) {
       return Records(c, absl::StrCat("model=", kHistoryModel, " AND status!=ok"));
     }},
    {"model=no-such", [](Caller& c, const std::string&) { return Records(c, "model=no-such"); }},
    {"status=timeout (none)", [](Caller& c, const std::string&) { return Records(c, "status=timeout"); }},
    {"latency<10.01us", [](Caller& c, const std::string&) { return Records(c, "latency<10.01us"); }},
    {"latency<1us (none)", [](Caller& c, const std::string&) { return Records(c, "latency<1us"); }},
    {"trace:winograd", [](Caller& c, const std::string&) { return Records(c, "trace:winograd"); }},
    {"trace:no-such", [](Caller& c, const std::string&) { return Records(c, "trace:no-such"); }},
    {"create_time>= the last minutes",
     [](Caller& c, const std::string&) {
       const std::string since =
           absl::FormatTime(absl::RFC3339_full, absl::Now() - absl::Minutes(1), absl::UTCTimeZone());
       return Records(c, absl::StrCat("create_time>=\"", since, "\""));
     }},
};

class Recovery {
 public:
  explicit Recovery(const Options& options)
      : options_(options),
        folder_(options.folder),
        data_(options.keep.empty() ? folder_.path() + "/data" : options.keep),
        server_(data_) {}

  int Run() {
    if (!Prepare()) return 1;
    for (int i = 0; i < options_.starts; ++i) {
      const bool killed = i % 2 == 1;
      if (killed && !LeaveLog()) return 1;
      for (const char* suffix : {"", "-wal"}) Evict(DatabaseOf(data_) + suffix);
      if (!Measure(killed)) return 1;
      if (i + 1 < options_.starts) server_.Stop(killed ? SIGKILL : SIGTERM);
    }
    return Report();
  }

 private:
  bool Prepare() {
    const absl::Time begin = absl::Now();
    if (!std::filesystem::exists(DatabaseOf(data_))) {
      std::filesystem::create_directories(data_);
      const absl::Status told = Tell(data_, {.records = options_.records});
      if (!told.ok()) return std::fprintf(stderr, "%s\n", told.ToString().c_str()), false;
      server_.Start();
      Caller caller(server_.Channel(server_.AdminToken()));
      v1::BlobStatus blob;
      for (const std::string& file : HistoryFiles()) caller.Upload(file, &blob);
      server_.Stop(SIGTERM);
    }
    const auto db = Connection::Open(DatabaseOf(data_), Connection::Mode::kReader);
    if (!db.ok()) return false;
    Query query(**db, "SELECT COUNT(*), (SELECT id FROM jobs ORDER BY number DESC LIMIT 1) FROM records");
    if (!query.Next() || query.Int(0) < options_.records) return false;
    job_ = query.Text(1);
    std::printf("%lld records in %.0f s, a database of %.0f MiB\n", static_cast<long long>(query.Int(0)),
                absl::ToDoubleSeconds(absl::Now() - begin), SizeMiB(DatabaseOf(data_)));
    return true;
  }

  bool LeaveLog() {
    std::vector<std::string> words = {std::filesystem::read_symlink("/proc/self/exe"), "--fill", data_};
    char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    pid_t pid = -1;
    if (posix_spawn(&pid, words[0].c_str(), nullptr, nullptr, arguments, environ) != 0) return false;
    while (SizeMiB(DatabaseOf(data_) + "-wal") < kLogMiB && waitpid(pid, nullptr, WNOHANG) == 0)
      absl::SleepFor(absl::Milliseconds(20));  // polls another process's file
    const bool lived = kill(pid, SIGKILL) == 0;
    waitpid(pid, nullptr, 0);
    log_ = std::max(log_, SizeMiB(DatabaseOf(data_) + "-wal"));
    return lived && log_ >= kLogMiB;
  }

  // From the program's start to its first answers, to a reader and to a writer.
  bool Measure(bool killed) {
    const absl::Time begin = absl::Now();
    if (!server_.TryStart()) return false;
    Caller caller(server_.Channel(server_.AdminToken()));
    grpc::Status status = kQueries[0].ask(caller, job_);
    const double read = absl::ToDoubleSeconds(absl::Now() - begin);
    v1::CreateProjectRequest request;
    request.set_name(absl::StrCat("projects/p", absl::ToUnixMicros(begin)));
    v1::Project project;
    if (status.ok()) status = caller.admin->CreateProject(Caller::Context(120).get(), request, &project);
    if (!status.ok()) return std::printf("FAILED: %s\n", status.error_message().c_str()), false;
    const double write = absl::ToDoubleSeconds(absl::Now() - begin);
    (killed ? killed_ : stopped_).push_back(read);
    writes_.push_back(write);
    return true;
  }

  int Report() {
    std::vector<double> all = stopped_;
    all.insert(all.end(), killed_.begin(), killed_.end());
    const double p95 = Quantile(all, 0.95), write = Quantile(writes_, 0.95);
    std::printf(
        "%zu starts, the database not in memory: first answer p95 %.3f s (median %.3f s; %zu after a SIGKILL "
        "with a log "
        "of %.0f MiB: slowest %.3f s), first write answered p95 %.3f s\n",
        all.size(), p95, Quantile(all, 0.5), killed_.size(), log_, killed_.empty() ? 0 : Quantile(killed_, 1),
        write);
    Caller caller(server_.Channel(server_.AdminToken()));
    bool answered = true;
    for (const QueryRow& row : kQueries) {
      std::vector<double> seconds;
      for (int round = 0; round < options_.rounds; ++round) {
        const absl::Time begin = absl::Now();
        const grpc::Status status = row.ask(caller, job_);
        seconds.push_back(absl::ToDoubleSeconds(absl::Now() - begin));
        if (!status.ok())
          std::printf("FAILED: %s: %s\n", row.what, status.error_message().c_str()), answered = false;
      }
      std::printf("  %-32s first %8.4f s, median %8.4f s\n", row.what, seconds[0], Quantile(seconds, 0.5));
    }
    const bool passed = answered && p95 <= options_.bar_seconds && write <= options_.bar_seconds;
    std::printf("%s\n", passed ? "passed" : "FAILED");
    return passed ? 0 : 1;
  }

  const Options options_;
  TemporaryFolder folder_;
  const std::string data_;
  ServerProcess server_;
  std::string job_;
  double log_ = 0;
  std::vector<double> stopped_, killed_, writes_;  // seconds
};

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);  // the server's test helpers use its expectations
  hone::Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--records" && atoll(value) > 0)
      options.records = atoll(value);
    else if (flag == "--starts" && atoi(value) > 0)
      options.starts = atoi(value);
    else if (flag == "--rounds" && atoi(value) > 0)
      options.rounds = atoi(value);
    else if (flag == "--bar" && atof(value) > 0)
      options.bar_seconds = atof(value);
    else if (flag == "--folder")
      options.folder = value;
    else if (flag == "--keep")
      options.keep = value;
    else if (flag == "--fill")
      options.fill = value;
    else
      return std::fputs(hone::kUsage, stderr), 2;
  }
  if (!options.fill.empty()) return hone::Fill(options.fill);
  return hone::Recovery(options).Run();
}
