#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hone {

// "sha256:" and the hex digits of the SHA-256 of the first certificate in a PEM text, as
// `openssl x509 -noout -fingerprint -sha256` computes it. Nothing if there is none.
std::optional<std::string> CertificateFingerprint(std::string_view pem);

}  // namespace hone
