#include "worker/blob_cache.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/worker/test_objects.h"

namespace hone {
namespace {

class BlobCacheTest : public testing::Test {
 protected:
  BlobCache Make(uint64_t limit = 1 << 20) {
    return BlobCache(folder_.path(), limit,
                     [this](const BlobId&, uint64_t offset, const BlobCache::Sink& sink) {
                       ++fetches_;
                       // Gives up to piece_ bytes, then breaks off.
                       const std::string rest = source_.substr(std::min<size_t>(offset, source_.size()));
                       if (absl::Status status = sink(rest.substr(0, piece_)); !status.ok()) return status;
                       return rest.size() <= piece_ ? absl::OkStatus() : absl::UnavailableError("cut");
                     });
  }
  std::string Read(const absl::StatusOr<FileDescriptor>& file) {
    if (!file.ok()) return std::string(file.status().message());
    std::string bytes(100, 0);
    bytes.resize(pread(file->get(), bytes.data(), bytes.size(), 0));
    return bytes;
  }
  TestFolder folder_;
  std::string source_ = "0123456789";
  size_t piece_ = 1000;
  int fetches_ = 0;
};

TEST_F(BlobCacheTest, FetchesOnce) {
  BlobCache cache = Make();
  EXPECT_EQ(Read(cache.Open(BlobIdOf(source_))), source_);
  EXPECT_EQ(Read(cache.Open(BlobIdOf(source_))), source_);
  EXPECT_EQ(fetches_, 1);
  const absl::StatusOr<FileDescriptor> file = cache.Open(BlobIdOf(source_));
  EXPECT_LT(write(file->get(), "x", 1), 0) << "the memfd must be sealed";
}

TEST_F(BlobCacheTest, CutDownloadsGoOnWhileTheyProgress) {
  piece_ = 3;
  BlobCache cache = Make();
  EXPECT_EQ(Read(cache.Open(BlobIdOf(source_))), source_);
  EXPECT_EQ(fetches_, 4);
  piece_ = 0;
  source_ = "other";
  EXPECT_EQ(cache.Open(BlobIdOf(source_)).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(BlobCacheTest, WrongBytesAreDataLoss) {
  BlobCache cache = Make();
  BlobId wrong = BlobIdOf("not the source");
  wrong.size = source_.size();
  EXPECT_EQ(cache.Open(wrong).status().code(), absl::StatusCode::kDataLoss);
  BlobId short_size = BlobIdOf(source_);
  short_size.size = 4;
  EXPECT_EQ(cache.Open(short_size).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(cache.Open({"../../etc/passwd", 1}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(BlobCacheTest, CorruptedFileIsFetchedAgain) {
  BlobCache cache = Make();
  const BlobId blob = BlobIdOf(source_);
  ASSERT_TRUE(cache.Open(blob).ok());
  std::ofstream(folder_.path() + "/" + blob.sha256) << "0123456780";
  EXPECT_EQ(Read(cache.Open(blob)), source_);
  EXPECT_EQ(fetches_, 2);
}

TEST_F(BlobCacheTest, StaysWithinItsLimit) {
  BlobCache cache = Make(25);
  for (char c : {'a', 'b', 'c', 'd'}) {
    source_ = std::string(10, c);
    EXPECT_EQ(Read(cache.Open(BlobIdOf(source_))), source_);
  }
  uint64_t total = 0;
  for (const auto& item : std::filesystem::directory_iterator(folder_.path())) total += item.file_size();
  EXPECT_LE(total, 25u);
  EXPECT_GE(total, 10u);
}

}  // namespace
}  // namespace hone
