// Who may call what, through a real hone-server process: every RPC of the .proto files with every kind of
// credential, users and tokens over their lives, and secrets that must be seen nowhere.
#include <openssl/obj_mac.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"
#include "proto/certificates/certificate_request.h"
#include "proto/values/sha256.h"
#include "server/auth/certificate_authority.h"
#include "server/auth/role_table.h"
#include "server/auth/secrets.h"
#include "server/storage/sqlite_connection.h"
#include "tests/server/fake_worker.h"
#include "tests/server/server_process.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using grpc::StatusCode;
using testing::HasSubstr;

constexpr char kOwner[] = "owner";
constexpr char kInfo[] = "/hone.v1.ServerService/GetServerInfo";

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Of every service in the folder of .proto files, in this program or not.
std::set<std::string> PathsOfAllRpcs() {
  std::set<std::string> paths;
  for (const auto& entry : fs::directory_iterator(HONE_PROTO_FOLDER "/hone/v1")) {
    const std::string name = "hone/v1/" + entry.path().filename().string();
    if (ReadFile(entry.path()).find("\nservice ") == std::string::npos) continue;
    const auto* file = google::protobuf::DescriptorPool::generated_pool()->FindFileByName(name);
    if (file == nullptr) {
      ADD_FAILURE() << name << " is not linked into this test";
      continue;
    }
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        paths.insert(
            absl::StrCat("/", file->service(s)->full_name(), "/", file->service(s)->method(m)->name()));
      }
    }
  }
  return paths;
}

struct Credential {
  std::string name;
  std::string secret;
  std::optional<Role> role;  // none: it is good for nothing
  WorkerIdentity worker = {};
  bool removed = false;
};

class IdentityTest : public testing::Test {
 protected:
  IdentityTest() : server_(folder_.path() + "/data") {
    server_.Start();
    admin_ = std::make_unique<Caller>(server_.Channel(server_.AdminToken()));
  }

  grpc::Status MakeUser(const std::string& id, const std::string& role) {
    v1::CreateUserRequest request;
    request.set_name("users/" + id);
    request.set_role(role);
    v1::User user;
    return admin_->admin->CreateUser(Caller::Context().get(), request, &user);
  }
  grpc::Status Change(const std::string& id, std::optional<std::string> role, std::optional<bool> disabled) {
    v1::UpdateUserRequest request;
    request.set_name("users/" + id);
    if (role) request.set_role(*role);
    if (disabled) request.set_disabled(*disabled);
    v1::User user;
    return admin_->admin->UpdateUser(Caller::Context().get(), request, &user);
  }
  v1::CreateTokenResponse MakeToken(const std::string& user, const std::string& role = "",
                                    double lifetime = 0, const std::string& project = "") {
    v1::CreateTokenRequest request;
    if (!project.empty()) request.set_project("projects/" + project);
    request.set_user("users/" + user);
    request.set_role(role);
    request.set_lifetime_seconds(lifetime);
    v1::CreateTokenResponse response;
    const grpc::Status status = admin_->admin->CreateToken(Caller::Context().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::Token Revoke(const std::string& name) {
    v1::RevokeTokenRequest request;
    request.set_name(name);
    v1::Token token;
    EXPECT_TRUE(admin_->admin->RevokeToken(Caller::Context().get(), request, &token).ok());
    return token;
  }
  // A new project, and an admin's token in it.
  std::string MakeProject(const v1::CreateProjectRequest& request) {
    v1::Project project;
    const grpc::Status status = admin_->admin->CreateProject(Caller::Context().get(), request, &project);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return MakeToken(kOwner, "", 0, request.name().substr(request.name().find('/') + 1)).secret();
  }
  v1::Project ProjectSeenBy(Caller& caller, const std::string& name = "") {
    v1::ListProjectsRequest request;
    request.set_project(name);
    v1::ListProjectsResponse response;
    const grpc::Status status = caller.admin->ListProjects(Caller::Context().get(), request, &response);
    EXPECT_TRUE(status.ok() && response.projects_size() > 0) << status.error_message();
    return status.ok() ? response.projects(0) : v1::Project();
  }
  StatusCode CodeOf(const std::string& token, const std::string& path = kInfo) {
    return Call(server_.Channel(token), path).error_code();
  }
  // What the server has written anywhere but into its own two token files and its keys.
  std::string EverythingWritten() const {
    std::string all = ReadFile(folder_.path() + "/data.log");
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path() + "/data")) {
      const fs::path& path = entry.path();
      if (entry.is_regular_file() && path.extension() != ".token" && path.filename() != "key.pem" &&
          path.filename() != "workers.pem")
        all += ReadFile(path);
    }
    return all;
  }

