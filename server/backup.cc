#include "server/backup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proto/values/sha256.h"
#include "server/execution/status_macros.h"
#include "server/storage/durable_file.h"
#include "server/storage/sqlite_rows.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr char kManifest[] = "MANIFEST";
constexpr char kDatabase[] = "hone.db";
// Not there yet where only hone-servers of before workers' certificates have run.
constexpr char kAuthority[] = "tls/workers.pem";
constexpr const char* kSmallFiles[] = {"admin.token", "enrol.token", "tls/cert.pem", "tls/key.pem",
                                       kAuthority};
constexpr size_t kCopyBytes = 1 << 20;

std::string BlobPath(const std::string& sha256) {
  return absl::StrCat("blobs/sha256/", sha256.substr(0, 2), "/", sha256.substr(2));
}

// A folder in the making: `final` + ".part" until Publish().
class Staging {
 public:
  static absl::StatusOr<Staging> Make(const std::string& final) {
    std::error_code error;
    const bool free = !fs::exists(final, error) || fs::is_empty(final, error);
    if (error) return absl::UnavailableError(absl::StrCat("examining ", final, ": ", error.message()));
    if (!free) return absl::FailedPreconditionError(absl::StrCat(final, " is not empty: name a new folder"));
    Staging staging(fs::absolute(final).lexically_normal().string());
    fs::remove_all(staging.part_, error);  // of one that was killed
    HONE_RETURN_IF_ERROR(MakeDirectories(staging.part_));
    return staging;
  }

  std::string PathOf(const std::string& name) const { return part_ + "/" + name; }
  const BackupReport& report() const { return report_; }
  const std::string& manifest() const { return manifest_; }

  // Copies a file there and returns its digest.
  absl::StatusOr<std::string> Copy(const std::string& from, const std::string& name) {
    HONE_ASSIGN_OR_RETURN(const FileDescriptor source, OpenFile(from, O_RDONLY));
    const std::string path = PathOf(name);
    HONE_RETURN_IF_ERROR(MakeDirectories(fs::path(path).parent_path().string()));
    HONE_ASSIGN_OR_RETURN(const FileDescriptor copy, OpenFile(path, O_WRONLY | O_CREAT | O_EXCL));
    Sha256 sha;
    std::string buffer(kCopyBytes, '\0');
    for (ssize_t got; (got = read(source.get(), buffer.data(), buffer.size())) != 0;) {
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus("reading " + from);
      const std::string_view bytes(buffer.data(), static_cast<size_t>(got));
      sha.Update(bytes);
      HONE_RETURN_IF_ERROR(WriteAll(copy.get(), bytes));
      report_.bytes += bytes.size();
    }
    const std::string digest = sha.FinishHex();
    List(name, digest);
    return digest;
  }

  void List(const std::string& name, const std::string& digest) {
    ++report_.files;
    absl::StrAppend(&manifest_, digest, "  ", name, "\n");
  }

  absl::Status Publish() const {
    HONE_ASSIGN_OR_RETURN(const FileDescriptor folder, OpenFile(part_, O_RDONLY | O_DIRECTORY));
    if (syncfs(folder.get()) != 0) return ErrnoStatus("syncing " + part_);
    if (rename(part_.c_str(), final_.c_str()) != 0) return ErrnoStatus("renaming to " + final_);
    return SyncDirectory(fs::path(final_).parent_path().string());
  }

 private:
  explicit Staging(const std::string& final) : final_(final), part_(final + ".part") {}

  const std::string final_, part_;
  std::string manifest_;
  BackupReport report_;
};

absl::Status Differs(const std::string& path) {
  return absl::DataLossError(absl::StrCat(path, " is damaged: its SHA-256 is not that of its name or manifest"));
}

// One state of the database in a file of its own, whoever writes meanwhile.
absl::StatusOr<std::vector<std::string>> CopyDatabase(const std::string& from, const std::string& to) {
  if (access(from.c_str(), F_OK) != 0) return absl::NotFoundError("there is no " + from);
  {
    HONE_ASSIGN_OR_RETURN(const auto database, Connection::Open(from, Connection::Mode::kReader));
    HONE_RETURN_IF_ERROR(Query(*database, "VACUUM INTO ?", to).Run());
  }
  HONE_ASSIGN_OR_RETURN(const auto copy, Connection::Open(to, Connection::Mode::kReader));
  return ReadReferencedBlobs(*copy);
}

