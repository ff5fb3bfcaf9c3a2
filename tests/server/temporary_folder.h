#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace hone {

// A folder under /tmp that goes with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    char path[] = "/tmp/hone-server-test-XXXXXX";
    path_ = mkdtemp(path);
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