  std::vector<Credential> WorkerCredentials();
  // The server's own authority over workers, in other hands.
  std::unique_ptr<CertificateAuthority> Authority() const {
    return *CertificateAuthority::Load(server_.Read("tls/workers.pem"), absl::Hours(24));
  }
  grpc::Status Remove(const WorkerIdentity& worker) {
    v1::ControlWorkerRequest request;
    request.set_name(worker.name);
    request.set_action(v1::WORKER_ACTION_REMOVE);
    v1::Worker removed;
    return admin_->workers->ControlWorker(Caller::Context().get(), request, &removed);
  }
  // Of a new key. The worker with its new certificate, or as it was.
  grpc::Status Renew(WorkerIdentity& worker) {
    const CertificateRequest asked = *MakeCertificateRequest();
    v1::RenewCertificateRequest request;
    request.set_certificate_request(asked.request);
    v1::RenewCertificateResponse response;
    const grpc::Status status = Caller(server_.Channel(worker))
                                    .workers->RenewCertificate(Caller::Context().get(), request, &response);
    if (status.ok()) worker = {worker.name, asked.private_key, response.certificate()};
    return status;
  }
  grpc::Status Synchronize(const WorkerIdentity& worker, v1::SynchronizeResponse* response) {
    v1::SynchronizeRequest request;
    request.set_worker(worker.name);
    *request.mutable_device() = FakeWorker::Device("test-class");
    return Caller(server_.Channel(worker)).workers->Synchronize(Caller::Context().get(), request, response);
  }

  TemporaryFolder folder_;
  ServerProcess server_;
  std::unique_ptr<Caller> admin_;
};

// `subject` with a certificate that `authority` issued at `begin`.
WorkerIdentity Certified(const CertificateAuthority& authority, const std::string& subject,
                         absl::Time begin) {
  const CertificateRequest asked = *MakeCertificateRequest();
  return {subject, asked.private_key, *authority.Issue(asked.request, subject, begin)};
}

// `subject` with a certificate for TLS clients that `issuer` signed, whatever it is; itself if that is empty.
WorkerIdentity Forged(const std::string& subject, const CertificatePem& issuer) {
  const CertificateFields fields{
      subject,
      absl::Now() - absl::Hours(1),
      absl::Now() + absl::Hours(1),
      {{NID_basic_constraints, "critical,CA:FALSE"}, {NID_ext_key_usage, "clientAuth"}}};
  const CertificatePem own = *MakeSelfSigned(fields);
  if (issuer.certificate.empty()) return {subject, own.private_key, own.certificate};
  const CertificatePointer authority = ReadCertificate(issuer.certificate);
  const KeyPointer key = ReadPrivateKey(own.private_key), issuer_key = ReadPrivateKey(issuer.private_key);
  return {subject, own.private_key,
          PemOf(MakeCertificate(fields, key.get(), {authority.get(), issuer_key.get()})->get())};
}

// An empty request of a caller who is let in may fail, but not for its credential.
bool AsDeclared(const RpcRow& row, const Credential& caller, StatusCode code) {
  if (caller.removed) return code == StatusCode::PERMISSION_DENIED;
  if (!caller.role) return code == StatusCode::UNAUTHENTICATED;
  if (!Allows(row, *caller.role))
    return code ==
           (caller.role == Role::kLapsed ? StatusCode::UNAUTHENTICATED : StatusCode::PERMISSION_DENIED);
  // An empty Synchronize names no worker: denied too.
  return row.path == "/hone.v1.WorkerService/Synchronize" ||
         (code != StatusCode::UNAUTHENTICATED && code != StatusCode::PERMISSION_DENIED);
}

