#include "server/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/auth/role_table.h"
#include "server/auth/secrets.h"
#include "server/execution/status_macros.h"
#include "server/storage/durable_file.h"

namespace hone {
namespace {

struct TokenFile {
  const char* name;
  Role role;
};
constexpr TokenFile kTokenFiles[] = {{"admin.token", Role::kAdmin}, {"enrol.token", Role::kEnrol}};

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataFolder>> DataFolder::Open(const std::string& path) {
  HONE_RETURN_IF_ERROR(MakeDirectories(path));
  if (chmod(path.c_str(), 0700) != 0) return ErrnoStatus("protecting " + path);
  HONE_ASSIGN_OR_RETURN(FileDescriptor lock, OpenFile(path + "/lock", O_RDWR | O_CREAT));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(absl::StrCat("another hone-server uses ", path));
  }
  for (const char* name : {"logs", "tls"})
    HONE_RETURN_IF_ERROR(MakeDirectories(absl::StrCat(path, "/", name)));
  std::unique_ptr<DataFolder> folder(new DataFolder(path, std::move(lock)));
  folder->RemoveEndpoint();  // of a server that was killed
  return folder;
}

absl::StatusOr<CertificatePem> DataFolder::Certificate() const {
  absl::StatusOr<std::string> certificate = ReadFile(PathOf("tls/cert.pem"));
  absl::StatusOr<std::string> key = ReadFile(PathOf("tls/key.pem"));
  if (certificate.ok() && key.ok()) return CertificatePem{*certificate, *key};
  if (!absl::IsNotFound(certificate.status()) && !certificate.ok()) return certificate.status();
  if (!absl::IsNotFound(key.status()) && !key.ok()) return key.status();
  HONE_ASSIGN_OR_RETURN(CertificatePem made, MakeServerCertificate(HostName()));
  HONE_RETURN_IF_ERROR(ReplaceFile(PathOf("tls/key.pem"), made.private_key, 0600));
  HONE_RETURN_IF_ERROR(ReplaceFile(PathOf("tls/cert.pem"), made.certificate, 0644));
  return made;
}

absl::StatusOr<std::unique_ptr<CertificateAuthority>> DataFolder::Authority(absl::Duration lifetime) const {
  const std::string path = PathOf("tls/workers.pem");
  absl::StatusOr<std::string> pem = ReadFile(path);
  if (absl::IsNotFound(pem.status())) {
    HONE_ASSIGN_OR_RETURN(const CertificatePem made, CertificateAuthority::Make());
    pem = made.certificate + made.private_key;
    HONE_RETURN_IF_ERROR(ReplaceFile(path, *pem, 0600));
  }
  HONE_RETURN_IF_ERROR(pem.status());
  auto authority = CertificateAuthority::Load(*pem, lifetime);
  if (authority.ok()) return authority;
  return absl::Status(authority.status().code(),
                      absl::StrCat(path, " ", authority.status().message(),
                                   ": restore it, or remove it and let all workers enrol again"));
}

absl::Status DataFolder::ProvideTokens(Store& store) const {
  for (const TokenFile& file : kTokenFiles) {
    absl::StatusOr<std::string> token = ReadFile(PathOf(file.name));
    if (absl::IsNotFound(token.status())) {
      token = RandomHex(32) + "\n";
      HONE_RETURN_IF_ERROR(ReplaceFile(PathOf(file.name), *token, 0600));
    }
    HONE_RETURN_IF_ERROR(token.status());
    const std::string hash = HashToken(std::string(absl::StripAsciiWhitespace(*token)));
    HONE_RETURN_IF_ERROR(store.PutToken({hash, std::string(RoleName(file.role)), kOwner}).status());
  }
  return absl::OkStatus();
}

absl::Status DataFolder::WriteEndpoint(const std::string& grpc, const std::string& http) const {
  const nlohmann::ordered_json endpoint = {
      {"grpc", grpc}, {"http", http}, {"pid", getpid()}, {"cert", PathOf("tls/cert.pem")}};
  return ReplaceFile(PathOf("endpoint.json"), endpoint.dump(2) + "\n", 0600);
}

void DataFolder::RemoveEndpoint() const { unlink(PathOf("endpoint.json").c_str()); }

}  // namespace hone
