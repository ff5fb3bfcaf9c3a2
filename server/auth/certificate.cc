#include "server/auth/certificate.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr long kValidSeconds = 10L * 365 * 24 * 3600;
constexpr long kClockErrorSeconds = 24 * 3600;  // a device's clock may be behind ours

template <typename T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* value) const { Free(value); }
};
using KeyPointer = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY, EVP_PKEY_free>>;
using CertificatePointer = std::unique_ptr<X509, Deleter<X509, X509_free>>;
using ExtensionPointer = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION, X509_EXTENSION_free>>;
using BioPointer = std::unique_ptr<BIO, Deleter<BIO, BIO_free_all>>;

absl::Status CryptoError(const char* doing) {
  char text[256] = "unknown";
  ERR_error_string_n(ERR_get_error(), text, sizeof(text));
  return absl::InternalError(absl::StrCat("making a certificate: ", doing, ": ", text));
}

bool AddExtension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  ExtensionPointer extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool SetSerial(X509* certificate) {
  unsigned char bytes[8];
  if (RAND_bytes(bytes, sizeof(bytes)) != 1) return false;
  bytes[0] &= 0x7f;
  BIGNUM* number = BN_bin2bn(bytes, sizeof(bytes), nullptr);
  const bool set =
      number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return set;
}

std::string Content(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

absl::StatusOr<CertificatePem> MakeSelfSignedCertificate(const std::string& hostname) {
  KeyPointer key(EVP_EC_gen("P-256"));
  CertificatePointer certificate(X509_new());
  if (key == nullptr || certificate == nullptr) return CryptoError("generating a key");
  X509* x509 = certificate.get();
  X509_NAME* name = X509_get_subject_name(x509);
  const bool filled =
      X509_set_version(x509, 2) == 1 && SetSerial(x509) &&
      X509_gmtime_adj(X509_getm_notBefore(x509), -kClockErrorSeconds) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(x509), kValidSeconds) != nullptr &&
      X509_set_pubkey(x509, key.get()) == 1 &&
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>("hone-server"), -1, -1, 0) == 1 &&
      X509_set_issuer_name(x509, name) == 1;
  if (!filled) return CryptoError("filling in the fields");
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  if (!hostname.empty() && hostname != "localhost") absl::StrAppend(&names, ",DNS:", hostname);
  if (!AddExtension(x509, NID_subject_alt_name, names) ||
      !AddExtension(x509, NID_basic_constraints, "critical,CA:TRUE") ||
      !AddExtension(x509, NID_key_usage, "critical,digitalSignature,keyCertSign") ||
      !AddExtension(x509, NID_ext_key_usage, "serverAuth")) {
    return CryptoError("adding extensions");
  }
  if (X509_sign(x509, key.get(), EVP_sha256()) == 0) return CryptoError("signing");
  BioPointer certificate_pem(BIO_new(BIO_s_mem())), key_pem(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(certificate_pem.get(), x509) != 1 ||
      PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return CryptoError("writing PEM");
  }
  return CertificatePem{Content(certificate_pem.get()), Content(key_pem.get())};
}

}  // namespace hone
