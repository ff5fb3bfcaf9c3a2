#include "server/auth/certificate.h"

#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/execution/status_macros.h"

namespace hone {
namespace {

constexpr absl::Duration kServerLifetime = absl::Hours(10 * 365 * 24);
constexpr absl::Duration kClockError = absl::Hours(24);  // a device's clock may be behind ours
constexpr int kSerialBytes = 16;

using ExtensionPointer = std::unique_ptr<X509_EXTENSION, OpensslDeleter<X509_EXTENSION, X509_EXTENSION_free>>;
using NumberPointer = std::unique_ptr<BIGNUM, OpensslDeleter<BIGNUM, BN_free>>;

bool AddExtension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const ExtensionPointer extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool SetSerial(X509* certificate) {
  unsigned char bytes[kSerialBytes];
  if (RAND_bytes(bytes, sizeof(bytes)) != 1) return false;
  bytes[0] &= 0x7f;
  const NumberPointer number(BN_bin2bn(bytes, sizeof(bytes), nullptr));
  return number != nullptr && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetSubject(X509* certificate, const std::string& common_name) {
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                    reinterpret_cast<const unsigned char*>(common_name.data()),
                                    static_cast<int>(common_name.size()), -1, 0) == 1;
}

}  // namespace

absl::StatusOr<CertificatePointer> MakeCertificate(const CertificateFields& fields, EVP_PKEY* key,
                                                   Issuer issuer) {
  CertificatePointer certificate(X509_new());
  X509* x509 = certificate.get();
  const bool filled =
      x509 != nullptr && X509_set_version(x509, X509_VERSION_3) == 1 && SetSerial(x509) &&
      ASN1_TIME_set(X509_getm_notBefore(x509), absl::ToTimeT(fields.begin)) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(x509), absl::ToTimeT(fields.end)) != nullptr &&
      X509_set_pubkey(x509, key) == 1 && SetSubject(x509, fields.common_name) &&
      X509_set_issuer_name(x509,
                           X509_get_subject_name(issuer.certificate == nullptr ? x509 : issuer.certificate));
  if (!filled) return OpensslError("filling in a certificate");
  for (const auto& [nid, value] : fields.extensions) {
    if (!AddExtension(x509, nid, value)) return OpensslError("adding an extension to a certificate");
  }
  if (X509_sign(x509, issuer.key, EVP_sha256()) == 0) return OpensslError("signing a certificate");
  return certificate;
}

absl::StatusOr<CertificatePem> MakeSelfSigned(const CertificateFields& fields) {
  const KeyPointer key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpensslError("generating a key");
  HONE_ASSIGN_OR_RETURN(const CertificatePointer certificate,
                        MakeCertificate(fields, key.get(), {.key = key.get()}));
  CertificatePem made{PemOf(certificate.get()), PemOf(key.get())};
  if (made.certificate.empty() || made.private_key.empty()) return OpensslError("writing a certificate");
  return made;
}

absl::StatusOr<CertificatePem> MakeServerCertificate(const std::string& hostname) {
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  if (!hostname.empty() && hostname != "localhost") absl::StrAppend(&names, ",DNS:", hostname);
  const absl::Time now = absl::Now();
  return MakeSelfSigned({.common_name = "hone-server",
                         .begin = now - kClockError,
                         .end = now + kServerLifetime,
                         .extensions = {{NID_subject_alt_name, names},
                                        {NID_basic_constraints, "critical,CA:TRUE"},
                                        {NID_key_usage, "critical,digitalSignature,keyCertSign"},
                                        {NID_ext_key_usage, "serverAuth"}}});
}

}  // namespace hone