StatusCode CodeForNoMethod(const Credential& caller) {
  if (caller.removed) return StatusCode::PERMISSION_DENIED;
  return caller.role && caller.role != Role::kLapsed ? StatusCode::UNIMPLEMENTED
                                                     : StatusCode::UNAUTHENTICATED;
}

TEST_F(IdentityTest, TheRoleTableIsExactlyTheRpcs) {
  std::set<std::string> listed;
  for (const RpcRow& row : RpcTable()) {
    EXPECT_TRUE(listed.insert(std::string(row.path)).second) << row.path;
    EXPECT_NE(row.roles, 0u) << row.path;
  }
  EXPECT_EQ(listed, PathsOfAllRpcs());
}

std::vector<Credential> IdentityTest::WorkerCredentials() {
  const std::unique_ptr<CertificateAuthority> ours = Authority();
  const CertificatePem foreign_pem = *CertificateAuthority::Make();
  const auto foreign =
      *CertificateAuthority::Load(foreign_pem.certificate + foreign_pem.private_key, absl::Hours(24));
  const WorkerIdentity worker = EnrolWorker(server_), removed = EnrolWorker(server_);
  WorkerIdentity renewed = worker;
  EXPECT_TRUE(Renew(renewed).ok());
  EXPECT_TRUE(Remove(removed).ok());
  const std::string& name = worker.name;
  const absl::Time now = absl::Now();
  const std::string own = server_.Read("tls/workers.pem");
  const std::string viewer = MakeToken(kOwner, "viewer").secret();
  return {
      {"worker", "", Role::kWorker, worker},
      {"worker renewed", "", Role::kWorker, renewed},
      {"worker lapsed", "", Role::kLapsed, Certified(*ours, name, now - absl::Hours(25))},
      {"worker expired", "", std::nullopt, Certified(*ours, name, now - absl::Hours(8 * 24 + 1))},
      {"worker removed", "", std::nullopt, removed, true},
      {"worker removed, lapsed", "", std::nullopt, Certified(*ours, removed.name, now - absl::Hours(25)),
       true},
      {"worker unknown", "", std::nullopt, Certified(*ours, "workers/nobody", now)},
      {"user as a worker", "", std::nullopt, Certified(*ours, "users/owner", now)},
      {"worker of another authority", "", std::nullopt, Certified(*foreign, name, now)},
      {"worker certified by itself", "", std::nullopt, Forged(name, {})},
      {"worker certified by the server", "", std::nullopt,
       Forged(name, {server_.Read("tls/cert.pem"), server_.Read("tls/key.pem")})},
      {"worker certified by a worker", "", std::nullopt,
       Forged(name, {worker.certificate, worker.private_key})},
      {"the authority itself", "", std::nullopt, {name, own, PemOf(ReadCertificate(own).get())}},
      {"viewer on a worker's connection", viewer, Role::kViewer, worker},
      {"garbage on a worker's connection", RandomHex(32), std::nullopt, worker},
  };
}

