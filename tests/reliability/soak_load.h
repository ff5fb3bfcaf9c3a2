#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/reliability/soak_ledger.h"

namespace hone {

// Users of all kinds at work on one server at the same time: uploads (some cut off and resumed), jobs (some
// cancelled), look-ups in the log, downloads, the dashboard's calls, deletions. What the server acknowledges
// goes to the ledger, and so does every answer that no user should get.
class SoakLoad {
 public:
  SoakLoad(ServerProcess& server, unsigned seed, SoakLedger& ledger);
  ~SoakLoad();  // Stop()s

  void Start();  // all users, each with a thread and a connection
  void Stop();   // returns when they have finished what they were at; they may be started again
  std::map<std::string, int> deeds() const;  // done so far

 private:
  struct User {
    Caller caller;
    std::mt19937_64 random;
    bool OneIn(uint64_t n) { return random() % n == 0; }
  };
  struct DeedRow {
    const char* name;
    int users;
    int pause_milliseconds;
    void (SoakLoad::*deed)(User&);
  };
  static const DeedRow kDeeds[];

  void Upload(User& user);
  void Tune(User& user);
  void Query(User& user);
  void Browse(User& user);
  grpc::Status Send(User& user, const std::string& content, uint64_t offset, size_t cut_at);
  v1::Job WatchToTheEnd(User& user, v1::Job job, bool cancel);
  User MakeUser(unsigned number);
  // False, and a finding, unless the status is ok.
  bool Expect(const std::string& what, const grpc::Status& status);

  ServerProcess& server_;
  const unsigned seed_;
  const std::string http_, token_;
  SoakLedger& ledger_;
  std::string model_;  // that jobs tune
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  unsigned users_ = 0;  // so far
  std::map<std::string, int> deeds_;
  std::vector<std::thread> threads_;
};

}  // namespace hone
