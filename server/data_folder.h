#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proto/values/file_descriptor.h"
#include "server/auth/certificate_authority.h"
#include "server/storage/store.h"

namespace hone {

// The folder that holds all of a server's state, locked for this process (the kernel unlocks it however the
// process ends):
//   lock  blobs.lock  hone.db  blobs/  logs/  tls/cert.pem  tls/key.pem  tls/workers.pem
//   admin.token  enrol.token  endpoint.json
class DataFolder {
 public:
  // FailedPrecondition if another server uses it.
  static absl::StatusOr<std::unique_ptr<DataFolder>> Open(const std::string& path);

  std::string PathOf(const std::string& name) const { return path_ + "/" + name; }
  // Made at first start.
  absl::StatusOr<CertificatePem> Certificate() const;
  absl::StatusOr<std::unique_ptr<CertificateAuthority>> Authority(absl::Duration lifetime) const;
  // admin.token and enrol.token: made at first start; the store gets their hashes (again, should it have been
  // emptied).
  absl::Status ProvideTokens(Store& store) const;
  absl::Status WriteEndpoint(const std::string& grpc, const std::string& http) const;
  void RemoveEndpoint() const;

 private:
  DataFolder(std::string path, FileDescriptor lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  const std::string path_;
  const FileDescriptor lock_;
};

}  // namespace hone