TEST_F(IdentityTest, EveryRpcKnowsItsCallersAndNoSecretIsSeen) {
  std::vector<Credential> callers = {{"none", "", std::nullopt},
                                     {"garbage", "%s%n'; --", std::nullopt},
                                     {"unknown", RandomHex(32), std::nullopt},
                                     {"admin.token", server_.AdminToken(), Role::kAdmin},
                                     {"enrol.token", server_.EnrolToken(), Role::kEnrol}};
  for (Role role : {Role::kViewer, Role::kUser, Role::kOperator, Role::kAdmin}) {
    const std::string name(RoleName(role));
    ASSERT_TRUE(MakeUser(name, name).ok());
    callers.push_back({name, MakeToken(name).secret(), role});
    callers.push_back({"narrowed " + name, MakeToken(name, "viewer").secret(), Role::kViewer});
    callers.push_back({"expired " + name, MakeToken(name, "", 1e-6).secret(), std::nullopt});
    const v1::CreateTokenResponse revoked = MakeToken(name);
    EXPECT_EQ(Revoke(revoked.token().name()).state(), "revoked");
    callers.push_back({"revoked " + name, revoked.secret(), std::nullopt});
  }
  v1::CreateProjectRequest other;
  other.set_name("projects/other");
  callers.push_back({"other project", MakeProject(other), Role::kAdmin});
  ASSERT_TRUE(MakeUser("demoted", "admin").ok() && MakeUser("disabled", "admin").ok());
  callers.push_back({"demoted", MakeToken("demoted").secret(), Role::kViewer});
  callers.push_back({"disabled", MakeToken("disabled").secret(), std::nullopt});
  ASSERT_TRUE(Change("demoted", "viewer", std::nullopt).ok() && Change("disabled", std::nullopt, true).ok());
  for (const Credential& caller : WorkerCredentials()) callers.push_back(caller);

  int tried = 0, as_declared = 0;
  std::string errors;
  for (const Credential& caller : callers) {
    const auto channel = server_.Channel(caller.worker, caller.secret);
    for (const RpcRow& row : RpcTable()) {
      const grpc::Status status = Call(channel, std::string(row.path));
      const bool fine = AsDeclared(row, caller, status.error_code());
      EXPECT_TRUE(fine) << caller.name << " " << row.path << ": " << status.error_code();
      ++tried;
      as_declared += fine;
      errors += status.error_message() + status.error_details();
    }
    EXPECT_EQ(Call(channel, "/hone.v1.JobService/NoSuchMethod").error_code(), CodeForNoMethod(caller))
        << caller.name;
  }
  std::cout << "role table: " << as_declared << " of " << tried << " cells as declared\n";
  const std::string written = EverythingWritten();
  EXPECT_THAT(written, HasSubstr("call_refused"));
  for (const Credential& caller : callers) {
    if (caller.secret.empty()) continue;
    EXPECT_EQ(written.find(caller.secret), std::string::npos) << caller.name;
    EXPECT_EQ(errors.find(caller.secret), std::string::npos) << caller.name;
  }
}

// What one project has, by the names that requests have for it.
struct Belongings {
  std::string model, job, module, record, sha256;
};

// Fills whatever names a resource in a request of this service.
void NameThem(const Belongings& owned, const std::string& service, google::protobuf::Message& request) {
  const auto* fields = request.GetDescriptor();
  for (int i = 0; i < fields->field_count(); ++i) {
    const auto* field = fields->field(i);
    if (field->is_repeated()) continue;
    if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
      NameThem(owned, service, *request.GetReflection()->MutableMessage(&request, field));
      continue;
    }
    const std::pair<std::string, std::string> kNames[] = {{"model", owned.model},
                                                          {"job", owned.job},
                                                          {"sha256", owned.sha256},
                                                          {"ModelService.name", owned.model},
                                                          {"JobService.name", owned.job},
                                                          {"ModuleService.name", owned.module},
                                                          {"RecordService.name", owned.record}};
    for (const auto& [name, value] : kNames) {
      if (name == field->name() || name == service + "." + field->name())
        request.GetReflection()->SetString(&request, field, value);
    }
  }
}

std::string RequestNaming(const Belongings& owned, std::string_view path) {
  const std::string method = absl::StrReplaceAll(std::string(path.substr(1)), {{"/", "."}});
  const auto* rpc = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(method);
  std::unique_ptr<google::protobuf::Message> request(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(rpc->input_type())->New());
  NameThem(owned, rpc->service()->name(), *request);
  return request->SerializeAsString();
}

TEST_F(IdentityTest, WhatIsOfAnotherProjectIsNotThere) {
  FakeWorker worker(server_);
  worker.Start();
  Belongings owned;
  owned.model = admin_->CreateModel("batches=1 trials=2").name();
  owned.job = admin_->CreateJob(owned.model).name();
  owned.module = admin_->WaitForEnd(owned.job).module();
  owned.record = admin_->Records("trial=b1.0").at(0).name();
  owned.sha256 = Sha256Hex("batches=1 trials=2");
  worker.Stop();
  v1::CreateProjectRequest other;
  other.set_name("projects/other");
  const auto stranger = server_.Channel(MakeProject(other)), owner = server_.Channel(server_.AdminToken());
  std::vector<RpcRow> rows(RpcTable().begin(), RpcTable().end());
  std::stable_partition(rows.begin(), rows.end(),
                        [](const RpcRow& row) { return row.path.find("/Delete") == std::string::npos; });
  for (const RpcRow& row : rows) {
    std::string seen;
    const grpc::Status status =
        Call(stranger, std::string(row.path), 10, RequestNaming(owned, row.path), &seen);
    if (row.scope == Scope::kNamed) {
      EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND) << row.path << ": " << status.error_message();
    } else if (row.scope == Scope::kOwn) {
      for (const std::string& name : {owned.model, owned.job, owned.module})
        EXPECT_EQ(seen.find(name), std::string::npos) << row.path;
    }
  }
  for (const RpcRow& row : rows) {
    if (row.scope != Scope::kNamed) continue;
    const grpc::Status status = Call(owner, std::string(row.path), 10, RequestNaming(owned, row.path));
    EXPECT_NE(status.error_code(), StatusCode::NOT_FOUND) << row.path << ": " << status.error_message();
  }
}

