// The schema's steps: in order, whole or not at all, whenever the process dies.
#include "server/storage/migrations.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/storage/sqlite_connection.h"
#include "server/storage/sqlite_store.h"
#include "tests/server/temporary_folder.h"

namespace hone {
namespace {

// Counted down by every call with which SQLite changes files; the last one kills the process.
int calls_left = 0;
bool in_the_middle = false;  // of a write: half of it is done

void Count(int file, const void* bytes, size_t size, off_t offset) {
  if (--calls_left > 0) return;
  if (in_the_middle && bytes != nullptr) (void)!pwrite(file, bytes, size / 2, offset);
  kill(getpid(), SIGKILL);
}
ssize_t DeadlyWrite(int file, const void* bytes, size_t size, off_t offset) {
  Count(file, bytes, size, offset);
  return pwrite(file, bytes, size, offset);
}
int DeadlyTruncate(int file, off_t size) {
  Count(file, nullptr, 0, 0);
  return ftruncate(file, size);
}
int DeadlyUnlink(const char* path) {
  Count(-1, nullptr, 0, 0);
  return unlink(path);
}

struct SystemCallRow {
  const char* name;
  sqlite3_syscall_ptr call;
};
const SystemCallRow kSystemCalls[] = {
    {"pwrite", reinterpret_cast<sqlite3_syscall_ptr>(DeadlyWrite)},
    {"pwrite64", reinterpret_cast<sqlite3_syscall_ptr>(DeadlyWrite)},
    {"ftruncate", reinterpret_cast<sqlite3_syscall_ptr>(DeadlyTruncate)},
    {"unlink", reinterpret_cast<sqlite3_syscall_ptr>(DeadlyUnlink)},
};

std::string Text(Connection& db, const std::string& sql) {
  Query query(db, sql);
  std::string text;
  while (query.Next()) absl::StrAppend(&text, query.Text(0), "\n");
  EXPECT_TRUE(query.status().ok()) << query.status();
  return text;
}

constexpr char kSchema[] = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name";
constexpr char kRows[] = "SELECT hash || role FROM tokens ORDER BY hash";

std::unique_ptr<Connection> Open(const std::string& path) {
  return std::move(Connection::Open(path, Connection::Mode::kWriter)).value();
}

void MigrateTo(Connection& db, const Migration& migration) {
  ASSERT_TRUE(db.Execute(absl::StrCat("BEGIN; ", migration.sql, "PRAGMA user_version=", migration.version, "; COMMIT"))
                  .ok());
}

// The child's end: killed at its `call`th call, or 0 if it had fewer.
int MigrateAndDie(const std::string& path, int call, bool half) {
  const pid_t child = fork();
  if (child == 0) {
    calls_left = call;
    in_the_middle = half;
    sqlite3_vfs* vfs = sqlite3_vfs_find(nullptr);
    for (const SystemCallRow& row : kSystemCalls) vfs->xSetSystemCall(vfs, row.name, row.call);
    auto db = Connection::Open(path, Connection::Mode::kWriter);
    if (!db.ok() || !Migrate(**db).ok()) _exit(1);
    db->reset();  // checkpoints
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(MigrationsTest, AKillAtAnyWriteLeavesTheOldOrTheNew) {
  TemporaryFolder folder("/dev/shm");  // a thousand starts sync a lot
  // What the schema is at each version, and a database of the first one that holds something.
  std::vector<std::string> schemas = {""};
  const std::string first = folder.path() + "/first.db";
  {
    const auto reference = Open(folder.path() + "/reference.db"), old = Open(first);
    for (const Migration& migration : Migrations()) {
      MigrateTo(*reference, migration);
      schemas.push_back(Text(*reference, kSchema));
    }
    MigrateTo(*old, Migrations().front());
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(Query(*old, "INSERT INTO tokens VALUES(?, 'user', 's', 1)", std::to_string(i)).Run().ok());
    }
  }
  const std::string rows = Text(*Open(first), kRows);
  for (const bool used : {false, true}) {
    int status = 1, kills = 0;
    for (int call = 1; status != 0; ++call) {
      const std::string path = folder.path() + "/hone.db";
      for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path + end);
      if (used) std::filesystem::copy_file(first, path);
      status = MigrateAndDie(path, (call + 1) / 2, /*half=*/call % 2 == 0);
      ASSERT_TRUE(status == 0 || WIFSIGNALED(status)) << status;
      kills += status != 0;
      const auto db = Open(path);
      const int version = std::stoi(Text(*db, "PRAGMA user_version"));
      EXPECT_EQ(Text(*db, kSchema), schemas[version]) << "killed at call " << call;
      EXPECT_EQ(Text(*db, "PRAGMA integrity_check"), "ok\n");
      ASSERT_TRUE(Migrate(*db).ok());
      EXPECT_EQ(Text(*db, kSchema), schemas.back());
      if (used) {
        EXPECT_EQ(Text(*db, kRows), rows);
      }
    }
    EXPECT_GT(kills, 10 * static_cast<int>(Migrations().size()));
  }
}

TEST(MigrationsTest, TokensOfWorkersBecomeGoodForEnrollingForAWhile) {
  TemporaryFolder folder;
  const auto db = Open(folder.path() + "/hone.db");
  MigrateTo(*db, Migrations().front());
  ASSERT_TRUE(
      db->Execute("INSERT INTO tokens VALUES('w', 'worker', 'workers/w1', 1), ('a', 'admin', 'owner', 1)")
          .ok());
  ASSERT_TRUE(Migrate(*db).ok());
  EXPECT_EQ(
      Text(*db,
           "SELECT hash || ' ' || role || ' ' || subject || ' ' || (expire_time > unixepoch() * 1000000) "
           "FROM tokens ORDER BY hash"),
      "a admin owner 0\nw enrol workers/w1 1\n");
}

TEST(MigrationsTest, NumbersRiseByOne) {
  int version = 0;
  for (const Migration& migration : Migrations()) EXPECT_EQ(migration.version, ++version) << migration.title;
}

TEST(MigrationsTest, TokensOfTheFirstSchemaAreTheOwners) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/old.db";
  {
    auto db = Connection::Open(path, Connection::Mode::kWriter);
    ASSERT_TRUE(db.ok()) << db.status();
    for (const Migration& migration : Migrations().first(3)) ASSERT_TRUE((*db)->Execute(migration.sql).ok());
    ASSERT_TRUE(
        (*db)->Execute("INSERT INTO tokens VALUES('h', 'admin', 'owner', 5); PRAGMA user_version=3").ok());
  }
  auto store = SqliteStore::Open({.path = path, .clock = absl::Now, .make_lost_record = {}, .readers = 1});
  ASSERT_TRUE(store.ok()) << store.status();
  const std::vector<TokenRow> tokens = *(*store)->ListTokens({0, 10});
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_EQ(tokens[0].hash, "h");
  EXPECT_EQ(tokens[0].create_time, 5);
  EXPECT_EQ(tokens[0].user_role, "admin");
}

}  // namespace
}  // namespace hone
