#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace hone {

// One local file under the name by which the model mentions it.
struct ManifestFile {
  std::string name;
  std::filesystem::path path;
  std::string sha256;
  uint64_t size = 0;
};

// What is uploaded: the model file first, then its external data, each with its digest.
struct ModelManifest {
  std::string display_name;  // stem of the model's file name
  std::vector<ManifestFile> files;
};

// Reads a model and finds its external data beside it. External names must stay in the model's folder:
// absolute paths and
// ".." are InvalidArgument, a missing file NotFound. Digests are computed in one pass over each file.
absl::StatusOr<ModelManifest> ReadModelManifest(const std::filesystem::path& model);

}  // namespace hone