TEST_F(IdentityTest, NobodyGetsAContentForItsDigestAlone) {
  const std::string content = "batches=1 trials=1";
  const v1::Model model = admin_->CreateModel(content);
  v1::CreateProjectRequest other;
  other.set_name("projects/other");
  Caller stranger(server_.Channel(MakeProject(other)));
  v1::QueryBlobRequest query;
  query.set_sha256(Sha256Hex(content));
  v1::BlobStatus blob;
  ASSERT_TRUE(stranger.blobs->QueryBlob(Caller::Context().get(), query, &blob).ok());
  EXPECT_FALSE(blob.complete());
  v1::UploadBlobRequest claim;  // says that all has been sent already
  claim.mutable_blob()->set_sha256(query.sha256());
  claim.mutable_blob()->set_size(content.size());
  claim.set_offset(content.size());
  auto context = Caller::Context();
  auto writer = stranger.blobs->UploadBlob(context.get(), &blob);
  writer->Write(claim);
  writer->WritesDone();
  EXPECT_EQ(writer->Finish().error_code(), StatusCode::OUT_OF_RANGE);
  EXPECT_NE(stranger.CreateModel(content).name(), model.name());
  EXPECT_EQ(stranger.Download(query.sha256()), content);
  EXPECT_EQ(ProjectSeenBy(stranger).usage().storage_bytes(), content.size());
}

