#include "server/metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "server/version.h"

namespace hone {
namespace {

// One sample of one name: "NAME{labels} value".
std::string Metric(const char* name, const char* type, const char* help, const std::string& labels, double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.16g", value);
  return absl::StrCat("# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n", name, labels, " ", text, "\n");
}

// One sample per row; the values of `label` are names of ours.
std::string Counts(const char* name, const char* help, const char* label,
                   const std::map<std::string, int64_t>& counts) {
  std::string text = absl::StrCat("# HELP ", name, " ", help, "\n# TYPE ", name, " gauge\n");
  for (const auto& [key, count] : counts)
    absl::StrAppend(&text, name, "{", label, "=\"", key, "\"} ", count, "\n");
  return text;
}

double OpenDescriptors() {
  std::error_code error;
  const std::filesystem::directory_iterator descriptors("/proc/self/fd", error), end;
  return error ? 0 : static_cast<double>(std::distance(begin(descriptors), end));
}

double MaxDescriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

double CpuSeconds() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return static_cast<double>(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

double ResidentBytes() {
  std::ifstream in("/proc/self/statm");
  double all = 0, resident = 0;
  in >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double Threads() {
  std::error_code error;
  const std::filesystem::directory_iterator tasks("/proc/self/task", error), end;
  return error ? 0 : static_cast<double>(std::distance(begin(tasks), end));
}

// Names of Prometheus' own client libraries.
struct ProcessRow {
  const char* name;
  const char* type;
  const char* help;
  double (*value)();
};
constexpr ProcessRow kProcess[] = {
    {"process_open_fds", "gauge", "Open file descriptors.", OpenDescriptors},
    {"process_max_fds", "gauge", "Limit of open file descriptors.", MaxDescriptors},
    {"process_cpu_seconds_total", "counter", "User and system time.", CpuSeconds},
    {"process_resident_memory_bytes", "gauge", "Resident memory.", ResidentBytes},
    {"process_threads", "gauge", "Threads.", Threads},
};

}  // namespace

std::string StateMetrics(const StateCounts& counts) {
  return absl::StrCat(
      Counts("hone_jobs", "Jobs by state.", "state", counts.jobs),
      Counts("hone_leases", "Leases that have not ended.", "state", counts.leases),
      Counts("hone_workers", "Workers by what keeps leases from them.", "hold", counts.workers),
      Metric("hone_trials_total", "counter", "Trials that count as done.", "",
             static_cast<double>(counts.trials_done)));
}

std::string DiskMetrics(const DiskUse& use) {
  const auto bytes = [](const char* name, const char* help, uint64_t value) {
    return Metric(name, "gauge", help, "", static_cast<double>(value));
  };
  return absl::StrCat(bytes("hone_database_bytes", "The database without its log.", use.database_bytes),
                      bytes("hone_wal_bytes", "The database's write-ahead log.", use.wal_bytes),
                      bytes("hone_blob_bytes", "Blobs and uploads at the last sweep.", use.blob_bytes));
}

std::string ProcessMetrics() {
  std::string text = Metric("hone_build_info", "gauge", "The build that runs.",
                            absl::StrCat("{version=\"", kVersion, "\"}"), 1);
  for (const ProcessRow& row : kProcess) text += Metric(row.name, row.type, row.help, "", row.value());
  return text;
}

std::string ContainmentMetrics(const std::vector<std::pair<std::string, std::string>>& layers) {
  std::map<std::string, int64_t> holding;
  for (const auto& [layer, reason] : layers) holding[layer] = reason.empty();
  return Counts("hone_job_containment", "Whether hone-job runs in this layer of containment.", "layer", holding);
}

}  // namespace hone
