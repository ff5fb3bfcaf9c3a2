#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace hone {

// Puts constants into a shared library after it was linked, so that hundreds of megabytes never pass through a linker:
//  1. link with PlaceOfConstants: a note of a few bytes under the constants' symbol; a linker gives it a program header;
//  2. AppendConstants makes the note's program header a read-only segment at the file's end, and the addresses that
//     pointed at the note point there.

// An object that defines `symbol` (hidden).
absl::StatusOr<std::string> PlaceOfConstants(const std::string& triple, const std::string& symbol);

struct SharedLibrary {
  std::string file;
  uint64_t constants_offset = 0;   // in the file, page-aligned: zeros to be filled in, up to its end
};
// Internal if the library was not linked so.
absl::StatusOr<SharedLibrary> AppendConstants(std::string linked, uint64_t bytes);

}  // namespace hone
