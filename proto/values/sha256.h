#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace hone {

// SHA-256 as 64 lower-case hex digits.
std::string Sha256Hex(std::string_view bytes);
bool IsSha256Hex(std::string_view text);

// Hashes a stream piece by piece. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(std::string_view bytes);
  std::string FinishHex();   // the object must not be used afterwards

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hone
