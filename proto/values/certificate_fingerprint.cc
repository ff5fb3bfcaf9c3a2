#include "proto/values/certificate_fingerprint.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "proto/values/sha256.h"

namespace hone {
namespace {

constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----", kEnd = "-----END CERTIFICATE-----";

}  // namespace

std::optional<std::string> CertificateFingerprint(std::string_view pem) {
  const size_t begin = pem.find(kBegin), end = pem.find(kEnd);
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return std::nullopt;
  const std::string_view base64 = pem.substr(begin + kBegin.size(), end - begin - kBegin.size());
  std::string der;
  if (!absl::Base64Unescape(absl::string_view(base64.data(), base64.size()), &der) || der.empty())
    return std::nullopt;
  return absl::StrCat("sha256:", Sha256Hex(der));
}

}  // namespace hone
