#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <set>

#include "gtest/gtest.h"
#include "proto/certificates/certificate_request.h"
#include "server/auth/certificate_authority.h"
#include "server/auth/role_table.h"
#include "server/auth/secrets.h"

namespace hone {
namespace {

TEST(CertificateTest, TheServersIsForThisHostAndSelfSigned) {
  const CertificatePem pem = *MakeServerCertificate("some.host");
  const CertificatePointer certificate = ReadCertificate(pem.certificate);
  ASSERT_NE(certificate, nullptr);
  for (const char* host : {"localhost", "some.host"})
    EXPECT_EQ(X509_check_host(certificate.get(), host, 0, 0, nullptr), 1) << host;
  EXPECT_EQ(X509_check_host(certificate.get(), "other.host", 0, 0, nullptr), 0);
  for (const char* ip : {"127.0.0.1", "::1"}) EXPECT_EQ(X509_check_ip_asc(certificate.get(), ip, 0), 1) << ip;
  EXPECT_EQ(X509_verify(certificate.get(), X509_get0_pubkey(certificate.get())), 1);
  EXPECT_EQ(EVP_PKEY_get_bits(X509_get0_pubkey(certificate.get())), 256);
  EXPECT_NE(pem.private_key, MakeServerCertificate("")->private_key);
}

TEST(CertificateAuthorityTest, KnowsWhatItIssuedAndNothingElse) {
  const CertificatePem pem = *CertificateAuthority::Make(), other_pem = *CertificateAuthority::Make();
  const auto ours = *CertificateAuthority::Load(pem.certificate + pem.private_key, absl::Hours(24));
  const auto others =
      *CertificateAuthority::Load(other_pem.private_key + other_pem.certificate, absl::Hours(24));
  const CertificateRequest asked = *MakeCertificateRequest();
  const absl::Time begin = absl::FromUnixSeconds(1'800'000'000);
  const std::string certificate = *ours->Issue(asked.request, "workers/w", begin);
  const auto issued = ours->Verify(certificate);
  ASSERT_TRUE(issued.ok()) << issued.status();
  EXPECT_EQ(issued->subject, "workers/w");
  EXPECT_EQ(issued->begin, begin);
  EXPECT_EQ(issued->end, begin + absl::Hours(24));
  EXPECT_EQ(
      X509_check_private_key(ReadCertificate(certificate).get(), ReadPrivateKey(asked.private_key).get()), 1);
  EXPECT_NE(*ours->Issue(asked.request, "workers/w", begin), certificate) << "serial numbers differ";
  for (const std::string& wrong : {*others->Issue(asked.request, "workers/w", begin), other_pem.certificate,
                                   std::string(), certificate.substr(0, certificate.size() / 2)})
    EXPECT_TRUE(absl::IsUnauthenticated(ours->Verify(wrong).status()));
  EXPECT_TRUE(absl::IsDataLoss(CertificateAuthority::Load(pem.certificate, absl::Hours(24)).status()));
  EXPECT_TRUE(absl::IsDataLoss(
      CertificateAuthority::Load(pem.certificate + other_pem.private_key, absl::Hours(24)).status()));
}

TEST(CertificateAuthorityTest, TakesNoOtherKeys) {
  const KeyPointer weak(EVP_RSA_gen(2048)), other_curve(EVP_EC_gen("P-384"));
  for (EVP_PKEY* key : {weak.get(), other_curve.get()}) {
    const RequestPointer request(X509_REQ_new());
    X509_REQ_set_pubkey(request.get(), key);
    X509_REQ_sign(request.get(), key, EVP_sha256());
    EXPECT_TRUE(absl::IsInvalidArgument(CheckCertificateRequest(PemOf(request.get()))));
  }
  const CertificateRequest asked = *MakeCertificateRequest();
  const RequestPointer stolen = ReadRequest(asked.request);  // somebody's public key, signed with another
  const KeyPointer thief = ReadPrivateKey(MakeCertificateRequest()->private_key);
  X509_REQ_sign(stolen.get(), thief.get(), EVP_sha256());
  EXPECT_TRUE(absl::IsInvalidArgument(CheckCertificateRequest(PemOf(stolen.get()))));
  EXPECT_TRUE(CheckCertificateRequest(asked.request).ok());
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
  for (Role role : {Role::kViewer, Role::kUser, Role::kOperator, Role::kAdmin, Role::kWorker, Role::kEnrol,
                    Role::kLapsed})
    EXPECT_EQ(ParseRole(RoleName(role)), role);
  EXPECT_FALSE(ParseRole("root").has_value());
  EXPECT_EQ(FindRpc("/hone.v1.JobService/NoSuch"), nullptr);
}

}  // namespace
}  // namespace hone
