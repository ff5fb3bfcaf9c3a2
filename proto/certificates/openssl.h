#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "absl/status/status.h"

// Owners of OpenSSL's objects, and their PEM text.
namespace hone {

template <typename T, void (*Free)(T*)>
struct OpensslDeleter {
  void operator()(T* value) const { Free(value); }
};
using KeyPointer = std::unique_ptr<EVP_PKEY, OpensslDeleter<EVP_PKEY, EVP_PKEY_free>>;
using CertificatePointer = std::unique_ptr<X509, OpensslDeleter<X509, X509_free>>;
using RequestPointer = std::unique_ptr<X509_REQ, OpensslDeleter<X509_REQ, X509_REQ_free>>;

// Internal, with OpenSSL's own words.
absl::Status OpensslError(const std::string& doing);

// Empty if there is no room.
std::string PemOf(EVP_PKEY* private_key);
std::string PemOf(X509* certificate);
std::string PemOf(X509_REQ* request);

// The first of its kind in a PEM text; null if there is none that can be read.
KeyPointer ReadPrivateKey(const std::string& pem);
CertificatePointer ReadCertificate(const std::string& pem);
RequestPointer ReadRequest(const std::string& pem);

// Empty if the name has none.
std::string CommonName(const X509_NAME* name);

}  // namespace hone
