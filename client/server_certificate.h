#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace hone {

// The certificate, as PEM, that whoever answers at "host:port" shows in a TLS handshake. Nothing is proven by
// it: somebody has to compare its fingerprint (proto/values/certificate_fingerprint.h) with the server's own.
// Unavailable: nobody answers, or it does not speak TLS.
absl::StatusOr<std::string> FetchServerCertificate(const std::string& address, absl::Duration timeout);

// A fingerprint as people paste it, with or without "sha256:", colons and capitals, in the form of
// CertificateFingerprint. Nothing if it is none.
std::optional<std::string> ParseFingerprint(absl::string_view text);

}  // namespace hone
