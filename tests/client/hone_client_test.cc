#include "client/hone_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "client/error.h"
#include "client/pinned_channel.h"
#include "proto/values/sha256.h"
#include "tests/client/fake_server.h"
#include "tests/client/tiny_model.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class HoneClientTest : public ::testing::Test {
 protected:
  HoneClientTest() : folder_(fs::path(::testing::TempDir()) / "hone_client_test") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ModelManifest BigModel() {  // 3.5 MB: several chunks
    std::string bytes;
    for (int i = 0; bytes.size() < 3'500'000; ++i) bytes += std::to_string(i);
    std::ofstream(folder_ / "big.onnx", std::ios::binary) << bytes;
    return {"big", {{"big.onnx", folder_ / "big.onnx", Sha256Hex(bytes), bytes.size()}}};
  }
  v1::Module AddModule(FakeState& state, const std::string& name, const std::string& bytes) {
    v1::Module module;
    module.set_name("modules/x");
    v1::NamedBlob& file = *module.add_files();
    file.set_name(name);
    file.mutable_blob()->set_sha256(Sha256Hex(bytes));
    file.mutable_blob()->set_size(bytes.size());
    state.blobs[file.blob().sha256()] = bytes;
    return module;
  }

  FakeServer server_;
  fs::path folder_;
};

TEST_F(HoneClientTest, ConnectsThroughThePinnedCertificate) {
  auto client = HoneClient::Connect(server_.endpoint());
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ((*client)->GetServerInfo()->version(), "9.9.9");
}

// Its clean-up would free what threads of gRPC free at the same moment (proto/openssl_exit.cc).
TEST(ProcessExitTest, OpenSslDoesNotCleanUp) {
  const auto leave = [] {
    NewRequestId();   // uses it
    OPENSSL_atexit([] { _exit(7); });
    exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "");
}

TEST_F(HoneClientTest, MissingTokenIsRefusedHere) {
  Endpoint endpoint = server_.endpoint();
  endpoint.token = "";
  const absl::Status status = HoneClient::Connect(endpoint).status();
  EXPECT_EQ(ExitCodeFor(status), kExitDenied);
  EXPECT_THAT(RemedyOf(status), HasSubstr("HONE_TOKEN"));
}

TEST_F(HoneClientTest, WrongTokenIsRefusedByTheServer) {
  Endpoint endpoint = server_.endpoint();
  endpoint.token = "guess";
  const absl::Status status = HoneClient::Connect(endpoint).status();
  EXPECT_EQ(ExitCodeFor(status), kExitDenied);
  endpoint.token = "two\nlines";
  EXPECT_EQ(ExitCodeFor(HoneClient::Connect(endpoint).status()), kExitBadInput);
}

TEST_F(HoneClientTest, WrongCertificateIsNeverSpokenTo) {
  Endpoint endpoint = server_.endpoint();
  endpoint.ca_pem = MakeTestCertificate().certificate_pem;
  const absl::Status status = HoneClient::Connect(endpoint).status();
  EXPECT_EQ(ExitCodeFor(status), kExitUnreachable) << status;
  EXPECT_THAT(status.message(), HasSubstr("pinned"));
  EXPECT_THAT(RemedyOf(status), HasSubstr("cert.pem"));
  endpoint.ca_pem = "rubbish";
  EXPECT_EQ(ExitCodeFor(HoneClient::Connect(endpoint).status()), kExitBadInput);
}

TEST(PinnedChannelTest, AHandshakeThatIsCutOffSaysNothingAboutWhoAnswered) {
  for (const char* message : {"Handshake read failed", "tcp handshaker shutdown"}) {
    const absl::Status status = FromGrpc({grpc::StatusCode::UNAVAILABLE, message}, "here:1");
    EXPECT_TRUE(absl::IsUnavailable(status));
    EXPECT_THAT(status.message(), HasSubstr("no server answers at here:1"));
  }
}

