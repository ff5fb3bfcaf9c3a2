// Saved servers: which one a command goes to, and how one becomes saved.
#include "client/contexts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "client/command.h"
#include "client/error.h"
#include "client/json.h"
#include "client/server_certificate.h"
#include "proto/values/certificate_fingerprint.h"
#include "tests/client/fake_server.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class ContextsTest : public ::testing::Test {
 protected:
  ContextsTest() : folder_(fs::path(::testing::TempDir()) / "hone_contexts_test") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    std::ofstream(folder_ / "token") << "secret\n";
    environment_ = {{"HONE_HOME", folder_ / "home"}, {"HONE_PROGRAMS", folder_ / "none"}, {"HOME", folder_}};
  }

  int Run(const std::vector<std::string>& words) {
    out_.str("");
    err_.str("");
    return RunCommandLine(words, {out_, err_}, [this](const char* name) -> const char* {
      auto it = environment_.find(name);
      return it == environment_.end() ? nullptr : it->second.c_str();
    });
  }
  int LogIn(const FakeServer& server, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"login", server.address(), "--token-file", folder_ / "token", "--fingerprint",
                               FingerprintOf(server)});
    return Run(more);
  }
  static std::string FingerprintOf(const FakeServer& server) {
    return *CertificateFingerprint(server.certificate().certificate_pem);
  }
  std::string home() const { return folder_ / "home"; }
  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }
  // The server that commands go to.
  std::string InUse(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"context", "show", "--json"});
    return Run(more) == kExitOk ? JsonText(*ParseJson(out(), "out"), "server") : err();
  }

  FakeServer server_;
  fs::path folder_;
  std::map<std::string, std::string> environment_;
  std::stringstream out_, err_;
};

