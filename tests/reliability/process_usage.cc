#include "tests/reliability/process_usage.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr const char* kGrpcPools[] = {"default-executo", "event_engine", "grpc_global_tim", "nexting_thread"};

uint64_t StatusNumber(pid_t pid, const std::string& field) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/status"));
  for (std::string name; in >> name;) {
    uint64_t number = 0;
    if (name == field && in >> number) return number;
    in.ignore(1 << 16, '\n');
  }
  return 0;
}

}  // namespace

uint64_t PeakBytes(pid_t pid) { return StatusNumber(pid, "VmHWM:") << 10; }
uint64_t ResidentBytes(pid_t pid) { return StatusNumber(pid, "VmRSS:") << 10; }
int Threads(pid_t pid) { return static_cast<int>(StatusNumber(pid, "Threads:")); }

int GrpcPoolThreads(pid_t pid) {
  std::error_code error;
  int count = 0;
  std::filesystem::directory_iterator entry(absl::StrCat("/proc/", pid, "/task"), error), end;
  for (; !error && entry != end; entry.increment(error)) {
    std::string name;
    std::getline(std::ifstream(entry->path() / "comm"), name);
    count += static_cast<int>(std::count(std::begin(kGrpcPools), std::end(kGrpcPools), name));
  }
  return count;
}

int OpenDescriptors(pid_t pid) {
  std::error_code error;
  int count = 0;
  std::filesystem::directory_iterator entry(absl::StrCat("/proc/", pid, "/fd"), error), end;
  for (; !error && entry != end; entry.increment(error)) ++count;
  return count;
}

}  // namespace hone
