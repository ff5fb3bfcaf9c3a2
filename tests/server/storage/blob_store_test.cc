#include "server/storage/blob_store.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "proto/values/sha256.h"
#include "server/storage/durable_file.h"
#include "tests/server/temporary_folder.h"

namespace hone {
namespace {

class BlobStoreTest : public testing::Test {
 protected:
  BlobStoreTest()
      : blobs_(*BlobStore::Open({.directory = folder_.path() + "/blobs", .max_blob_bytes = 1000})) {}

  static BlobId Id(const std::string& content) { return {Sha256Hex(content), content.size()}; }
  std::string Read(const std::string& sha256) {
    auto file = blobs_->OpenBlob(sha256);
    if (!file.ok()) return file.status().ToString();
    std::string content(2000, '\0');
    content.resize(static_cast<size_t>(read(file->get(), content.data(), content.size())));
    return content;
  }
  static FileDescriptor Memory(const std::string& content) {
    FileDescriptor file(memfd_create("test", MFD_CLOEXEC));
    EXPECT_TRUE(WriteAll(file.get(), content).ok());
    return file;
  }

  TemporaryFolder folder_;
  std::unique_ptr<BlobStore> blobs_;
};

TEST_F(BlobStoreTest, UploadsInPiecesAcrossTurns) {
  const BlobId id = Id("hello world");
  {
    auto upload = *blobs_->BeginUpload(id, 0);
    ASSERT_TRUE(upload->Append("hello ").ok());
    EXPECT_FALSE(upload->Finish()->complete);
  }
  EXPECT_EQ(blobs_->Query(id.sha256)->committed_size, 6u);
  EXPECT_TRUE(absl::IsNotFound(blobs_->OpenBlob(id.sha256).status()));
  EXPECT_TRUE(absl::IsOutOfRange(blobs_->BeginUpload(id, 5).status()));
  auto upload = *blobs_->BeginUpload(id, 6);
  ASSERT_TRUE(upload->Append("world").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(upload->Append("!")));
  EXPECT_TRUE(upload->Finish()->complete);
  EXPECT_EQ(Read(id.sha256), "hello world");
  EXPECT_TRUE(absl::IsAlreadyExists(blobs_->BeginUpload(id, 0).status()));
}

TEST_F(BlobStoreTest, AnEmptyBlobIsABlob) {
  EXPECT_TRUE((*blobs_->BeginUpload(Id(""), 0))->Finish()->complete);
  EXPECT_EQ(Read(Sha256Hex("")), "");
}

TEST_F(BlobStoreTest, WrongBytesAreThrownAway) {
  const BlobId id = Id("right");
  auto upload = *blobs_->BeginUpload(id, 0);
  ASSERT_TRUE(upload->Append("wrong").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(upload->Finish().status()));
  EXPECT_EQ(blobs_->Query(id.sha256)->committed_size, 0u);
}

TEST_F(BlobStoreTest, ALaterUploadTakesOver) {
  const BlobId id = Id("hello world");
  auto stale = *blobs_->BeginUpload(id, 0);
  ASSERT_TRUE(stale->Append("hello").ok());
  auto next = *blobs_->BeginUpload(id, 5);
  EXPECT_TRUE(absl::IsAborted(stale->Append(" world")));
  stale.reset();
  ASSERT_TRUE(next->Append(" world").ok());
  EXPECT_TRUE(next->Finish()->complete);
}

// A caller that was cut off at the very end asks again while the server is still at its first call.
TEST_F(BlobStoreTest, TwoTurnsMayEndAtOnce) {
  const BlobId id = Id("hello");
  auto first = *blobs_->BeginUpload(id, 0);
  ASSERT_TRUE(first->Append("hello").ok());
  std::unique_ptr<BlobStore::Upload> second;
  const auto state = first->Finish([&] {
    second = *blobs_->BeginUpload(id, 5);
    return absl::OkStatus();
  });
  ASSERT_TRUE(state.ok()) << state.status();
  const auto again = second->Finish();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->complete);
  EXPECT_EQ(Read(id.sha256), "hello");
}

TEST_F(BlobStoreTest, OnlyDigestsBecomePaths) {
  for (const char* name : {"", "../../etc/passwd", "ABC", "/etc/passwd"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(blobs_->Query(name).status())) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(blobs_->OpenBlob(name).status())) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(blobs_->BeginUpload({name, 1}, 0).status())) << name;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(blobs_->BeginUpload({Sha256Hex("x"), 1001}, 0).status()));
}

