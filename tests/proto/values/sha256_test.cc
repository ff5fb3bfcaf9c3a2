#include "proto/values/sha256.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

// FIPS 180-2, appendix B.1.
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, KnownVector) { EXPECT_EQ(Sha256Hex("abc"), kAbc); }

TEST(Sha256, PiecesGiveTheSameDigest) {
  Sha256 hash;
  hash.Update("a");
  hash.Update("bc");
  EXPECT_EQ(hash.FinishHex(), kAbc);
}

TEST(Sha256, RecognisesHex) {
  EXPECT_TRUE(IsSha256Hex(kAbc));
  EXPECT_FALSE(IsSha256Hex("../../etc/passwd"));
  EXPECT_FALSE(IsSha256Hex(std::string(64, 'A')));
}

}  // namespace
}  // namespace hone
