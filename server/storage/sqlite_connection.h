#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace hone {

// A value for a BLOB column (text goes to TEXT columns: tables are STRICT).
struct Bytes {
  std::string_view bytes;
};

// All connections together keep so many bytes of pages, taken now and for good: caches that grow as a
// database does would look like a leak, and leave holes. Once, before the first connection of the process.
absl::Status ReservePageCache(size_t bytes);

// One SQLite connection with its cache of prepared statements. Not thread-safe. All SQLite errors become
// absl::Status here.
class Connection {
 public:
  enum class Mode { kWriter, kReader };
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& path, Mode mode);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  absl::Status Execute(const std::string& script);  // without parameters or rows
  bool InTransaction() const;  // false after an error for which SQLite rolled back by itself
  int64_t Changes() const;                          // rows that the last statement changed
  int64_t LastRowId() const;

 private:
  friend class Query;
  explicit Connection(sqlite3* database) : database_(database) {}
  absl::Status ErrorStatus(std::string_view doing) const;

  sqlite3* const database_;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
};

// One execution of a statement: bind in the constructor, then Run() or step with Next(). The first error
// sticks in status().
class Query {
 public:
  template <typename... Values>
  Query(Connection& connection, const std::string& sql, const Values&... values) : connection_(connection) {
    Prepare(sql);
    (Bind(values), ...);
  }
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  void Bind(std::string_view text);
  void Bind(const std::string& text) { Bind(std::string_view(text)); }
  void Bind(const char* text) { Bind(std::string_view(text)); }
  void Bind(Bytes bytes);
  void Bind(double number);
  void Bind(int64_t number);
  void Bind(int number) { Bind(static_cast<int64_t>(number)); }
  void Bind(uint32_t number) { Bind(static_cast<int64_t>(number)); }
  void Bind(uint64_t number) { Bind(static_cast<int64_t>(number)); }
  void Bind(bool value) { Bind(static_cast<int64_t>(value)); }
  template <typename T>
  void Bind(const std::optional<T>& value) {
    if (value) return Bind(*value);
    BindNull();
  }

  absl::Status Run();
  bool Next();  // false at the end and on error
  const absl::Status& status() const { return status_; }

  std::string Text(int column) const;  // TEXT or BLOB
  int64_t Int(int column) const;
  double Real(int column) const;
  bool IsNull(int column) const;

 private:
  void Prepare(const std::string& sql);
  void BindNull();
  void Check(int code, std::string_view doing);

  Connection& connection_;
  sqlite3_stmt* statement_ = nullptr;
  bool cached_ = true;
  int bound_ = 0;
  absl::Status status_;
};

}  // namespace hone
