// Kills hone-server and fails its system calls at every site of one upload, job and download, and compares
// what it then has with a ledger of what it had acknowledged. See README, "Reliability".
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/reliability/fault_case.h"
#include "tests/reliability/full_disk.h"
#include "tests/reliability/pause.h"

namespace hone {
namespace {

struct Options {
  bool all = false;
  double seconds = 0;  // 0 = no limit
  unsigned seed = 1;
  int threads = 2;
  std::vector<std::string> only;  // cases whose text contains any of these; empty: all
  std::string pause_while;        // no case is begun while this file is there
};

constexpr char kUsage[] =
    "kill_everywhere [--all] [--seconds S] [--seed N] [--threads N] [--only TEXT]... "
    "[--pause-while FILE]\n"
    "  --all      every call of every site, at least 1,000 kills and 500 errors; else a sample, each site "
    "first\n"
    "  --seconds  no new case after so long\n"
    "  --only     cases that contain TEXT: pwrite64, wal, 'rename blob #5: EIO'\n";

constexpr int kKills = 1000, kErrors = 500, kFullDisks = 20;
constexpr int kShortOutage = 1500, kLongOutage = 6000;  // milliseconds

// What a site's calls are made to do.
struct SiteRow {
  const char* call;
  bool writes;  // killed at; "torn" too if it takes bytes
  bool bytes;
  std::vector<int> errors;  // each call fails once with each
};
const SiteRow kSites[] = {
    {"write", true, true, {ENOSPC, EIO}},
    {"pwrite64", true, true, {ENOSPC, EIO}},
    {"writev", true, false, {}},
    {"sendmsg", true, false, {}},
    {"fsync", true, false, {EIO, ENOSPC}},
    {"fdatasync", true, false, {EIO, ENOSPC}},
    {"ftruncate", true, false, {ENOSPC, EIO}},
    {"rename", true, false, {ENOSPC, EIO}},
    {"unlink", true, false, {EIO}},
    {"mkdir", true, false, {ENOSPC, EIO, ENOMEM}},
    {"chmod", true, false, {EIO}},
    {"utimensat", true, false, {EIO}},
    {"open-create", true, false, {ENOSPC, EIO, EMFILE, ENOMEM}},
    {"open", false, false, {EMFILE, EIO, ENOMEM}},
    {"accept4", false, false, {EMFILE, ENOMEM}},
    {"socketpair", false, false, {EMFILE, ENOMEM}},
    {"eventfd", false, false, {EMFILE, ENOMEM}},
    {"memfd_create", false, false, {EMFILE, ENOMEM}},
    {"fallocate", true, false, {ENOMEM}},
    {"pipe2", false, false, {EMFILE, ENOMEM}},
    {"posix_spawn", true, false, {ENOMEM, EAGAIN}},
    {"mmap", false, false, {ENOMEM}},
};

// Calls that a run without faults makes, by site: the fewest of a few runs, so that each is reached again.
std::map<std::string, int> RecordSites() {
  std::map<std::string, int> fewest;
  for (int run = 0; run < 3; ++run) {
    const CaseResult result = RunCase({});
    for (const std::string& text : result.differences) std::printf("without a fault: %s\n", text.c_str());
    std::map<std::string, int> counts;
    for (const std::string& call : result.calls) ++counts[call];
    if (run == 0) fewest = counts;
    for (auto& [site, count] : fewest) count = std::min(count, counts[site]);
  }
  std::erase_if(fewest, [](const auto& entry) { return entry.second == 0; });
  return fewest;
}

std::vector<Fault> MakeFaults(const Options& options, const std::map<std::string, int>& sites) {
  std::mt19937 random(options.seed);
  std::vector<Fault> faults, first;
  for (const auto& [site, count] : sites) {
    for (const SiteRow& row : kSites) {
      if (!absl::StartsWith(site, absl::StrCat(row.call, " "))) continue;
      std::vector<std::string> deeds;
      if (row.writes) deeds = {"before", "after"};
      if (row.bytes) deeds.push_back("torn");
      const bool local = !absl::StrContains(site, " socket") && !absl::StrContains(site, " event");
      for (int error : row.errors) {
        if (local) deeds.push_back(absl::StrCat(error));
      }
      for (const std::string& deed : deeds) {
        for (int at = 1; at <= count; ++at) faults.push_back({.site = site, .at = at, .what = deed});
        std::swap(faults.back(), faults[faults.size() - 1 - random() % count]);
        first.push_back(faults.back());  // any of its calls
        faults.pop_back();
        // Faults that last: every call that can fail so does; the longer outlasts all retries of a job.
        for (int milliseconds : {kShortOutage, kLongOutage}) {
          if (first.back().kills()) break;
          faults.push_back({.site = site, .at = first.back().at, .what = deed, .milliseconds = milliseconds});
        }
      }
    }
  }
  for (int i = 0; i < kFullDisks; ++i) {
    faults.push_back({.site = "full disk",
                      .at = static_cast<int>(random() % 400),
                      .what = absl::StrCat(ENOSPC),
                      .milliseconds = i % 2 == 0 ? kShortOutage : kLongOutage});
  }
  std::shuffle(first.begin(), first.end(), random);
  std::shuffle(faults.begin(), faults.end(), random);
  const std::string full = absl::StrCat(ENOSPC), broken = absl::StrCat(EIO), many = absl::StrCat(EMFILE);
  const Fault outages[] = {{"full disk", 150, full, kLongOutage},
                           {"pwrite64 wal", 9, full, kLongOutage},
                           {"fdatasync wal", 7, broken, kLongOutage},
                           {"open-create import", 3, many, kLongOutage},
                           {"socketpair link", 1, many, kLongOutage}};
  first.insert(first.begin(), std::begin(outages), std::end(outages));
  first.insert(first.end(), faults.begin(), faults.end());
  std::erase_if(first, [&](const Fault& fault) {
    return !options.only.empty() && std::none_of(options.only.begin(), options.only.end(),
                                                 [text = fault.Text()](const std::string& only) {
                                                   return absl::StrContains(text, only);
                                                 });
  });
  return first;
}

struct Tally {
  int cases = 0, kills = 0, errors = 0, not_reached = 0, skipped = 0, failed = 0, acknowledged = 0;
  double slowest = 0;
  std::set<std::string> killed_sites;
};

void Count(const Fault& fault, const CaseResult& result, Tally& tally) {
  ++tally.cases;
  tally.acknowledged += result.acknowledged;
  tally.slowest = std::max(tally.slowest, result.slowest_seconds);
  if (!result.permitted) ++tally.skipped;
  if (!result.fired && result.permitted) ++tally.not_reached;
  if (result.fired && fault.kills()) ++tally.kills, tally.killed_sites.insert(fault.site);
  if (result.fired && !fault.kills()) ++tally.errors;
  if (result.differences.empty()) return;
  ++tally.failed;
  std::printf("FAILED %s\n", fault.Text().c_str());
  for (const std::string& text : result.differences) std::printf("  %s\n", text.c_str());
  std::fflush(stdout);
}

int Run(const Options& options) {
  const absl::Time begin = absl::Now();
  const std::map<std::string, int> sites = RecordSites();
  const std::vector<Fault> faults = MakeFaults(options, sites);
  int calls = 0;
  for (const auto& [site, count] : sites) calls += count;
  std::printf("seed %u: %zu sites, %d calls, %zu cases\n", options.seed, sites.size(), calls, faults.size());
  if (faults.empty()) return 1;
  Tally tally;
  std::mutex mutex;
  std::atomic<size_t> next = 0;
  auto work = [&] {
    while (options.seconds == 0 || absl::Now() < begin + absl::Seconds(options.seconds)) {
      WaitWhileThere(options.pause_while);
      const size_t mine = next++;
      if (mine >= faults.size()) return;
      CaseResult result = RunCase(faults[mine]);
      // The order of threads decides how often a site is reached: a call that a run did not make is tried
      // again.
      for (int again = 0; again < 3 && !result.fired && result.permitted && result.differences.empty();
           ++again)
        result = RunCase(faults[mine]);
      std::lock_guard lock(mutex);
      Count(faults[mine], result, tally);
      if (tally.cases % 100 == 0)
        std::printf("%d cases, %d failed\n", tally.cases, tally.failed), std::fflush(stdout);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < options.threads; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  std::printf(
      "seed %u: %d cases in %.0f s: %d kills at %zu sites, %d failures injected, %d not reached, %d skipped "
      "(no file system can be mounted); %d acknowledged "
      "things, %d cases with a ledger difference; slowest answer %.2f s after the fault's end\n",
      options.seed, tally.cases, absl::ToDoubleSeconds(absl::Now() - begin), tally.kills,
      tally.killed_sites.size(), tally.errors, tally.not_reached, tally.skipped, tally.acknowledged,
      tally.failed, tally.slowest);
  if (options.all && options.only.empty() && (tally.kills < kKills || tally.errors < kErrors)) {
    std::printf("too few: %d kills and %d failures are wanted\n", kKills, kErrors);
    return 1;
  }
  return tally.failed == 0 && (!options.all || tally.not_reached + tally.skipped == 0) &&
                 tally.kills + tally.errors > 0
             ? 0
             : 1;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);  // the server's test helpers use its expectations
  hone::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--all") {
      options.all = true;
      continue;
    }
    ++i;
    if (flag == "--seconds")
      options.seconds = atof(value);
    else if (flag == "--seed")
      options.seed = static_cast<unsigned>(atoi(value));
    else if (flag == "--threads")
      options.threads = std::max(1, atoi(value));
    else if (flag == "--pause-while")
      options.pause_while = value;
    else if (flag == "--only")
      options.only.push_back(value);
    else
      return std::fputs(hone::kUsage, stderr), 2;
  }
  hone::FullDisk::Prepare();
  return hone::Run(options);
}
