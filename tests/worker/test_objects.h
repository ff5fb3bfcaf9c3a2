#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "proto/values/sha256.h"
#include "worker/lease.h"
#include "worker/result_store.h"

namespace hone {

// Bytes of an object of tests/worker/CMakeLists.txt ("good").
inline std::string TestObject(const std::string& name) {
  absl::StatusOr<std::string> bytes = ReadWholeFile(std::string(HONE_TEST_OBJECTS) + "/" + name + ".so");
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.value_or("");
}

inline BlobId BlobIdOf(const std::string& bytes) { return {Sha256Hex(bytes), bytes.size()}; }

// A fresh folder, removed at the end.
class TestFolder {
 public:
  TestFolder() {
    std::string pattern = testing::TempDir() + "/hone_worker_XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TestFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace hone
