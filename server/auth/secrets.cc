#include "server/auth/secrets.h"

#include <openssl/rand.h>

#include <cstdlib>
#include <vector>

#include "absl/strings/escaping.h"
#include "proto/values/sha256.h"

namespace hone {
namespace {

std::string RandomBytes(int count) {
  std::string bytes(static_cast<size_t>(count), '\0');
  // No entropy: going on would make guessable secrets.
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), count) != 1) std::abort();
  return bytes;
}

}  // namespace

std::string RandomHex(int bytes) { return absl::BytesToHexString(RandomBytes(bytes)); }

std::string RandomId() {
  constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::string id = RandomBytes(12);
  for (char& c : id) c = kAlphabet[static_cast<unsigned char>(c) % 32];
  return id;
}

std::string HashToken(const std::string& token) { return Sha256Hex(token); }

}  // namespace hone
