#include "client/local_service.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/error.h"
#include "client/json.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kPoll = absl::Milliseconds(50);
constexpr absl::Duration kGrace = absl::Seconds(10);  // between SIGTERM and SIGKILL
constexpr size_t kLogTail = 5;                        // lines of a log shown when its program dies
constexpr char kAnyPort[] = "127.0.0.1:0";

ProcessId ProcessFromJson(const Json& json) {
  return {static_cast<int>(JsonNumber(json, "pid")), static_cast<uint64_t>(JsonNumber(json, "start_ticks"))};
}

std::string LastLines(const std::string& path) {
  std::ifstream in(path);
  std::deque<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(line);
    if (lines.size() > kLogTail) lines.pop_front();
  }
  return absl::StrJoin(lines, "\n    ");
}

}  // namespace

LocalService::LocalService(const ClientConfig& config, const Console& console)
    : home_(config.home), programs_(config.programs), console_(console) {}

absl::StatusOr<int> LocalService::Lock() const {
  std::error_code error;
  fs::create_directories(PathOf("logs"), error);
  if (!error) fs::permissions(home_, fs::perms::owner_all, error);
  const int fd = error ? -1 : open(PathOf("up.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return WithRemedy(absl::PermissionDeniedError(absl::StrCat("cannot write in ", home_, ": ",
                                                               error ? error.message() : strerror(errno))),
                      "set HONE_HOME to a folder of your own");
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    console_.Note("waiting for another 'hone up' or 'hone down' to finish");
    while (flock(fd, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  return fd;
}

absl::Status LocalService::FindProcesses() {
  server_ = worker_ = {};
  grpc_ = http_ = kAnyPort;
  worker_address_.clear();
  auto json = ReadJsonFile(PathOf("processes.json"));
  if (absl::IsNotFound(json.status())) return absl::OkStatus();
  if (!json.ok()) return WithRemedy(json.status(), absl::StrCat("remove ", PathOf("processes.json")));
  server_ = ProcessFromJson(JsonMember(*json, "server"));
  worker_ = ProcessFromJson(JsonMember(*json, "worker"));
  worker_address_ = JsonText(JsonMember(*json, "worker"), "grpc");
  if (const std::string grpc = JsonText(JsonMember(*json, "server"), "grpc"); !grpc.empty()) grpc_ = grpc;
  if (const std::string http = JsonText(JsonMember(*json, "server"), "http"); !http.empty()) http_ = http;
  return absl::OkStatus();
}

absl::Status LocalService::SaveProcesses() const {
  const Json json = {
      {"server",
       {{"pid", server_.pid}, {"start_ticks", server_.start_ticks}, {"grpc", grpc_}, {"http", http_}}},
      {"worker", {{"pid", worker_.pid}, {"start_ticks", worker_.start_ticks}, {"grpc", worker_address_}}}};
  const std::string path = PathOf("processes.json");
  std::ofstream out(path + ".part");
  out << json.dump(2) << "\n";
  out.close();
  std::error_code error;
  fs::rename(path + ".part", path, error);
  if (!out || error) return absl::ResourceExhaustedError("cannot write " + path);
  return absl::OkStatus();
}

absl::StatusOr<LocalState> LocalService::ReadEndpoint() const {
  auto json = ReadJsonFile(PathOf("server/endpoint.json"));
  if (!json.ok()) return json.status();
  LocalState state;
  state.endpoint.address = JsonText(*json, "grpc");
  state.http = JsonText(*json, "http");
  state.token_file = PathOf("server/admin.token");
  state.certificate = PathOf("server/tls/cert.pem");
  state.server = server_;
  state.worker = worker_;
  auto token = ReadTextFile(state.token_file);
  if (!token.ok()) return token.status();
  state.endpoint.token = std::string(absl::StripAsciiWhitespace(*token));
  auto pem = ReadTextFile(state.certificate);
  if (!pem.ok()) return pem.status();
  state.endpoint.ca_pem = *pem;
  return state;
}

absl::StatusOr<std::string> LocalService::Program(const std::string& name) const {
  const std::string beside = programs_ + "/" + name;
  if (access(beside.c_str(), X_OK) == 0) return beside;
  return WithRemedy(absl::NotFoundError(absl::StrCat("there is no ", name, " in ", programs_)),
                    "build it (cmake --build --preset release), or name another server with --server");
}

absl::Status LocalService::Died(const std::string& program, const std::string& log) const {
  return WithRemedy(absl::InternalError(absl::StrCat(
                        program, " ended at start; the last lines of its log:\n    ", LastLines(log))),
                    absl::StrCat("the whole log is ", log));
}

absl::StatusOr<LocalState> LocalService::StartServerAt(const std::string& listen, const std::string& http,
                                                       absl::Time deadline) {
  auto program = Program("hone-server");
  if (!program.ok()) return program.status();
  std::error_code error;
  fs::remove(PathOf("server/endpoint.json"), error);
  const std::string log = PathOf("logs/server.log");
  auto process = StartDetached({*program, "--data-dir", PathOf("server"), "--listen", listen, "--http", http,
                                "--backup-dir", PathOf("backups"),
                                "--allow-unsandboxed"},  // its own user's models; the log says what is missing
                               log);
  if (!process.ok()) return process.status();
  server_ = *process;
  absl::Status status = SaveProcesses();
  if (!status.ok()) return status;
  absl::Status last;
  while (absl::Now() < deadline) {
    auto state = ReadEndpoint();
    last = state.status();
    if (state.ok()) {
      auto client = HoneClient::Connect(state->endpoint);
      if (client.ok()) return state;
      last = client.status();
    }
    if (!IsRunning(server_)) return Died("hone-server", log);
    absl::SleepFor(kPoll);
  }
  return WithRemedy(
      absl::DeadlineExceededError(absl::StrCat("hone-server does not answer (", last.message(), ")")),
      absl::StrCat("look into ", log));
}

absl::StatusOr<LocalState> LocalService::StartServer(absl::Time deadline) {
  auto state = StartServerAt(grpc_, http_, deadline);
  // Ended at once: another program may have taken a port meanwhile.
  if (!state.ok() && !IsRunning(server_) && grpc_ != kAnyPort)
    state = StartServerAt(kAnyPort, kAnyPort, deadline);
  if (!state.ok()) return state;
  grpc_ = state->endpoint.address;
  if (!state->http.empty()) http_ = state->http;
  absl::Status status = SaveProcesses();
  if (!status.ok()) return status;
  return state;
}

absl::Status LocalService::StartWorker(const LocalState& state) {
  auto program = Program("hone-worker");
  if (!program.ok()) return program.status();
  auto process =
      StartDetached({*program, "join", "--server", state.endpoint.address, "--enrol-token-file",
                     PathOf("server/enrol.token"), "--ca", state.certificate, "--data-dir", PathOf("worker"),
                     "--allow-unsandboxed"},  // as the server
                    PathOf("logs/worker.log"));
  if (!process.ok()) return process.status();
  worker_ = *process;
  worker_address_ = state.endpoint.address;
  return SaveProcesses();
}

absl::Status LocalService::WaitForWorker(const LocalState& state, absl::Time deadline) {
  const std::string log = PathOf("logs/worker.log");
  auto client = HoneClient::Connect(state.endpoint);
  if (!client.ok()) return client.status();
  while (absl::Now() < deadline) {
    auto workers = (*client)->ListWorkers(100, "");
    if (!workers.ok()) return workers.status();
    for (const v1::Worker& worker : workers->workers()) {
      if (worker.state() != "lost") return absl::OkStatus();
    }
    if (!IsRunning(worker_)) return Died("hone-worker", log);
    absl::SleepFor(kPoll);
  }
  return WithRemedy(absl::DeadlineExceededError("hone-worker has not joined the server"),
                    absl::StrCat("look into ", log));
}

absl::StatusOr<LocalState> LocalService::Up(absl::Duration patience) {
  auto lock = Lock();
  if (!lock.ok()) return lock.status();
  absl::Cleanup unlock = [&] { close(*lock); };
  const absl::Time deadline = absl::Now() + patience;
  absl::Status status = FindProcesses();
  if (!status.ok()) return status;
  bool started = false;
  absl::StatusOr<LocalState> state;
  if (IsRunning(server_)) {
    state = ReadEndpoint();
    if (state.ok()) status = HoneClient::Connect(state->endpoint).status();
    if (!state.ok()) status = state.status();
    if (!status.ok()) {
      return absl::UnavailableError(absl::StrCat("this user's server (process ", server_.pid,
                                                 ") runs but does not answer: ", status.message()));
    }
  } else {
    console_.Note("starting a server and a worker of your own in " + home_);
    state = StartServer(deadline);
    if (!state.ok()) return state.status();
    started = true;
  }
  if (!IsRunning(worker_) || worker_address_ != state->endpoint.address) {
    status = StopProcess(worker_, kGrace);
    if (status.ok()) status = StartWorker(*state);
    if (!status.ok()) return status;
    started = true;
  }
  status = WaitForWorker(*state, deadline);
  if (!status.ok()) return status;
  state->server = server_;
  state->worker = worker_;
  state->started = started;
  return state;
}

absl::StatusOr<Endpoint> LocalService::RunningEndpoint() {
  absl::Status status = FindProcesses();
  if (!status.ok()) return status;
  if (!IsRunning(server_))
    return WithRemedy(absl::NotFoundError("no server of this user runs"), "start one with: hone up");
  auto state = ReadEndpoint();
  if (!state.ok()) return state.status();
  return state->endpoint;
}

absl::StatusOr<bool> LocalService::Down() {
  auto lock = Lock();
  if (!lock.ok()) return lock.status();
  absl::Cleanup unlock = [&] { close(*lock); };
  absl::Status status = FindProcesses();
  if (!status.ok()) return status;
  const bool ran = IsRunning(server_) || IsRunning(worker_);
  for (ProcessId* process : {&worker_, &server_}) {
    status = StopProcess(*process, kGrace);
    if (!status.ok()) return status;
    *process = {};
  }
  worker_address_.clear();
  status = SaveProcesses();
  if (!status.ok()) return status;
  return ran;
}

}  // namespace hone
