#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <set>

#include "gtest/gtest.h"
#include "server/auth/certificate.h"
#include "server/auth/role_table.h"
#include "server/auth/secrets.h"

namespace hone {
namespace {

TEST(CertificateTest, IsForThisHostAndSelfSigned) {
  const CertificatePem pem = *MakeSelfSignedCertificate("some.host");
  BIO* bio = BIO_new_mem_buf(pem.certificate.data(), static_cast<int>(pem.certificate.size()));
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  ASSERT_NE(certificate, nullptr);
  for (const char* host : {"localhost", "some.host"})
    EXPECT_EQ(X509_check_host(certificate, host, 0, 0, nullptr), 1) << host;
  EXPECT_EQ(X509_check_host(certificate, "other.host", 0, 0, nullptr), 0);
  for (const char* ip : {"127.0.0.1", "::1"}) EXPECT_EQ(X509_check_ip_asc(certificate, ip, 0), 1) << ip;
  EXPECT_EQ(X509_verify(certificate, X509_get0_pubkey(certificate)), 1);
  EXPECT_EQ(EVP_PKEY_get_bits(X509_get0_pubkey(certificate)), 256);
  X509_free(certificate);
  BIO_free(bio);
  EXPECT_NE(pem.private_key, MakeSelfSignedCertificate("")->private_key);
}

TEST(SecretsTest, AreLongDifferentAndPlain) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(seen.insert(RandomHex(32)).second);
    EXPECT_TRUE(seen.insert(RandomId()).second);
  }
  EXPECT_EQ(RandomHex(32).size(), 64u);
  EXPECT_EQ(RandomId().find_first_not_of("abcdefghijklmnopqrstuvwxyz234567"), std::string::npos);
}

TEST(RoleTableTest, NamesParseBack) {
  for (Role role : {Role::kViewer, Role::kUser, Role::kOperator, Role::kAdmin, Role::kWorker, Role::kEnrol})
    EXPECT_EQ(ParseRole(RoleName(role)), role);
  EXPECT_FALSE(ParseRole("root").has_value());
  EXPECT_EQ(FindRpc("/hone.v1.JobService/NoSuch"), nullptr);
}

}  // namespace
}  // namespace hone
