#include "server/storage/sqlite_connection.h"

#include <sqlite3.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "server/execution/status_macros.h"

namespace hone {
namespace {

// busy_timeout is per connection. The writer never waits for another writer: there is only one.
constexpr char kCommonPragmas[] =
    "PRAGMA busy_timeout=5000; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;";
constexpr char kWriterPragmas[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=1000;";

// Our own statements are fewer; the SQL of users' filters is not kept beyond that.
constexpr size_t kMaxCachedStatements = 200;

absl::StatusCode CodeOf(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_CONSTRAINT:
      return absl::StatusCode::kAlreadyExists;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
      return absl::StatusCode::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    default:
      return absl::StatusCode::kInternal;
  }
}

constexpr size_t kPageBytes = 4096;  // SQLite's default

}  // namespace

absl::Status ReservePageCache(size_t bytes) {
  int header = 0;  // of a slot, behind its page
  if (sqlite3_config(SQLITE_CONFIG_PCACHE_HDRSZ, &header) != SQLITE_OK)
    return absl::FailedPreconditionError("SQLite is in use already");
  const size_t slot = kPageBytes + static_cast<size_t>(header), slots = bytes / slot;
  static std::vector<char> pages;
  pages.resize(slots * slot);
  if (sqlite3_config(SQLITE_CONFIG_PAGECACHE, pages.data(), static_cast<int>(slot),
                     static_cast<int>(slots)) != SQLITE_OK)
    return absl::InternalError("SQLite takes no memory for its page cache");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& path, Mode mode) {
  sqlite3* database = nullptr;
  const int flags =
      (mode == Mode::kWriter ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) |
      SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &database, flags, nullptr);
  std::unique_ptr<Connection> connection(new Connection(database));
  if (code != SQLITE_OK) return connection->ErrorStatus("opening " + path);
  sqlite3_extended_result_codes(database, 1);
  HONE_RETURN_IF_ERROR(connection->Execute(kCommonPragmas));
  if (mode == Mode::kWriter) HONE_RETURN_IF_ERROR(connection->Execute(kWriterPragmas));
  return connection;
}

Connection::~Connection() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(database_);
}

absl::Status Connection::ErrorStatus(std::string_view doing) const {
  return absl::Status(CodeOf(sqlite3_extended_errcode(database_)),
                      absl::StrCat("database: ", std::string(doing), ": ", sqlite3_errmsg(database_)));
}

absl::Status Connection::Execute(const std::string& script) {
  if (sqlite3_exec(database_, script.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK)
    return absl::OkStatus();
  return ErrorStatus(script.substr(0, 60));
}

bool Connection::InTransaction() const { return sqlite3_get_autocommit(database_) == 0; }
int64_t Connection::Changes() const { return sqlite3_changes64(database_); }
int64_t Connection::LastRowId() const { return sqlite3_last_insert_rowid(database_); }

void Query::Prepare(const std::string& sql) {
  auto known = connection_.statements_.find(sql);
  if (known != connection_.statements_.end()) {
    statement_ = known->second;
    return;
  }
  Check(sqlite3_prepare_v3(connection_.database_, sql.data(), static_cast<int>(sql.size()),
                           SQLITE_PREPARE_PERSISTENT, &statement_, nullptr),
        sql);
  cached_ = statement_ != nullptr && connection_.statements_.size() < kMaxCachedStatements;
  if (cached_) connection_.statements_.emplace(sql, statement_);
}

Query::~Query() {
  if (!cached_) {
    sqlite3_finalize(statement_);
    return;
  }
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Query::Check(int code, std::string_view doing) {
  if (code != SQLITE_OK && status_.ok()) status_ = connection_.ErrorStatus(doing);
}

void Query::Bind(std::string_view text) {
  Check(sqlite3_bind_text64(statement_, ++bound_, text.data() == nullptr ? "" : text.data(), text.size(),
                            SQLITE_TRANSIENT, SQLITE_UTF8),
        "binding text");
}

void Query::Bind(Bytes bytes) {
  Check(sqlite3_bind_blob64(statement_, ++bound_, bytes.bytes.empty() ? "" : bytes.bytes.data(),
                            bytes.bytes.size(), SQLITE_TRANSIENT),
        "binding bytes");
}

void Query::Bind(double number) {
  Check(sqlite3_bind_double(statement_, ++bound_, number), "binding a number");
}
void Query::Bind(int64_t number) {
  Check(sqlite3_bind_int64(statement_, ++bound_, number), "binding an integer");
}
void Query::BindNull() { Check(sqlite3_bind_null(statement_, ++bound_), "binding NULL"); }

bool Query::Next() {
  if (!status_.ok()) return false;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) status_ = connection_.ErrorStatus(sqlite3_sql(statement_));
  return false;
}

absl::Status Query::Run() {
  while (Next()) {
  }
  return status_;
}

std::string Query::Text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  return bytes == nullptr ? std::string()
                          : std::string(static_cast<const char*>(bytes),
                                        static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
}

int64_t Query::Int(int column) const { return sqlite3_column_int64(statement_, column); }
double Query::Real(int column) const { return sqlite3_column_double(statement_, column); }
bool Query::IsNull(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

}  // namespace hone
