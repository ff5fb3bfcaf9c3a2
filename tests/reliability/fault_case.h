#pragma once

#include <string>
#include <vector>

namespace hone {

struct Fault {
  std::string site;      // of fault_injector.c, "pwrite64 wal"; empty: none. "full disk": a really full one
  int at = 1;            // which call of that site; of a full disk: milliseconds after the start
  std::string what;      // "before", "after", "torn": the server is killed; or an errno's number
  int milliseconds = 0;  // how long calls fail; 0 = one call
  bool kills() const { return what == "before" || what == "after" || what == "torn"; }
  std::string Text() const;
};

struct CaseResult {
  bool fired = false;                    // the site was reached
  bool permitted = true;                 // false: a full disk cannot be made here, nothing was tested
  int starts = 0;                        // of the server
  double slowest_seconds = 0;            // a call's wait for its answer, beyond the fault's end
  int acknowledged = 0;                  // entries of the ledger
  std::vector<std::string> differences;  // between the ledger and what the server has; empty = passed
  std::vector<std::string> calls;        // without a fault: the sites in the order of their calls
};

// One upload, job and download on a fresh server under /dev/shm, with a fault in the middle and a supervisor
// that starts the server again whenever it ends. Everything that was acknowledged stands in a ledger, which
// the server is compared with afterwards, and once more after another SIGKILL.
CaseResult RunCase(const Fault& fault);

}  // namespace hone
