#include "proto/certificates/openssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

using BioPointer = std::unique_ptr<BIO, OpensslDeleter<BIO, BIO_free_all>>;

template <typename Write>
std::string Written(Write write) {
  const BioPointer bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || write(bio.get()) != 1) return "";
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

template <typename Pointer, typename Read>
Pointer FromPem(const std::string& pem, Read read) {
  const BioPointer bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  // An encrypted text shall not ask the terminal for its password: there is none.
  static constexpr auto kNoPassword = [](char*, int, int, void*) { return -1; };
  Pointer value(bio == nullptr ? nullptr : read(bio.get(), nullptr, +kNoPassword, nullptr));
  if (value == nullptr) ERR_clear_error();
  return value;
}

}  // namespace

absl::Status OpensslError(const std::string& doing) {
  char text[256] = "unknown";
  ERR_error_string_n(ERR_get_error(), text, sizeof(text));
  ERR_clear_error();
  return absl::InternalError(absl::StrCat(doing, ": ", text));
}

std::string PemOf(EVP_PKEY* private_key) {
  return Written([&](BIO* bio) {
    return PEM_write_bio_PrivateKey(bio, private_key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}
std::string PemOf(X509* certificate) {
  return Written([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}
std::string PemOf(X509_REQ* request) {
  return Written([&](BIO* bio) { return PEM_write_bio_X509_REQ(bio, request); });
}

KeyPointer ReadPrivateKey(const std::string& pem) {
  return FromPem<KeyPointer>(pem, PEM_read_bio_PrivateKey);
}
CertificatePointer ReadCertificate(const std::string& pem) {
  return FromPem<CertificatePointer>(pem, PEM_read_bio_X509);
}
RequestPointer ReadRequest(const std::string& pem) {
  return FromPem<RequestPointer>(pem, PEM_read_bio_X509_REQ);
}

std::string CommonName(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  const ASN1_STRING* text = at < 0 ? nullptr : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
  if (text == nullptr) return "";
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

}  // namespace hone