TEST_F(HoneClientTest, UnreachableServerSaysWhatToDo) {
  Endpoint endpoint = server_.endpoint();
  endpoint.address = "127.0.0.1:1";
  const absl::Status status = HoneClient::Connect(endpoint).status();
  EXPECT_EQ(ExitCodeFor(status), kExitUnreachable);
  EXPECT_THAT(RemedyOf(status), HasSubstr("hone up"));
}

TEST_F(HoneClientTest, UploadGoesOnWhereTheLineBroke) {
  server_.state().upload_breaks_after = 2'100'000;
  auto client = HoneClient::Connect(server_.endpoint());
  ASSERT_TRUE(client.ok());
  uint64_t last = 0;
  auto model =
      (*client)->UploadModel(BigModel(), [&](const std::string&, uint64_t done, uint64_t) { last = done; });
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(server_.state().resumed_at, 2'100'000u);
  EXPECT_EQ(last, BigModel().files[0].size);
  EXPECT_EQ(server_.state().models[0].main_file(), "big.onnx");
  EXPECT_FALSE(server_.state().models[0].request_id().empty());
}

TEST_F(HoneClientTest, UploadGoesOnHoweverOftenTheLineBreaks) {
  server_.state().upload_breaks_after = 300'000;
  server_.state().upload_breaks = 11;  // more than attempts without progress are made
  auto client = HoneClient::Connect(server_.endpoint(), {.transfer_attempts = 2});
  ASSERT_TRUE(client.ok());
  auto model = (*client)->UploadModel(BigModel());
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(server_.state().resumed_at, 3'300'000u);
}

TEST_F(HoneClientTest, KnownBlobsAreNotSentAgain) {
  auto client = HoneClient::Connect(server_.endpoint());
  ASSERT_TRUE((*client)->UploadModel(BigModel()).ok());
  server_.state().partial.clear();
  ASSERT_TRUE((*client)->UploadModel(BigModel()).ok());
  EXPECT_TRUE(server_.state().partial.empty());
}

TEST_F(HoneClientTest, AFileThatChangedUnderwayIsRefused) {
  ModelManifest manifest = BigModel();
  manifest.files[0].sha256 = Sha256Hex("something else");
  auto client = HoneClient::Connect(server_.endpoint());
  EXPECT_TRUE(absl::IsInvalidArgument((*client)->UploadModel(manifest).status()));
}

TEST_F(HoneClientTest, DownloadChecksEveryDigest) {
  const v1::Module module = AddModule(server_.state(), "net.so", "code");
  auto client = HoneClient::Connect(server_.endpoint());
  ASSERT_TRUE((*client)->DownloadModule(module, folder_ / "out").ok());
  EXPECT_EQ(fs::file_size(folder_ / "out/net.so"), 4u);

  server_.state().corrupt_downloads = true;
  const absl::Status status = (*client)->DownloadModule(module, folder_ / "bad");
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_FALSE(fs::exists(folder_ / "bad/net.so"));
  EXPECT_FALSE(fs::exists(folder_ / "bad/net.so.part"));
}

TEST_F(HoneClientTest, DownloadNeverLeavesTheFolder) {
  auto client = HoneClient::Connect(server_.endpoint());
  for (const char* name : {"../evil", "/evil", "a/b", "..", ""}) {
    const v1::Module module = AddModule(server_.state(), name, "x");
    EXPECT_TRUE(absl::IsInvalidArgument((*client)->DownloadModule(module, folder_ / "out"))) << name;
  }
}

TEST_F(HoneClientTest, InterruptEndsAWatch) {
  auto client = HoneClient::Connect(server_.endpoint());
  std::unique_lock hold(server_.state().mutex);  // the fake cannot answer meanwhile
  std::thread interrupter([&] { (*client)->InterruptWatch(); });
  EXPECT_TRUE(absl::IsCancelled((*client)->WatchJob("jobs/j1", 0, absl::Seconds(20)).status()));
  interrupter.join();
}

}  // namespace
}  // namespace hone