TEST_F(ContextsTest, ALoginIsSavedForItsOwnerAloneAndCommandsGoThere) {
  ASSERT_EQ(LogIn(server_, {"--name", "lab"}), kExitOk) << err();
  EXPECT_THAT(out(), HasSubstr("as ann (operator) in project vision"));
  struct stat status{};
  ASSERT_EQ(stat(ContextsPath(home()).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(Run({"worker", "list"}), kExitOk) << err();
  EXPECT_EQ(Run({"context", "list"}), kExitOk);
  EXPECT_THAT(out(), HasSubstr("*  lab      " + server_.address()));
  EXPECT_THAT(out(), Not(HasSubstr("secret")));
  EXPECT_EQ(Run({"context", "list", "--json"}), kExitOk);
  EXPECT_THAT(out(), Not(HasSubstr("secret")));
  EXPECT_EQ(Run({"context", "use", "nowhere"}), kExitNotFound);
  EXPECT_EQ(Run({"context", "use", "local"}), kExitOk);
  EXPECT_EQ(Run({"context", "show"}), kExitNotFound);  // it does not run
  EXPECT_THAT(err(), HasSubstr("hone up"));
  EXPECT_EQ(Run({"context", "use", "lab"}), kExitOk);
  EXPECT_EQ(InUse(), server_.address());
  EXPECT_EQ(Run({"context", "remove", "lab"}), kExitOk);
  EXPECT_EQ(ReadContexts(home())->current, kLocalContext);
  EXPECT_EQ(Run({"context", "remove", "lab"}), kExitNotFound);
  EXPECT_EQ(Run({"context", "remove", "local"}), kExitUsage);
}

TEST_F(ContextsTest, OptionsWinOverTheEnvironmentAndThatOverTheContextInUse) {
  FakeServer second("second"), third("third");
  std::ofstream(folder_ / "second.pem") << second.certificate().certificate_pem;
  std::ofstream(folder_ / "third.token") << "third";
  ASSERT_EQ(LogIn(server_, {"--name", "first"}), kExitOk) << err();
  ASSERT_EQ(Run({"login", third.address(), "--name", "third", "--token-file", folder_ / "third.token",
                 "--fingerprint", FingerprintOf(third)}),
            kExitOk)
      << err();
  EXPECT_EQ(InUse(), third.address());
  environment_["HONE_CONTEXT"] = "first";
  EXPECT_EQ(InUse(), server_.address());
  environment_["HONE_SERVER"] = second.address();
  environment_["HONE_CA"] = folder_ / "second.pem";
  environment_["HONE_TOKEN"] = "second";
  EXPECT_EQ(InUse(), second.address());
  // Neither the environment's token nor its certificate go where it does not point.
  EXPECT_EQ(InUse({"--context", "third"}), third.address());
  EXPECT_EQ(InUse({"--context", "first"}), server_.address());
  environment_.erase("HONE_CA");
  environment_.erase("HONE_TOKEN");
  EXPECT_EQ(InUse({"--server", third.address()}), third.address());  // saved, so it needs nothing more
  EXPECT_THAT(InUse(), HasSubstr("hone login " + second.address()));
  EXPECT_EQ(Run({"context", "list", "--context", "third", "--server", "x:1"}), kExitUsage);
  EXPECT_EQ(Run({"job", "list", "--context", "forth"}), kExitNotFound);
}

TEST_F(ContextsTest, NothingIsTrustedUnasked) {
  EXPECT_EQ(Run({"login", server_.address(), "--token-file", folder_ / "token"}), kExitBadInput);
  EXPECT_THAT(err(), HasSubstr(FingerprintOf(server_)));
  EXPECT_THAT(err(), HasSubstr("--fingerprint"));
  const std::string other = "sha256:" + std::string(64, '0');
  EXPECT_EQ(Run({"login", server_.address(), "--token-file", folder_ / "token", "--fingerprint", other}),
            kExitBadInput);
  EXPECT_THAT(err(), HasSubstr("stand between"));
  EXPECT_EQ(Run({"login", server_.address(), "--fingerprint", "abc"}), kExitUsage);
  EXPECT_EQ(Run({"login", server_.address(), "--fingerprint", FingerprintOf(server_)}), kExitUsage);
  EXPECT_THAT(err(), HasSubstr("--token-file"));
  EXPECT_EQ(Run({"login", "127.0.0.1:1", "--fingerprint", other}), kExitUnreachable);
  for (const char* bad : {"host", "host:", ":1", "host:port", "host:70000"})
    EXPECT_EQ(Run({"login", bad}), kExitUsage) << bad;
  environment_["HONE_TOKEN"] = "wrong";
  EXPECT_EQ(Run({"login", server_.address(), "--fingerprint", FingerprintOf(server_)}), kExitDenied);
  EXPECT_TRUE(ReadContexts(home())->saved.empty());
  EXPECT_FALSE(fs::exists(ContextsPath(home())));
}

TEST_F(ContextsTest, AChangedCertificateIsRefused) {
  std::string address;
  {
    FakeServer before;
    address = before.address();
    ASSERT_EQ(LogIn(before), kExitOk) << err();
    EXPECT_EQ(Run({"login", address, "--token-file", folder_ / "token"}), kExitOk) << err();  // known by now
  }
  FakeServer anew("secret", address);
  ASSERT_TRUE(anew.listening());
  EXPECT_EQ(Run({"job", "list"}), kExitUnreachable);
  EXPECT_THAT(err(), HasSubstr("hone login"));
  EXPECT_EQ(Run({"login", address, "--token-file", folder_ / "token"}), kExitBadInput);
  EXPECT_THAT(err(), HasSubstr("as at the last login"));
  EXPECT_EQ(LogIn(anew), kExitOk) << err();
  EXPECT_EQ(Run({"job", "list"}), kExitOk) << err();
}

TEST_F(ContextsTest, ANameIsOfOneServer) {
  FakeServer second;
  ASSERT_EQ(LogIn(server_), kExitOk) << err();
  EXPECT_EQ(ReadContexts(home())->current, "127.0.0.1");
  EXPECT_EQ(LogIn(second), kExitUsage);
  EXPECT_THAT(err(), HasSubstr("--name"));
  EXPECT_EQ(LogIn(second, {"--name", "a b"}), kExitUsage);
  EXPECT_EQ(LogIn(second, {"--name", "local"}), kExitUsage);
  EXPECT_EQ(LogIn(second, {"--name", "second"}), kExitOk) << err();
  EXPECT_EQ(LogIn(second), kExitOk) << err();  // keeps its name
  EXPECT_EQ(ReadContexts(home())->saved.size(), 2u);
}

TEST_F(ContextsTest, ChangesAtOnceAreAllKept) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        EXPECT_TRUE(ChangeContexts(home(), [&](Contexts& contexts) {
                      contexts.saved["c" + std::to_string(10 * t + i)] = {"host:1", "pem", "token"};
                      return absl::OkStatus();
                    }).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ReadContexts(home())->saved.size(), 80u);
}

TEST_F(ContextsTest, ADamagedFileIsNamedAndLeftAlone) {
  fs::create_directories(home());
  for (const char* text :
       {"", "{", "[]", R"({"current":"x","contexts":{}})", R"({"current":"local","contexts":{"a":{}}})",
        R"({"current":"local","contexts":{"a b":{"server":"x:1"}}})"}) {
    std::ofstream(ContextsPath(home()), std::ios::trunc) << text;
    EXPECT_EQ(Run({"context", "list"}), kExitFailure) << text;
    EXPECT_THAT(err(), HasSubstr("contexts.json is damaged"));
    EXPECT_EQ(LogIn(server_), kExitFailure) << text;
    std::stringstream now;
    now << std::ifstream(ContextsPath(home())).rdbuf();
    EXPECT_EQ(now.str(), text);
  }
}

TEST(FingerprintTest, IsThatOfOpenssl) {
  const std::string pem = MakeTestCertificate().certificate_pem;
  const fs::path file = fs::path(::testing::TempDir()) / "fingerprint.pem";
  std::ofstream(file) << pem;
  FILE* openssl = popen(("openssl x509 -noout -fingerprint -sha256 -in " + file.string()).c_str(), "r");
  char line[200] = {};
  ASSERT_NE(fgets(line, sizeof(line), openssl), nullptr);
  EXPECT_EQ(pclose(openssl), 0);
  std::string colons(line);  // "sha256 Fingerprint=AB:CD:..."
  colons = colons.substr(colons.find('=') + 1, 95);
  EXPECT_EQ(CertificateFingerprint(pem), ParseFingerprint(colons));
  EXPECT_EQ(ParseFingerprint("SHA256:" + colons), ParseFingerprint(colons));
  EXPECT_EQ(CertificateFingerprint("nothing"), std::nullopt);
  EXPECT_EQ(CertificateFingerprint("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"),
            std::nullopt);
  for (const char* bad : {"", "sha256:", "ab:cd", "sha1:00"}) EXPECT_FALSE(ParseFingerprint(bad)) << bad;
}

}  // namespace
}  // namespace hone