TEST_F(BlobStoreTest, ImportsWhatItIsTold) {
  const FileDescriptor file = Memory("firstsecond");
  ASSERT_TRUE(blobs_->Import({Id("first"), Id("second")}, file.get()).ok());
  ASSERT_TRUE(blobs_->Import({Id("first")}, file.get()).ok());
  EXPECT_EQ(Read(Sha256Hex("second")), "second");
  EXPECT_TRUE(absl::IsInvalidArgument(blobs_->Import({Id("third")}, file.get())));
  EXPECT_TRUE(absl::IsInvalidArgument(blobs_->Import({{Sha256Hex("first!"), 3}}, file.get())));
  // Its digest alone gets nobody a content that is there.
  EXPECT_TRUE(absl::IsInvalidArgument(blobs_->Import({Id("second")}, file.get())));
  EXPECT_TRUE(absl::IsInvalidArgument(blobs_->Import({Id("first"), {Sha256Hex("second"), 999}}, file.get())));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() + "/blobs/parts"));
}

TEST_F(BlobStoreTest, SweepsWhatNobodyNeedsOrUses) {
  const FileDescriptor file = Memory("used againkeptold");
  ASSERT_TRUE(blobs_->Import({Id("used again"), Id("kept"), Id("old")}, file.get()).ok());
  auto upload = *blobs_->BeginUpload(Id("under way"), 0);
  ASSERT_TRUE(upload->Append("under").ok());
  {
    ASSERT_TRUE((*blobs_->BeginUpload(Id("forgotten"), 0))->Append("for").ok());
  }
  EXPECT_EQ(blobs_->Sweep({.before = absl::Now() - absl::Hours(1)})->removed, 0);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
    if (entry.is_regular_file()) {
      std::filesystem::last_write_time(entry, entry.last_write_time() - std::chrono::hours(2));
    }
  }
  ASSERT_TRUE(blobs_->Import({Id("used again")}, file.get()).ok());
  const BlobRetention retention{.referenced = {Sha256Hex("kept")}, .before = absl::Now() - absl::Hours(1)};
  const SweptBlobs swept = *blobs_->Sweep(retention);
  EXPECT_EQ(swept.removed, 2);
  EXPECT_EQ(swept.removed_bytes, 6u);
  EXPECT_EQ(Read(Sha256Hex("kept")), "kept");
  EXPECT_EQ(Read(Sha256Hex("used again")), "used again");
  EXPECT_FALSE(blobs_->Query(Sha256Hex("old"))->complete);
  EXPECT_EQ(blobs_->Query(Sha256Hex("forgotten"))->committed_size, 0u);
  ASSERT_TRUE(upload->Append(" way").ok());
  EXPECT_TRUE(upload->Finish()->complete);
}

TEST_F(BlobStoreTest, DisposableBlobsGoSooner) {
  const FileDescriptor file = Memory("objectuploadboth");
  ASSERT_TRUE(blobs_->Import({Id("object"), Id("upload"), Id("both")}, file.get()).ok());
  const absl::Time later = absl::Now() + absl::Seconds(1);
  const BlobRetention retention{.referenced = {Sha256Hex("both")},
                                .disposable = {Sha256Hex("object"), Sha256Hex("both")},
                                .before = absl::Now() - absl::Hours(1),
                                .disposable_before = later};
  EXPECT_EQ(blobs_->Sweep(retention)->removed, 1);
  EXPECT_FALSE(blobs_->Query(Sha256Hex("object"))->complete);
  EXPECT_EQ(Read(Sha256Hex("upload")), "upload");
  EXPECT_EQ(Read(Sha256Hex("both")), "both");
}

TEST_F(BlobStoreTest, AKilledSweepLeavesTheRestToTheNext) {
  constexpr int kBlobs = 120;
  const auto content = [](int i) { return absl::StrCat("blob ", i); };
  BlobRetention retention{.before = absl::Now() + absl::Hours(1)};
  for (int i = 0; i < kBlobs; ++i) {
    const FileDescriptor file = Memory(content(i));
    ASSERT_TRUE(blobs_->Import({Id(content(i))}, file.get()).ok());
    if (i % 4 == 0) retention.referenced.insert(Sha256Hex(content(i)));
  }
  const auto left = [&] {
    int count = 0;
    for (int i = 0; i < kBlobs; ++i) count += blobs_->OpenBlob(Sha256Hex(content(i))).ok();
    return count;
  };
  const pid_t child = fork();
  if (child == 0) {
    (void)blobs_->Sweep(retention);
    pause();
  }
  while (left() == kBlobs) sched_yield();
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  ASSERT_TRUE(blobs_->Sweep(retention).ok());
  EXPECT_EQ(left(), kBlobs / 4);
  for (int i = 0; i < kBlobs; i += 4) EXPECT_EQ(Read(Sha256Hex(content(i))), content(i));
}

TEST(DurableFileTest, ReplacesWhole) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/a/b/file";
  ASSERT_TRUE(MakeDirectories(folder.path() + "/a/b").ok());
  ASSERT_TRUE(ReplaceFile(path, "one", 0600).ok());
  ASSERT_TRUE(ReplaceFile(path, "two", 0600).ok());
  EXPECT_EQ(*ReadFile(path), "two");
  EXPECT_TRUE(absl::IsNotFound(ReadFile(path + "x").status()));
}

}  // namespace
}  // namespace hone
