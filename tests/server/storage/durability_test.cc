// What was acknowledged before kill -9 is there afterwards, and the database is whole.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "proto/values/sha256.h"
#include "server/storage/blob_store.h"
#include "server/storage/migrations.h"
#include "server/storage/sqlite_store.h"
#include "server/storage/sqlite_threads.h"
#include "tests/server/temporary_folder.h"

namespace {

std::atomic<int> failing_directory_syncs = 0;  // the next ones fail
std::atomic<int> directory_syncs = 0;          // that succeeded

std::atomic<bool> touching_fails = false;

}  // namespace

// In place of the C library's in this program.
extern "C" int utimensat(int directory, const char* path, const struct timespec times[2], int flags) {
  if (!touching_fails) return static_cast<int>(syscall(SYS_utimensat, directory, path, times, flags));
  errno = EIO;
  return -1;
}

extern "C" int fsync(int file) {
  struct stat info;
  if (fstat(file, &info) == 0 && S_ISDIR(info.st_mode)) {
    if (failing_directory_syncs > 0) {
      --failing_directory_syncs;
      errno = EIO;
      return -1;
    }
    ++directory_syncs;
  }
  return static_cast<int>(syscall(SYS_fsync, file));
}

namespace hone {
namespace {

constexpr int kWriters = 4;

absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& folder) {
  return SqliteStore::Open({.path = folder + "/hone.db", .clock = absl::Now, .make_lost_record = nullptr});
}

std::string Key(int round, int writer, int n) { return absl::StrCat(round, "-", writer, "-", n); }

// Writes for ever, from several threads so that commits are grouped; each acknowledged write goes to
// `acknowledged` as one message that the pipe keeps whole.
[[noreturn]] void WriteUntilKilled(const std::string& folder, int round, int acknowledged) {
  auto store = Open(folder);
  if (!store.ok()) _exit(1);
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (int n = 0;; ++n) {
        if (!(*store)->PutToken({Key(round, writer, n), "user", "s"}).ok()) _exit(2);
        const int message[2] = {writer, n};
        if (write(acknowledged, message, sizeof(message)) != sizeof(message)) _exit(3);
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  _exit(4);
}

TEST(DurabilityTest, AcknowledgedRowsSurviveKill) {
  TemporaryFolder folder;
  std::set<std::string> acknowledged;
  for (int round = 0; round < 12; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) WriteUntilKilled(folder.path(), round, ends[1]);
    close(ends[1]);
    int message[2];
    for (int count = 0; read(ends[0], message, sizeof(message)) == sizeof(message);) {
      acknowledged.insert(Key(round, message[0], message[1]));
      if (++count == 20 + 7 * round) kill(child, SIGKILL);  // what is in the pipe by then counts too
    }
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself: " << status;
    auto store = Open(folder.path());
    ASSERT_TRUE(store.ok()) << store.status();
    std::set<std::string> found;
    const std::vector<TokenRow> tokens = *(*store)->ListTokens({0, 1000000});
    for (const TokenRow& token : tokens) found.insert(token.hash);
    for (const std::string& key : acknowledged) EXPECT_TRUE(found.contains(key)) << "lost " << key;
  }
  auto connection = Connection::Open(folder.path() + "/hone.db", Connection::Mode::kReader);
  ASSERT_TRUE(connection.ok());
  Query check(**connection, "PRAGMA integrity_check");
  ASSERT_TRUE(check.Next());
  EXPECT_EQ(check.Text(0), "ok");
}

TEST(DurabilityTest, AnUploadGoesOnWhereTheKilledServerWas) {
  TemporaryFolder folder;
  std::string content;
  for (int i = 0; content.size() < 300'000; ++i) absl::StrAppend(&content, i, ",");
  const BlobId blob{Sha256Hex(content), content.size()};
  uint64_t offset = 0;
  for (int round = 0; round < 50; ++round) {
    const pid_t child = fork();
    if (child == 0) {  // uploads 10 kB pieces until it dies in the middle of one
      auto blobs = BlobStore::Open({.directory = folder.path() + "/blobs"});
      auto upload = (*blobs)->BeginUpload(blob, offset);
      if (!upload.ok()) _exit(1);
      for (uint64_t at = offset; at < content.size(); at += 10'000) {
        if (!(*upload)->Append(content.substr(at, 10'000)).ok()) _exit(2);
        if (at >= offset + 30'000) raise(SIGKILL);
      }
      _exit((*upload)->Finish().ok() ? 0 : 3);
    }
    int status = 0;
    waitpid(child, &status, 0);
    auto blobs = BlobStore::Open({.directory = folder.path() + "/blobs"});
    const BlobState state = *(*blobs)->Query(blob.sha256);
    EXPECT_GE(state.committed_size, offset);
    offset = state.committed_size;
    if (!state.complete) {
      ASSERT_TRUE(WIFSIGNALED(status)) << status;
      continue;
    }
    EXPECT_EQ(status, 0);
    EXPECT_GT(round, 3);
    return;
  }
  FAIL() << "the upload never completed";
}

TEST(DurabilityTest, ABlobIsCompleteOnlyWhenItsNameIsSynced) {
  TemporaryFolder folder;
  const std::string content = "bytes";
  const BlobId blob{Sha256Hex(content), content.size()};
  {
    auto blobs = BlobStore::Open({.directory = folder.path() + "/blobs"});
    std::filesystem::create_directory(folder.path() + "/blobs/sha256/" + blob.sha256.substr(0, 2));
    auto upload = (*blobs)->BeginUpload(blob, 0);
    ASSERT_TRUE((*upload)->Append(content).ok());
    failing_directory_syncs = 1 << 20;  // it is renamed, then the disk fails
    EXPECT_FALSE((*upload)->Finish().ok());
    EXPECT_FALSE((*blobs)->Query(blob.sha256).ok());
    failing_directory_syncs = 0;
    int before = directory_syncs;
    EXPECT_TRUE((*blobs)->Query(blob.sha256)->complete);
    EXPECT_GT(directory_syncs, before);
    before = directory_syncs;
    EXPECT_TRUE((*blobs)->Query(blob.sha256)->complete);
    EXPECT_EQ(directory_syncs, before);  // once is enough
  }
  auto blobs =
      BlobStore::Open({.directory = folder.path() + "/blobs"});  // the last server may not have synced it
  const int before = directory_syncs;
  EXPECT_TRUE((*blobs)->Query(blob.sha256)->complete);
  EXPECT_GT(directory_syncs, before);
}

TEST(DurabilityTest, ADiskThatDoesNotAnswerIsNoMissingBlob) {
  TemporaryFolder folder;
  const BlobId blob{Sha256Hex("bytes"), 5};
  auto blobs = BlobStore::Open({.directory = folder.path() + "/blobs"});
  auto upload = (*blobs)->BeginUpload(blob, 0);
  ASSERT_TRUE((*upload)->Append("bytes").ok() && (*upload)->Finish().ok());
  touching_fails = true;
  const absl::Status status = (*blobs)->Query(blob.sha256).status();
  touching_fails = false;
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE((*blobs)->Query(blob.sha256)->complete);
}

// A full database makes SQLite roll back the whole group of transactions, not only the one that met it.
TEST(DurabilityTest, WhoIsToldOfAFailureLeftNoTrace) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/small.db";
  auto connection = Connection::Open(path, Connection::Mode::kWriter);
  ASSERT_TRUE((*connection)->Execute("CREATE TABLE t(key TEXT, filler BLOB); PRAGMA max_page_count=64").ok());
  SqliteWriter writer(*std::move(connection));
  std::mutex mutex;
  std::set<std::string> told_ok, told_failed;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kWriters; ++thread) {
    threads.emplace_back([&, thread] {
      for (int n = 0; n < 200; ++n) {
        const std::string key = Key(0, thread, n),
                          filler(n % 3 == 0 ? 1 << 20 : 1, 'x');  // a third never fits
        const absl::Status status = writer.Run([&](Connection& db) {
          return Query(db, "INSERT INTO t VALUES(?, ?)", key, Bytes{filler}).Run();
        });
        EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
        std::lock_guard lock(mutex);
        (status.ok() ? told_ok : told_failed).insert(key);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> found;
  ASSERT_TRUE(writer
                  .Run([&](Connection& db) {
                    Query query(db, "SELECT key FROM t");
                    while (query.Next()) found.insert(query.Text(0));
                    return query.status();
                  })
                  .ok());
  EXPECT_EQ(found, told_ok);
  EXPECT_FALSE(told_failed.empty());
}

TEST(MigrationsTest, KeepANewerDatabaseAway) {
  TemporaryFolder folder;
  {
    ASSERT_TRUE(Open(folder.path()).ok());
  }
  {
    auto connection = Connection::Open(folder.path() + "/hone.db", Connection::Mode::kWriter);
    ASSERT_TRUE(
        (*connection)->Execute(absl::StrCat("PRAGMA user_version=", Migrations().back().version + 1)).ok());
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(Open(folder.path()).status()));
}

}  // namespace
}  // namespace hone
