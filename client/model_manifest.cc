#include "client/model_manifest.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <memory>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "client/error.h"
#include "client/external_data.h"
#include "google/protobuf/io/zero_copy_stream_impl.h"
#include "proto/values/sha256.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kReadBytes = 1 << 20;

absl::StatusOr<ManifestFile> DigestFile(std::string name, const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    return absl::NotFoundError(absl::StrCat(path.string(), " is not a file"));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::PermissionDeniedError(absl::StrCat("cannot read ", path.string()));
  ManifestFile file{std::move(name), path, "", 0};
  Sha256 sha;
  std::vector<char> buffer(kReadBytes);
  while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0) {
    sha.Update({buffer.data(), static_cast<size_t>(in.gcount())});
    file.size += in.gcount();
  }
  file.sha256 = sha.FinishHex();
  return file;
}

bool StaysInFolder(const fs::path& name) {
  if (name.empty() || name.is_absolute()) return false;
  for (const fs::path& part : name) {
    if (part == "..") return false;
  }
  return true;
}

absl::StatusOr<std::set<std::string>> ReadExternalNames(const fs::path& model, uint64_t size) {
  const int fd = open(model.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::PermissionDeniedError(absl::StrCat("cannot read ", model.string()));
  absl::Cleanup close_fd = [fd] { close(fd); };
  google::protobuf::io::FileInputStream stream(fd);
  return ExternalDataNames(stream, size);
}

}  // namespace

absl::StatusOr<ModelManifest> ReadModelManifest(const fs::path& model) {
  ModelManifest manifest{model.stem().string(), {}};
  auto main = DigestFile(model.filename().string(), model);
  if (!main.ok()) return WithRemedy(main.status(), "give the path of an .onnx file");
  if (main->size == 0) {
    return WithRemedy(absl::InvalidArgumentError(absl::StrCat(model.string(), " is empty")),
                      "export the model again; the file has no bytes");
  }
  auto names = ReadExternalNames(model, main->size);
  if (!names.ok()) {
    return WithRemedy(WithContext(names.status(), model.string()),
                      "check that the download or export was complete; Hone reads ONNX (.onnx)");
  }
  manifest.files.push_back(*std::move(main));
  for (const std::string& name : *names) {
    if (!StaysInFolder(name)) {
      return WithRemedy(absl::InvalidArgumentError(absl::StrCat("external data name '", name,
                                                                "' leaves the folder of ", model.string())),
                        "save the model with its external data beside it, under a plain file name");
    }
    auto file = DigestFile(name, model.parent_path() / name);
    if (!file.ok()) {
      return WithRemedy(WithContext(file.status(), "external data of " + model.string()),
                        "put the file beside the model, as it was exported");
    }
    manifest.files.push_back(*std::move(file));
  }
  return manifest;
}

}  // namespace hone