TEST_F(IdentityTest, QuotasHoldAndSayWhatToDo) {
  v1::CreateProjectRequest project;
  project.set_name("projects/small");
  project.set_max_jobs(1);
  project.set_max_storage_bytes(20);
  project.set_max_device_minutes(-1);
  v1::Project made;
  EXPECT_EQ(admin_->admin->CreateProject(Caller::Context().get(), project, &made).error_code(),
            StatusCode::INVALID_ARGUMENT);
  project.clear_max_device_minutes();
  Caller small(server_.Channel(MakeProject(project)));
  const v1::Model model = small.CreateModel("batches=1 trials=1");
  v1::BlobStatus blob;
  const grpc::Status full = small.Upload("three", &blob);
  EXPECT_EQ(full.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(full.error_message(), HasSubstr("hone project set-quota"));
  EXPECT_TRUE(small.Upload("batches=1 trials=1", &blob).ok());  // stored already
  const v1::Job job = small.CreateJob(model.name());
  v1::CreateJobRequest second;
  second.mutable_spec()->set_model(model.name());
  v1::Job refused;
  EXPECT_EQ(small.jobs->CreateJob(Caller::Context().get(), second, &refused).error_code(),
            StatusCode::RESOURCE_EXHAUSTED);
  const v1::Project seen = ProjectSeenBy(*admin_, "projects/small");
  EXPECT_EQ(seen.usage().unfinished_jobs(), 1u);
  EXPECT_EQ(seen.usage().storage_bytes(), 18u);
  v1::UpdateProjectRequest more;
  more.set_name("projects/small");
  more.set_max_jobs(2);
  ASSERT_TRUE(admin_->admin->UpdateProject(Caller::Context().get(), more, &made).ok());
  EXPECT_EQ(made.max_storage_bytes(), 20u);
  EXPECT_TRUE(small.jobs->CreateJob(Caller::Context().get(), second, &refused).ok());
}

TEST_F(IdentityTest, ATokenHasAtMostItsUsersRole) {
  ASSERT_TRUE(MakeUser("ann", "user").ok());
  EXPECT_EQ(MakeUser("ann", "user").error_code(), StatusCode::ALREADY_EXISTS);
  for (const char* id : {"Ann", "a/b", "", "a\nb"})
    EXPECT_EQ(MakeUser(id, "user").error_code(), StatusCode::INVALID_ARGUMENT) << id;
  for (const char* role : {"", "worker", "enrol", "root"})
    EXPECT_EQ(MakeUser("bob", role).error_code(), StatusCode::INVALID_ARGUMENT) << role;
  v1::CreateTokenRequest request;
  v1::CreateTokenResponse response;
  request.set_user("users/ann");
  request.set_role("operator");
  EXPECT_EQ(admin_->admin->CreateToken(Caller::Context().get(), request, &response).error_code(),
            StatusCode::INVALID_ARGUMENT);
  request.clear_role();
  for (double lifetime : {-1.0, 1e12, std::nan("")}) {
    request.set_lifetime_seconds(lifetime);
    EXPECT_EQ(admin_->admin->CreateToken(Caller::Context().get(), request, &response).error_code(),
              StatusCode::INVALID_ARGUMENT);
  }
  const v1::CreateTokenResponse token = MakeToken("ann", "", 3600);
  EXPECT_EQ(token.token().state(), "active");
  EXPECT_EQ(CodeOf(token.secret()), StatusCode::OK);
  EXPECT_EQ(CodeOf(token.secret(), "/hone.v1.AdminService/ListTokens"), StatusCode::PERMISSION_DENIED);
}

TEST_F(IdentityTest, WhatWasWithdrawnStaysSoAfterARestart) {
  ASSERT_TRUE(MakeUser("ann", "admin").ok());
  const v1::CreateTokenResponse ann = MakeToken("ann"), other = MakeToken("ann");
  for (const auto& [role, disabled] :
       {std::pair<std::optional<std::string>, std::optional<bool>>{"user", {}}, {{}, true}}) {
    EXPECT_EQ(Change("owner", role, disabled).error_code(), StatusCode::FAILED_PRECONDITION);
  }
  admin_ = std::make_unique<Caller>(server_.Channel(ann.secret()));
  Revoke(other.token().name());
  const std::string of_the_folder = HashToken(server_.AdminToken()).substr(0, 16);
  Revoke("tokens/" + of_the_folder);
  server_.Stop(SIGKILL);
  server_.Start();
  EXPECT_EQ(CodeOf(ann.secret()), StatusCode::OK);
  EXPECT_EQ(CodeOf(other.secret()), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(CodeOf(server_.AdminToken()), StatusCode::UNAUTHENTICATED);
}

TEST_F(IdentityTest, AnEnrolTokenOfAnOperatorLetsAWorkerJoin) {
  ASSERT_TRUE(MakeUser("op", "operator").ok());
  Caller op(server_.Channel(MakeToken("op").secret()));
  v1::CreateTokenResponse made;
  ASSERT_TRUE(op.admin->CreateEnrolToken(Caller::Context().get(), {}, &made).ok());
  EXPECT_NE(made.token().expire_time_micros(), 0);
  const auto enrol = [&](const std::string& certificate_request) {
    v1::EnrolRequest request;
    request.set_display_name("w");
    request.set_certificate_request(certificate_request);
    v1::EnrolResponse worker;
    return Caller(server_.Channel(made.secret())).workers->Enrol(Caller::Context().get(), request, &worker);
  };
  const CertificateRequest asked = *MakeCertificateRequest();
  EXPECT_TRUE(enrol(asked.request).ok());
  std::string altered = asked.request;  // of another key than the one that signed it, or no request any more
  altered[altered.size() / 2] = altered[altered.size() / 2] == 'A' ? 'B' : 'A';
  for (const std::string& nonsense : {std::string(), std::string("x"), altered, asked.private_key})
    EXPECT_EQ(enrol(nonsense).error_code(), StatusCode::INVALID_ARGUMENT);
  Revoke(made.token().name());
  EXPECT_EQ(enrol(asked.request).error_code(), StatusCode::UNAUTHENTICATED);
}

TEST_F(IdentityTest, ACertificateIsAskedToBeRenewedAfterAThirdAndMayBeForAWeekAfterItsEnd) {
  const WorkerIdentity enrolled = EnrolWorker(server_);
  const std::unique_ptr<CertificateAuthority> authority = Authority();
  const struct {
    int age_hours;
    bool good, renew;
  } kAges[] = {{0, true, false}, {7, true, false},  {9, true, true},
               {23, true, true}, {25, false, true}, {191, false, true}};
  for (const auto& age : kAges) {
    WorkerIdentity worker = Certified(*authority, enrolled.name, absl::Now() - absl::Hours(age.age_hours));
    v1::SynchronizeResponse response;
    const grpc::Status status = Synchronize(worker, &response);
    EXPECT_EQ(status.ok(), age.good) << age.age_hours << ": " << status.error_message();
    if (age.good) {
      EXPECT_EQ(response.renew_certificate(), age.renew) << age.age_hours;
    } else {
      EXPECT_THAT(status.error_message(), HasSubstr("may only be renewed"));
    }
    ASSERT_TRUE(Renew(worker).ok()) << age.age_hours;
    EXPECT_TRUE(Synchronize(worker, &response).ok());
    EXPECT_FALSE(response.renew_certificate());
  }
  WorkerIdentity late = Certified(*authority, enrolled.name, absl::Now() - absl::Hours(193));
  const grpc::Status status = Renew(late);
  EXPECT_EQ(status.error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(status.error_message(), HasSubstr("hone token enrol"));
}

TEST_F(IdentityTest, ARemovedWorkersCertificatesAreVoidAtOnceAndStaySo) {
  WorkerIdentity worker = EnrolWorker(server_), renewed = worker;
  v1::SynchronizeResponse response;
  ASSERT_TRUE(Renew(renewed).ok() && Synchronize(worker, &response).ok() &&
              Synchronize(renewed, &response).ok());
  ASSERT_TRUE(Remove(worker).ok());
  EXPECT_EQ(Remove(worker).error_code(), StatusCode::NOT_FOUND);
  for (const bool restarted : {false, true}) {
    for (WorkerIdentity* one : {&worker, &renewed}) {
      const grpc::Status status = Synchronize(*one, &response);
      EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED) << restarted;
      EXPECT_THAT(status.error_message(), HasSubstr("was removed"));
      EXPECT_EQ(Renew(*one).error_code(), StatusCode::PERMISSION_DENIED) << restarted;
    }
    if (restarted) break;
    server_.Stop(SIGKILL);
    server_.Start();
  }
  EXPECT_NE(EnrolWorker(server_).name, worker.name);
}

// Of before workers had certificates: the migration made their tokens good for enrolling as who they were.
TEST_F(IdentityTest, AFormerWorkersTokenEnrolsItAsTheWorkerThatItWas) {
  const WorkerIdentity worker = EnrolWorker(server_);
  const std::string token = RandomHex(32);
  server_.Stop(SIGTERM);
  {
    const auto db = Connection::Open(folder_.path() + "/data/hone.db", Connection::Mode::kWriter);
    ASSERT_TRUE(Query(**db, "INSERT INTO tokens(hash, role, subject, create_time) VALUES(?, 'enrol', ?, 1)",
                      HashToken(token), worker.name)
                    .Run()
                    .ok());
  }
  server_.Start();
  EXPECT_EQ(CodeOf(token, "/hone.v1.WorkerService/Synchronize"), StatusCode::PERMISSION_DENIED);
  const CertificateRequest asked = *MakeCertificateRequest();
  v1::EnrolRequest request;
  request.set_certificate_request(asked.request);
  v1::EnrolResponse response;
  Caller joining(server_.Channel(token));
  ASSERT_TRUE(joining.workers->Enrol(Caller::Context().get(), request, &response).ok());
  EXPECT_EQ(response.worker(), worker.name);
  v1::SynchronizeResponse synchronized;
  EXPECT_TRUE(Synchronize({worker.name, asked.private_key, response.certificate()}, &synchronized).ok());
  admin_ = std::make_unique<Caller>(server_.Channel(server_.AdminToken()));
  ASSERT_TRUE(Remove(worker).ok());
  EXPECT_EQ(CodeOf(token, "/hone.v1.WorkerService/Enrol"), StatusCode::UNAUTHENTICATED);
}

}  // namespace
}  // namespace hone
