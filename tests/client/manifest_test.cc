#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "client/error.h"
#include "client/model_manifest.h"
#include "proto/values/sha256.h"
#include "tests/client/tiny_model.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ManifestTest : public ::testing::Test {
 protected:
  ManifestTest() : folder_(fs::path(::testing::TempDir()) / "hone_manifest_test") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  fs::path Write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  fs::path folder_;
};

TEST_F(ManifestTest, FindsExternalDataBesideTheModel) {
  Write("weights.bin", "0123456789");
  auto manifest = ReadModelManifest(Write("net.onnx", TinyModel("weights.bin")));
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->display_name, "net");
  ASSERT_EQ(manifest->files.size(), 2u);
  EXPECT_EQ(manifest->files[1].name, "weights.bin");
  EXPECT_EQ(manifest->files[1].size, 10u);
  EXPECT_EQ(manifest->files[1].sha256, Sha256Hex("0123456789"));
}

TEST_F(ManifestTest, RefusesNamesThatLeaveTheFolder) {
  for (const char* name : {"../secret", "/etc/passwd", "a/../../b"}) {
    auto manifest = ReadModelManifest(Write("net.onnx", TinyModel(name)));
    EXPECT_EQ(ExitCodeFor(manifest.status()), kExitBadInput) << name;
    EXPECT_THAT(manifest.status().message(), HasSubstr("leaves the folder"));
  }
}

TEST_F(ManifestTest, NamesTheMissingFile) {
  auto manifest = ReadModelManifest(Write("net.onnx", TinyModel("gone.bin")));
  EXPECT_TRUE(absl::IsNotFound(manifest.status()));
  EXPECT_THAT(manifest.status().message(), HasSubstr("gone.bin"));
}

TEST_F(ManifestTest, RefusesDamagedModels) {
  const std::string whole = TinyModel("");
  for (size_t size = 1; size < whole.size(); ++size) {
    auto manifest = ReadModelManifest(Write("cut.onnx", whole.substr(0, size)));
    EXPECT_TRUE(manifest.ok() || ExitCodeFor(manifest.status()) == kExitBadInput) << size;
  }
  EXPECT_FALSE(ReadModelManifest(Write("cut.onnx", whole.substr(0, whole.size() - 1))).ok());
  EXPECT_FALSE(ReadModelManifest(Write("text.onnx", "not a model at all")).ok());
  EXPECT_FALSE(ReadModelManifest(Write("empty.onnx", "")).ok());
  EXPECT_TRUE(absl::IsNotFound(ReadModelManifest(folder_ / "nowhere.onnx").status()));
}

TEST_F(ManifestTest, AnInitializerThatClaimsTenGigabytesIsDamage) {
  const std::string header =
      "\x3a\x10\x2a\x0e\x4a\x80\xc8\xaf\xa0\x25";  // graph, initializer, raw_data of 10e9 bytes
  auto manifest = ReadModelManifest(Write("huge.onnx", header + "12345678"));
  EXPECT_EQ(ExitCodeFor(manifest.status()), kExitBadInput);
}

TEST_F(ManifestTest, EndlessNestingIsDamage) {
  std::string nested;
  for (int i = 0; i < 200; ++i) {  // graph > node > attribute > graph > ...
    for (const char* tag : {"\x32", "\x2a", "\x0a"}) {
      std::string size;
      for (size_t n = nested.size();; n >>= 7) {
        size += static_cast<char>((n & 127) | (n > 127 ? 128 : 0));
        if (n <= 127) break;
      }
      nested = tag + size + nested;
    }
  }
  auto manifest = ReadModelManifest(Write("deep.onnx", std::string("\x3a\xff\xff\x03", 4) + nested));
  EXPECT_EQ(ExitCodeFor(manifest.status()), kExitBadInput);
}

}  // namespace
}  // namespace hone
