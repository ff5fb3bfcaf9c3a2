#include "server/auth/certificate_authority.h"

#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <utility>

#include "absl/time/clock.h"
#include "server/execution/status_macros.h"

namespace hone {
namespace {

constexpr absl::Duration kOwnLifetime = absl::Hours(10 * 365 * 24);
constexpr size_t kMaxRequestBytes = 8192;

using StorePointer = std::unique_ptr<X509_STORE, OpensslDeleter<X509_STORE, X509_STORE_free>>;
using VerificationPointer =
    std::unique_ptr<X509_STORE_CTX, OpensslDeleter<X509_STORE_CTX, X509_STORE_CTX_free>>;

absl::StatusOr<RequestPointer> ReadChecked(const std::string& pem) {
  if (pem.empty())
    return absl::InvalidArgumentError(
        "there is no certificate_request: hone-worker is older than this server");
  RequestPointer request = pem.size() <= kMaxRequestBytes ? ReadRequest(pem) : nullptr;
  if (request == nullptr) return absl::InvalidArgumentError("the certificate_request is no PKCS #10 in PEM");
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  char group[32] = "";
  const bool is_p256 = key != nullptr && EVP_PKEY_get_group_name(key, group, sizeof(group), nullptr) == 1 &&
                       std::string_view(group) == SN_X9_62_prime256v1;
  const bool is_signed = is_p256 && X509_REQ_verify(request.get(), key) == 1;
  ERR_clear_error();
  if (!is_p256) return absl::InvalidArgumentError("the certificate_request is not of an EC P-256 key");
  if (!is_signed) return absl::InvalidArgumentError("the certificate_request is not signed with its own key");
  return request;
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm fields{};
  return ASN1_TIME_to_tm(time, &fields) == 1 ? absl::FromTimeT(timegm(&fields)) : absl::InfinitePast();
}

}  // namespace

struct CertificateAuthority::Parts {
  CertificatePointer certificate;
  KeyPointer key;
  StorePointer trusted;  // the certificate alone
  absl::Duration lifetime;
};

CertificateAuthority::CertificateAuthority(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
CertificateAuthority::~CertificateAuthority() = default;

absl::Status CheckCertificateRequest(const std::string& request) { return ReadChecked(request).status(); }

absl::StatusOr<CertificatePem> CertificateAuthority::Make() {
  const absl::Time now = absl::Now();
  return MakeSelfSigned({.common_name = "hone-server workers",
                         .begin = now,
                         .end = now + kOwnLifetime,
                         .extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                                        {NID_key_usage, "critical,keyCertSign"}}});
}

absl::StatusOr<std::unique_ptr<CertificateAuthority>> CertificateAuthority::Load(const std::string& pem,
                                                                                 absl::Duration lifetime) {
  auto parts = std::make_unique<Parts>();
  parts->certificate = ReadCertificate(pem);
  parts->key = ReadPrivateKey(pem);
  parts->trusted.reset(X509_STORE_new());
  parts->lifetime = lifetime;
  if (parts->certificate == nullptr || parts->key == nullptr ||
      X509_check_private_key(parts->certificate.get(), parts->key.get()) != 1) {
    return absl::DataLossError("is not a certificate with its key");
  }
  // The server's clock decides (Verify's caller), with a grace that X.509 does not know.
  if (parts->trusted == nullptr || X509_STORE_add_cert(parts->trusted.get(), parts->certificate.get()) != 1 ||
      X509_STORE_set_flags(parts->trusted.get(), X509_V_FLAG_NO_CHECK_TIME) != 1 ||
      X509_STORE_set_purpose(parts->trusted.get(), X509_PURPOSE_SSL_CLIENT) != 1) {
    return OpensslError("trusting the workers' authority");
  }
  return std::unique_ptr<CertificateAuthority>(new CertificateAuthority(std::move(parts)));
}

absl::StatusOr<std::string> CertificateAuthority::Issue(const std::string& request,
                                                        const std::string& subject, absl::Time begin) const {
  HONE_ASSIGN_OR_RETURN(const RequestPointer checked, ReadChecked(request));
  HONE_ASSIGN_OR_RETURN(
      const CertificatePointer issued,
      MakeCertificate({.common_name = subject,
                       .begin = begin,
                       .end = begin + parts_->lifetime,
                       .extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                                      {NID_key_usage, "critical,digitalSignature"},
                                      {NID_ext_key_usage, "clientAuth"}}},
                      X509_REQ_get0_pubkey(checked.get()), {parts_->certificate.get(), parts_->key.get()}));
  const std::string pem = PemOf(issued.get());
  if (pem.empty()) return OpensslError("writing a certificate");
  return pem;
}

absl::StatusOr<CertificateAuthority::Issued> CertificateAuthority::Verify(
    const std::string& certificate) const {
  const CertificatePointer shown = ReadCertificate(certificate);
  const VerificationPointer verification(X509_STORE_CTX_new());
  const bool valid =
      shown != nullptr && verification != nullptr &&
      X509_STORE_CTX_init(verification.get(), parts_->trusted.get(), shown.get(), nullptr) == 1 &&
      X509_verify_cert(verification.get()) == 1;
  ERR_clear_error();
  if (!valid) return absl::UnauthenticatedError("this server did not issue the certificate");
  return Issued{CommonName(X509_get_subject_name(shown.get())), TimeOf(X509_get0_notBefore(shown.get())),
                TimeOf(X509_get0_notAfter(shown.get()))};
}

}  // namespace hone
