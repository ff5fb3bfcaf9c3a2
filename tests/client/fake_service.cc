// Stands in for both programs that `hone up` starts, told apart by the name it is called by:
//   hone-server --data-dir D --listen H:P --http H:P   the fake server, with the files a real one writes
//   hone-worker ...                                    only waits to be stopped
// A file D/die makes the server end at once, complaining.
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>

#include "client/json.h"
#include "tests/client/fake_server.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

int Serve(const fs::path& data, const std::string& listen) {
  if (fs::exists(data / "die")) {
    std::cerr << "boom: no luck today" << std::endl;
    return 1;
  }
  FakeServer server("secret", listen);
  if (!server.listening()) return 1;
  server.state().workers.emplace_back().set_state("idle");
  fs::create_directories(data / "tls");
  std::ofstream(data / "tls/cert.pem") << server.certificate().certificate_pem;
  std::ofstream(data / "admin.token") << "secret\n";
  std::ofstream(data / "enrol.token") << "enrol\n";
  const Json endpoint = {
      {"grpc", server.address()}, {"http", "127.0.0.1:9"}, {"pid", getpid()}, {"cert", "tls/cert.pem"}};
  std::ofstream(data / "endpoint.json.part") << endpoint.dump();
  fs::rename(data / "endpoint.json.part", data / "endpoint.json");
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  int signal_number;
  sigwait(&stop, &signal_number);
  return 0;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  const std::string name = std::filesystem::path(argv[0]).filename();
  if (name != "hone-server") {
    pause();
    return 0;
  }
  sigprocmask(SIG_BLOCK, &stop, nullptr);
  return hone::Serve(argv[2], argv[4]);
}
