#include "server/jobs/job_link.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "proto/values/sha256.h"
#include "server/storage/durable_file.h"

namespace hone {
namespace {

FileDescriptor Memory(const std::string& content) {
  FileDescriptor file(memfd_create("test", MFD_CLOEXEC));
  EXPECT_TRUE(WriteAll(file.get(), content).ok());
  return file;
}

std::string Content(const FileDescriptor& file) {
  char buffer[64];
  return std::string(buffer, static_cast<size_t>(pread(file.get(), buffer, sizeof(buffer), 0)));
}

class JobLinkTest : public testing::Test {
 protected:
  JobLinkTest() : JobLinkTest(*JobLink::MakePair()) {}
  explicit JobLinkTest(std::pair<FileDescriptor, FileDescriptor> pair)
      : server_(std::move(pair.first)), child_(std::move(pair.second), JobLink::End::kChild) {}

  absl::StatusOr<JobFrame> Read(JobLink& link) { return link.ReadFrame(absl::Now() + absl::Seconds(10)); }

  JobLink server_, child_;
};

TEST_F(JobLinkTest, CarriesMessagesAndFilesInOrder) {
  for (int round = 0; round < 20; ++round) {
    v1::JobMessage plain;
    plain.mutable_progress()->set_phase(absl::StrCat("phase ", round));
    server_.Send(plain);
    v1::JobMessage start;
    std::vector<FileDescriptor> files;
    for (int i = 0; i <= round; ++i) {
      start.mutable_start()->add_file_names("f");
      files.push_back(Memory(absl::StrCat(round, ":", i)));
    }
    server_.Send(start, std::move(files));
  }
  ASSERT_TRUE(server_.Flush().ok());
  for (int round = 0; round < 20; ++round) {
    auto plain = Read(child_);
    ASSERT_TRUE(plain.ok()) << plain.status();
    EXPECT_EQ(plain->message.progress().phase(), absl::StrCat("phase ", round));
    auto start = Read(child_);
    ASSERT_TRUE(start.ok()) << start.status();
    ASSERT_EQ(start->files.size(), static_cast<size_t>(round + 1));
    for (int i = 0; i <= round; ++i) EXPECT_EQ(Content(start->files[i]), absl::StrCat(round, ":", i));
  }
}

TEST_F(JobLinkTest, TheServerTakesNoDescriptors) {
  v1::JobMessage message;
  message.mutable_progress()->set_phase("with a file");
  std::vector<FileDescriptor> files;
  files.push_back(Memory("x"));
  child_.Send(message, std::move(files));
  ASSERT_TRUE(child_.Flush().ok());
  const FileDescriptor before(dup(0));
  EXPECT_TRUE(absl::IsInvalidArgument(server_.Receive()));
  EXPECT_EQ(FileDescriptor(dup(0)).get(), before.get() + 1);  // none was opened here
}

// However much the other end sends: the server reads a piece at a time.
TEST_F(JobLinkTest, AFloodIsTakenInPieces) {
  v1::JobMessage message;
  message.mutable_progress()->set_phase(std::string(JobLink::kMaxFrameBytes / 2, 'x'));
  for (int i = 0; i < 20; ++i) child_.Send(message);
  std::thread flood([&] {
    while (child_.wants_write()) ASSERT_TRUE(child_.Flush().ok());
  });
  size_t frames = 0, most = 0;
  for (const absl::Time end = absl::Now() + absl::Seconds(20); frames < 20 && absl::Now() < end;) {
    ASSERT_TRUE(server_.Receive().ok());
    size_t now = 0;
    while ((*server_.Next()).has_value()) ++now;
    frames += now;
    most = std::max(most, now);
  }
  flood.join();
  EXPECT_EQ(frames, 20u);
  EXPECT_EQ(most, 1u);
}

TEST_F(JobLinkTest, TwoEndsThatBothSendDoNotDeadlock) {
  v1::JobMessage big;
  big.mutable_progress()->set_phase(std::string(3 << 20, 'x'));
  server_.Send(big);
  child_.Send(big);
  auto exchange = [&](JobLink& link) {
    EXPECT_EQ(Read(link)->message.progress().phase().size(), size_t{3} << 20);
    while (link.wants_write()) ASSERT_TRUE(link.Flush().ok());
  };
  std::thread child([&] { exchange(child_); });
  exchange(server_);
  child.join();
}

TEST_F(JobLinkTest, DistinctBlobsAreNamedOnce) {
  v1::JobMessage message;
  v1::ProposeBatch& batch = *message.mutable_propose();
  for (const char* name : {"a", "b", "a"}) batch.add_trials()->mutable_object()->set_sha256(name);
  batch.add_trials();  // ended: no object
  batch.mutable_lease()->mutable_incumbent()->mutable_object()->set_sha256("b");
  batch.mutable_lease()->mutable_oracle_object()->set_sha256("c");
  std::string order;
  for (const v1::BlobRef& blob : BlobsOf(message)) order += blob.sha256();
  EXPECT_EQ(order, "abc");
  message.clear_propose();
  for (const char* name : {"d", "e", "d"}) message.mutable_module()->add_files()->mutable_blob()->set_sha256(name);
  EXPECT_EQ(BlobsOf(message).size(), 2u);
}

TEST_F(JobLinkTest, RefusesWhatIsNoProtocol) {
  const std::string too_long("\xff\xff\xff\xff", 4), garbage("\x03\x00\x00\x00\xff\xff\xff", 7);
  for (const std::string& bytes : {too_long, garbage}) {
    auto pair = *JobLink::MakePair();
    JobLink link(std::move(pair.first));
    ASSERT_EQ(write(pair.second.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    EXPECT_TRUE(absl::IsInvalidArgument(Read(link).status()));
  }
}

TEST_F(JobLinkTest, AFailureIsNeverOk) {
  v1::JobFailed failed;
  for (int code : {0, -1, 17, 1 << 30}) {
    failed.set_code(code);
    EXPECT_TRUE(absl::IsInternal(FailureOf(failed))) << code;
  }
  failed.set_code(3);
  EXPECT_TRUE(absl::IsInvalidArgument(FailureOf(failed)));
}

TEST_F(JobLinkTest, RefusesMissingFiles) {
  v1::JobMessage message;
  message.mutable_start()->add_file_names("f");
  server_.Send(message);  // without its descriptor
  ASSERT_TRUE(server_.Flush().ok());
  EXPECT_TRUE(absl::IsInvalidArgument(Read(child_).status()));
}

TEST_F(JobLinkTest, TellsWhenTheOtherEndIsGoneAfterItsLastWords) {
  v1::JobMessage message;
  message.mutable_failed()->set_message("last words");
  child_.Send(message);
  ASSERT_TRUE(child_.Flush().ok());
  child_.Close();
  EXPECT_EQ(Read(server_)->message.failed().message(), "last words");
  EXPECT_TRUE(absl::IsUnavailable(Read(server_).status()));
}

}  // namespace
}  // namespace hone
