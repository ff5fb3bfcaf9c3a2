#include "worker/identity_store.h"

#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proto/certificates/openssl.h"
#include "worker/result_store.h"

namespace hone {

IdentityStore::IdentityStore(const std::string& data_dir)
    : identity_(data_dir + "/identity.pem"),
      enrolment_(data_dir + "/enrolment.pem"),
      former_(data_dir + "/credentials") {}

absl::StatusOr<Identity> IdentityStore::Load() const {
  const absl::StatusOr<std::string> pem = ReadWholeFile(identity_);
  if (!pem.ok()) return pem.status();
  const KeyPointer key = ReadPrivateKey(*pem);
  const CertificatePointer certificate = ReadCertificate(*pem);
  if (key == nullptr || certificate == nullptr || X509_check_private_key(certificate.get(), key.get()) != 1)
    return absl::DataLossError(absl::StrCat(identity_, " is not a key with its certificate"));
  return Identity{CommonName(X509_get_subject_name(certificate.get())), PemOf(key.get()),
                  PemOf(certificate.get())};
}

absl::Status IdentityStore::Store(const Identity& identity) const {
  const absl::Status stored = WriteFileDurably(identity_, identity.private_key + identity.certificate);
  if (!stored.ok()) return stored;
  unlink(enrolment_.c_str());
  unlink(former_.c_str());
  return absl::OkStatus();
}

void IdentityStore::Forget() const {
  unlink(enrolment_.c_str());  // first: a kill between the two leaves no request that was answered before
  unlink(identity_.c_str());
}

absl::StatusOr<CertificateRequest> IdentityStore::ProvideEnrolment() const {
  const absl::StatusOr<std::string> pem = ReadWholeFile(enrolment_);
  if (pem.ok()) {
    const KeyPointer key = ReadPrivateKey(*pem);
    const RequestPointer request = ReadRequest(*pem);
    if (key != nullptr && request != nullptr)
      return CertificateRequest{PemOf(key.get()), PemOf(request.get())};
  }
  absl::StatusOr<CertificateRequest> made = MakeCertificateRequest();
  if (!made.ok()) return made;
  const absl::Status stored = WriteFileDurably(enrolment_, made->private_key + made->request);
  if (!stored.ok()) return stored;
  return made;
}

std::string IdentityStore::FormerToken() const {
  const std::vector<std::string> lines = absl::StrSplit(ReadWholeFile(former_).value_or(""), '\n');
  return lines.size() < 2 ? "" : lines[1];  // after the worker's name
}

}  // namespace hone
