#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "server/storage/sqlite_connection.h"

namespace hone {

using Transaction = std::function<absl::Status(Connection&)>;

// The one connection that writes and checkpoints (SQLite < 3.51.3 may lose a WAL reset race between two), on
// its own thread. Group commit: everybody who waits shares one BEGIN IMMEDIATE ... COMMIT, hence one sync of
// the disk; each transaction has a savepoint of its own, so one's failure does not touch the others.
// Thread-safe.
class SqliteWriter {
 public:
  explicit SqliteWriter(std::unique_ptr<Connection> connection);
  ~SqliteWriter();  // finishes what waits

  // Returns after the commit: OK means durable. What `transaction` returned otherwise, and it left no trace.
  absl::Status Run(const Transaction& transaction);

 private:
  struct Waiting {
    const Transaction* transaction;
    absl::Status status;
    bool done = false;
  };
  void Loop();
  void Commit(const std::vector<Waiting*>& group);
  absl::Status RunInSavepoint(const Transaction& transaction);

  std::unique_ptr<Connection> connection_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::condition_variable finished_;
  std::deque<Waiting*> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

// A few read-only connections, each used by one reader at a time within one short read transaction.
// Thread-safe.
class SqliteReaders {
 public:
  explicit SqliteReaders(std::vector<std::unique_ptr<Connection>> connections);
  absl::Status Run(const Transaction& read);

 private:
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace hone
