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
      : raw_(pair.second.get()), server_(std::move(pair.first)), child_(std::move(pair.second)) {}

  absl::StatusOr<JobFrame> Read(JobLink& link) { return link.ReadFrame(absl::Now() + absl::Seconds(10)); }

  const int raw_;  // the child's socket
  JobLink server_, child_;
};

TEST_F(JobLinkTest, CarriesMessagesAndFilesInOrder) {
  for (int round = 0; round < 20; ++round) {
    v1::JobMessage plain;
    plain.mutable_progress()->set_phase(absl::StrCat("phase ", round));
    child_.Send(plain);
    v1::JobMessage module;
    std::vector<FileDescriptor> files;
    for (int i = 0; i <= round; ++i) {
      module.mutable_module()->add_files()->set_name("f");
      files.push_back(Memory(absl::StrCat(round, ":", i)));
    }
    child_.Send(module, std::move(files));
  }
  ASSERT_TRUE(child_.Flush().ok());
  for (int round = 0; round < 20; ++round) {
    auto plain = Read(server_);
    ASSERT_TRUE(plain.ok()) << plain.status();
    EXPECT_EQ(plain->message.progress().phase(), absl::StrCat("phase ", round));
    auto module = Read(server_);
    ASSERT_TRUE(module.ok()) << module.status();
    ASSERT_EQ(module->files.size(), static_cast<size_t>(round + 1));
    for (int i = 0; i <= round; ++i) EXPECT_EQ(Content(module->files[i]), absl::StrCat(round, ":", i));
  }
}

TEST_F(JobLinkTest, TwoEndsThatBothSendDoNotDeadlock) {
  v1::JobMessage big;
  big.mutable_progress()->set_phase(std::string(5 << 20, 'x'));
  server_.Send(big);
  child_.Send(big);
  auto exchange = [&](JobLink& link) {
    EXPECT_EQ(Read(link)->message.progress().phase().size(), size_t{5} << 20);
    while (link.wants_write()) ASSERT_TRUE(link.Flush().ok());
  };
  std::thread child([&] { exchange(child_); });
  exchange(server_);
  child.join();
}

TEST_F(JobLinkTest, DistinctObjectsAreNamedOnce) {
  v1::ProposeBatch batch;
  for (const char* name : {"a", "b", "a"}) batch.add_trials()->mutable_object()->set_sha256(name);
  batch.add_trials();  // ended: no object
  batch.mutable_lease()->mutable_incumbent()->mutable_object()->set_sha256("b");
  batch.mutable_lease()->mutable_oracle_object()->set_sha256("c");
  std::string order;
  for (const v1::BlobRef& blob : DistinctObjects(batch)) order += blob.sha256();
  EXPECT_EQ(order, "abc");
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
  message.mutable_module()->add_files()->set_name("f");
  child_.Send(message);  // without its descriptor
  ASSERT_TRUE(child_.Flush().ok());
  EXPECT_TRUE(absl::IsInvalidArgument(Read(server_).status()));
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
