#pragma once

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"

namespace hone {

// Owns a mapping of a whole file. Movable.
class Mapping {
 public:
  Mapping() = default;
  // bytes may be 0: then data() is null.
  static absl::StatusOr<Mapping> Map(int descriptor, uint64_t bytes, bool writable);
  Mapping(Mapping&& other) noexcept { *this = std::move(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping();
  char* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

 private:
  char* data_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace hone