absl::Status CheckDatabase(const std::string& path) {
  HONE_ASSIGN_OR_RETURN(const auto database, Connection::Open(path, Connection::Mode::kReader));
  Query check(*database, "PRAGMA integrity_check");
  if (check.Next() && check.Text(0) == "ok") return absl::OkStatus();
  HONE_RETURN_IF_ERROR(check.status());
  return absl::DataLossError(absl::StrCat(path, " is damaged: ", check.Text(0)));
}

absl::StatusOr<std::string> DigestOf(const std::string& path) {
  HONE_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_RDONLY));
  Sha256 sha;
  std::string buffer(kCopyBytes, '\0');
  for (ssize_t got; (got = read(file.get(), buffer.data(), buffer.size())) != 0;) {
    if (got < 0) return ErrnoStatus("reading " + path);
    sha.Update(std::string_view(buffer.data(), static_cast<size_t>(got)));
  }
  return sha.FinishHex();
}

// Names that a manifest may have: below its folder.
bool IsBelow(const std::string& name) {
  const fs::path path(name);
  return !name.empty() && path.is_relative() && path == path.lexically_normal() && *path.begin() != "..";
}

}  // namespace

absl::StatusOr<FileDescriptor> LockBlobs(const std::string& data_dir, bool wait) {
  HONE_ASSIGN_OR_RETURN(FileDescriptor lock, OpenFile(data_dir + "/blobs.lock", O_RDWR | O_CREAT));
  if (flock(lock.get(), LOCK_EX | (wait ? 0 : LOCK_NB)) == 0) return lock;
  if (errno == EWOULDBLOCK) return absl::UnavailableError("a backup is being made");
  return ErrnoStatus("locking the blobs of " + data_dir);
}

absl::StatusOr<BackupReport> Backup(const std::string& data_dir, const std::string& to) {
  HONE_ASSIGN_OR_RETURN(Staging staging, Staging::Make(to));
  HONE_ASSIGN_OR_RETURN(const FileDescriptor lock, LockBlobs(data_dir, /*wait=*/true));
  HONE_ASSIGN_OR_RETURN(const std::vector<std::string> blobs,
                        CopyDatabase(data_dir + "/" + kDatabase, staging.PathOf(kDatabase)));
  HONE_ASSIGN_OR_RETURN(const std::string digest, DigestOf(staging.PathOf(kDatabase)));
  staging.List(kDatabase, digest);
  for (const std::string& blob : blobs) {
    const std::string path = BlobPath(blob);
    HONE_ASSIGN_OR_RETURN(const std::string copied, staging.Copy(data_dir + "/" + path, path));
    if (copied != blob) return Differs(data_dir + "/" + path);
  }
  for (const char* name : kSmallFiles) {
    const absl::StatusOr<std::string> copied = staging.Copy(data_dir + "/" + name, name);
    if (name != kAuthority || !absl::IsNotFound(copied.status())) HONE_RETURN_IF_ERROR(copied.status());
  }
  HONE_RETURN_IF_ERROR(ReplaceFile(staging.PathOf(kManifest), staging.manifest()));
  HONE_RETURN_IF_ERROR(staging.Publish());
  return staging.report();
}

absl::StatusOr<BackupReport> Restore(const std::string& from, const std::string& data_dir) {
  HONE_ASSIGN_OR_RETURN(const std::string manifest, ReadFile(from + "/" + kManifest));
  HONE_ASSIGN_OR_RETURN(Staging staging, Staging::Make(data_dir));
  for (const absl::string_view line : absl::StrSplit(manifest, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits("  ", 1));
    if (parts.size() != 2 || !IsSha256Hex(parts[0]) || !IsBelow(parts[1]))
      return absl::DataLossError(absl::StrCat(from, "/", kManifest, " is damaged: '", line, "'"));
    HONE_ASSIGN_OR_RETURN(const std::string copied, staging.Copy(from + "/" + parts[1], parts[1]));
    if (copied != parts[0]) return Differs(from + "/" + parts[1]);
  }
  HONE_RETURN_IF_ERROR(CheckDatabase(staging.PathOf(kDatabase)));
  HONE_RETURN_IF_ERROR(staging.Publish());
  return staging.report();
}

}  // namespace hone
