// Large uploads at once by hone's own client, through a line that is cut again and again, to a server that is
// killed in the middle. See README, "Reliability".
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/hone_client.h"
#include "gtest/gtest.h"
#include "proto/values/sha256.h"
#include "tests/reliability/process_usage.h"
#include "tests/reliability/tcp_relay.h"
#include "tests/server/server_process.h"

namespace hone {
namespace {

struct Options {
  int files = 4, kills = 3;
  uint64_t mib = 16, cut_every_mib = 8;
  unsigned seed = 1;
  std::string folder = "/tmp";
};

constexpr char kUsage[] =
    "large_uploads [--files N] [--mib N] [--cut-every-mib N] [--kills N] [--seed N] [--folder F]\n"
    "  --mib            size of each file (default 16; the real test: 2048)\n"
    "  --cut-every-mib  connections are cut when they have carried so much (default 8; the real test: 200)\n"
    "  --folder         holds the files twice (default /tmp)\n";

constexpr double kMostTwice = 0.05;                // of all bytes
constexpr uint64_t kMostTwicePerBreak = 10 << 20;  // which is as much, where every 200 MiB one is cut
constexpr uint64_t kMostGrowth = uint64_t{256} << 20;
constexpr absl::Duration kLook = absl::Milliseconds(20);

class LargeUploads {
 public:
  explicit LargeUploads(const Options& options)
      : options_(options),
        folder_(options.folder),
        server_(folder_.path() + "/data", {"--listen", absl::StrCat("127.0.0.1:", FreePort())}) {}

  int Run() {
    std::vector<ModelManifest> models;
    for (int i = 0; i < options_.files; ++i) models.push_back(MakeModel(i));
    const absl::Time begin = absl::Now();
    server_.Start();
    if (!server_.IsRunning()) return 1;
    TcpRelay relay(server_.Grpc(), options_.cut_every_mib << 20);
    const Endpoint endpoint{relay.address(), server_.Read("tls/cert.pem"), server_.AdminToken()};
    std::vector<std::thread> threads;
    for (const ModelManifest& model : models) threads.emplace_back([&] { Upload(endpoint, model); });
    Disturb(relay);
    for (std::thread& thread : threads) thread.join();
    carried_ = relay.carried(), cuts_ = relay.cuts();
    seconds_ = absl::ToDoubleSeconds(absl::Now() - begin);
    Compare(models);
    return Report();
  }

 private:
  // Of this moment: the server keeps it over its lives.
  static int FreePort() {
    const FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in name{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(name);
    if (bind(socket.get(), reinterpret_cast<sockaddr*>(&name), size) != 0) return 0;
    getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size);
    return ntohs(name.sin_port);
  }

  ModelManifest MakeModel(int number) const {
    const std::string name = absl::StrCat("model", number, ".onnx");
    const std::string path = absl::StrCat(folder_.path(), "/", name);
    std::ofstream out(path, std::ios::binary);
    std::mt19937_64 random(uint64_t{options_.seed} << 32 | static_cast<unsigned>(number));
    std::vector<uint64_t> piece((1 << 20) / sizeof(uint64_t));
    Sha256 digest;
    for (uint64_t i = 0; i < options_.mib; ++i) {
      for (uint64_t& word : piece) word = random();
      const std::string_view bytes(reinterpret_cast<const char*>(piece.data()), 1 << 20);
      out << bytes;
      digest.Update(bytes);
    }
    return {name, {{"model.onnx", path, digest.FinishHex(), options_.mib << 20}}};
  }

  void Upload(const Endpoint& endpoint, const ModelManifest& model) {
    const auto client = HoneClient::Connect(endpoint);
    const absl::Status status = client.ok() ? (*client)->UploadModel(model).status() : client.status();
    if (!status.ok()) std::printf("FAILED: %s: %s\n", model.display_name.c_str(), status.ToString().c_str());
    failed_ += !status.ok();
    ++done_;
  }

  // Kills the server when equal shares of all bytes have passed, and looks at its memory all the time.
  void Disturb(const TcpRelay& relay) {
    uint64_t at_begin = ResidentBytes(server_.pid());
    while (done_ < options_.files) {
      absl::SleepFor(kLook);  // looks at another process
      growth_ = std::max(growth_, static_cast<int64_t>(ResidentBytes(server_.pid()) - at_begin));
      if (kills_ == options_.kills || relay.carried() * static_cast<uint64_t>(options_.kills + 1) <
                                          Total() * static_cast<uint64_t>(kills_ + 1))
        continue;
      ++kills_;
      server_.Stop(SIGKILL);
      server_.Start();
      at_begin = ResidentBytes(server_.pid());
    }
  }

  void Compare(const std::vector<ModelManifest>& models) {
    Caller caller(server_.Channel(server_.AdminToken()));
    for (const ModelManifest& model : models) {
      const grpc::Status status = caller.CheckBlob(model.files[0].sha256, 600);
      if (status.ok()) continue;
      ++failed_;
      std::printf("FAILED: %s: %s\n", model.display_name.c_str(), status.error_message().c_str());
    }
  }

  uint64_t Total() const { return static_cast<uint64_t>(options_.files) * options_.mib << 20; }

  int Report() const {
    const uint64_t twice = carried_ - std::min(carried_, Total());
    const double share = static_cast<double>(twice) / static_cast<double>(Total());
    const uint64_t breaks = static_cast<uint64_t>(cuts_ + options_.files * kills_);
    std::printf(
        "seed %u: %d uploads of %llu MiB in %.0f s, %d connections cut, %d server kills: %d failed; %.2f %% "
        "sent twice "
        "(TLS included), %.2f MiB per break; server memory %+lld MiB\n",
        options_.seed, options_.files, static_cast<unsigned long long>(options_.mib), seconds_, cuts_, kills_,
        failed_.load(), 100 * share,
        static_cast<double>(twice) / (1 << 20) / static_cast<double>(std::max<uint64_t>(breaks, 1)),
        static_cast<long long>(growth_ >> 20));
    const bool passed = failed_ == 0 && kills_ == options_.kills && cuts_ > 0 &&
                        (share <= kMostTwice || twice <= breaks * kMostTwicePerBreak) &&
                        growth_ <= static_cast<int64_t>(kMostGrowth);
    std::printf("%s\n", passed ? "passed" : "FAILED");
    return passed ? 0 : 1;
  }

  const Options options_;
  TemporaryFolder folder_;
  ServerProcess server_;
  std::atomic<int> done_ = 0, failed_ = 0;
  int kills_ = 0, cuts_ = 0;
  uint64_t carried_ = 0;
  int64_t growth_ = 0;
  double seconds_ = 0;
};

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);  // the server's test helpers use its expectations
  hone::Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--files" && atoi(value) > 0)
      options.files = atoi(value);
    else if (flag == "--mib" && atoi(value) > 0)
      options.mib = static_cast<uint64_t>(atoi(value));
    else if (flag == "--cut-every-mib" && atoi(value) > 0)
      options.cut_every_mib = static_cast<uint64_t>(atoi(value));
    else if (flag == "--kills")
      options.kills = atoi(value);
    else if (flag == "--seed")
      options.seed = static_cast<unsigned>(atoi(value));
    else if (flag == "--folder")
      options.folder = value;
    else
      return std::fputs(hone::kUsage, stderr), 2;
  }
  return hone::LargeUploads(options).Run();
}
