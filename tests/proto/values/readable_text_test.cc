#include "proto/values/readable_text.h"

#include "gtest/gtest.h"

namespace hone {
namespace {

TEST(ReadableTextTest, ValidTextStaysAsItIs) {
  for (const std::string text : {"", "node 'a': b\nc", "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x99\x82"})
    EXPECT_EQ(ReadableText(text), text);
}

TEST(ReadableTextTest, WhatIsNoTextIsReplaced) {
  const std::string no = "\xEF\xBF\xBD";
  for (const std::string byte : {"\xFF", "\xC3", "\x80", "\x1B", "\x7F", "\x01", "\t"})
    EXPECT_EQ(ReadableText("a" + byte + "b"), "a" + no + "b");
  EXPECT_EQ(ReadableText("\xC0\xAF"), no + no);           // overlong
  EXPECT_EQ(ReadableText("\xED\xA0\x80"), no + no + no);  // surrogate
  EXPECT_EQ(ReadableText("\xF4\x90\x80\x80"), no + no + no + no);
  EXPECT_EQ(ReadableText("\xC2\x9B"), no + no);  // a terminal's escape in one character
}

TEST(ReadableTextTest, LongTextKeepsItsEnds) {
  const std::string text = "node '" + std::string(70'000, 'n') + "': its cause";
  const std::string readable = ReadableText(text, kMaxErrorBytes);
  EXPECT_LE(readable.size(), kMaxErrorBytes);
  EXPECT_GT(readable.size(), kMaxErrorBytes - 10);
  EXPECT_TRUE(readable.starts_with("node 'nnn"));
  EXPECT_TRUE(readable.ends_with("nnn': its cause"));
  std::string umlauts;
  for (int i = 0; i < 100; ++i) umlauts += "\xC3\xBC";
  for (size_t limit = 0; limit < 40; ++limit) {
    const std::string cut = ReadableText(umlauts, limit);
    EXPECT_EQ(ReadableText(cut), cut) << limit;
  }
}

}  // namespace
}  // namespace hone
