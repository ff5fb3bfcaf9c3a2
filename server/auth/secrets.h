#pragma once

#include <string>

namespace hone {

// Secrets and ids from the system's generator (OpenSSL). Tokens are 64 hex digits; the server keeps only
// their hash.
std::string RandomHex(int bytes);
// 12 characters a-z2-7 (60 random bits): short enough to type, unique enough for a name.
std::string RandomId();
std::string HashToken(const std::string& token);

}  // namespace hone
