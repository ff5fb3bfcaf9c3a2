#include "server/storage/sqlite_threads.h"

#include <utility>

#include "server/execution/status_macros.h"

namespace hone {
namespace {

constexpr size_t kMaxGroup = 256;

}  // namespace

SqliteWriter::SqliteWriter(std::unique_ptr<Connection> connection)
    : connection_(std::move(connection)), thread_([this] { Loop(); }) {}

SqliteWriter::~SqliteWriter() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  arrived_.notify_all();
  thread_.join();
}

absl::Status SqliteWriter::Run(const Transaction& transaction) {
  Waiting waiting{.transaction = &transaction};
  std::unique_lock lock(mutex_);
  if (stopping_) return absl::UnavailableError("the server is stopping");
  queue_.push_back(&waiting);
  arrived_.notify_one();
  finished_.wait(lock, [&] { return waiting.done; });
  return waiting.status;
}

void SqliteWriter::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    arrived_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::vector<Waiting*> group;
    while (!queue_.empty() && group.size() < kMaxGroup) {
      group.push_back(queue_.front());
      queue_.pop_front();
    }
    lock.unlock();
    Commit(group);
    lock.lock();
    for (Waiting* waiting : group) waiting->done = true;
    finished_.notify_all();
  }
}

void SqliteWriter::Commit(const std::vector<Waiting*>& group) {
  absl::Status status = connection_->Execute("BEGIN IMMEDIATE");
  for (Waiting* waiting : group) {
    if (!status.ok()) break;
    waiting->status = RunInSavepoint(*waiting->transaction);
    // A full or failing disk made SQLite roll back what the whole group did. Without this look the next
    // savepoint would be a transaction of its own: done, although its caller is told of a failure.
    if (!connection_->InTransaction()) status = waiting->status;
  }
  if (status.ok()) status = connection_->Execute("COMMIT");
  if (status.ok()) return;
  if (connection_->InTransaction()) connection_->Execute("ROLLBACK").IgnoreError();
  for (Waiting* waiting : group) waiting->status = status;  // nobody's transaction took place
}

absl::Status SqliteWriter::RunInSavepoint(const Transaction& transaction) {
  HONE_RETURN_IF_ERROR(connection_->Execute("SAVEPOINT one"));
  absl::Status status = transaction(*connection_);
  if (!connection_->InTransaction())
    return status.ok() ? absl::AbortedError("the transaction was rolled back") : status;
  if (!status.ok()) {
    const absl::Status undone = connection_->Execute("ROLLBACK TO one");
    if (!undone.ok()) status = undone;
  }
  const absl::Status released = connection_->Execute("RELEASE one");
  return status.ok() ? released : status;
}

SqliteReaders::SqliteReaders(std::vector<std::unique_ptr<Connection>> connections)
    : idle_(std::move(connections)) {}

absl::Status SqliteReaders::Run(const Transaction& read) {
  std::unique_ptr<Connection> connection;
  {
    std::unique_lock lock(mutex_);
    returned_.wait(lock, [this] { return !idle_.empty(); });
    connection = std::move(idle_.back());
    idle_.pop_back();
  }
  absl::Status status = connection->Execute("BEGIN");
  if (status.ok()) {
    status = read(*connection);
    const absl::Status ended = connection->Execute("COMMIT");
    if (status.ok()) status = ended;
  }
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(connection));
  returned_.notify_one();
  return status;
}

}  // namespace hone
