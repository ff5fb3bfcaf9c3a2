#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace hone {

// A folder that goes with the test, under `parent` or, where that cannot be written, under /tmp.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& parent = "/tmp")
      : path_((access(parent.c_str(), W_OK) == 0 ? parent : "/tmp") + "/hone-server-test-XXXXXX") {
    mkdtemp(path_.data());
  }
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace hone
