#include "server/records/record_filter.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

using testing::HasSubstr;

// A filter as text with all its parentheses, in the order of evaluation.
std::string Show(const RecordFilter& filter) {
  if (filter.kind == RecordFilter::Kind::kCompare) {
    const char* kOperators[] = {"=", "!=", "<", "<=", ">", ">=", ":"};
    std::string value;
    if (const auto* text = std::get_if<std::string>(&filter.value)) value = *text;
    if (const auto* number = std::get_if<double>(&filter.value)) value = std::to_string(*number);
    if (const auto* integer = std::get_if<int64_t>(&filter.value)) value = std::to_string(*integer);
    return std::to_string(static_cast<int>(filter.field)) + kOperators[static_cast<int>(filter.comparison)] +
           value;
  }
  if (filter.kind == RecordFilter::Kind::kNot) return "!" + Show(filter.children.at(0));
  std::string text = filter.kind == RecordFilter::Kind::kAnd ? "(&" : "(|";
  for (const RecordFilter& child : filter.children) text += " " + Show(child);
  return text + ")";
}

TEST(RecordFilterTest, Parses) {
  const struct {
    const char* text;
    const char* shown;
  } kCases[] = {
      {"", "(&)"},
      {"  ", "(&)"},
      {"model=resnet50", "0=resnet50"},
      {"model = \"a b\"", "0=a b"},
      {"model='it\\'s'", "0=it's"},
      {"model=a task=b", "(& 0=a 1=b)"},
      {"model=a AND task=b OR worker=c", "(& 0=a (| 1=b 3=c))"},  // OR binds tighter
      {"(model=a AND task=b) OR worker=c", "(| (& 0=a 1=b) 3=c)"},
      {"NOT status=ok", "!5=ok"},
      {"-status:ok", ""},
      {"-model:ok", "!0:ok"},
      {"NOT NOT model=x", "!!0=x"},
      {"latency<1.5ms", "6<0.001500"},
      {"latency >= 20us", "6>=0.000020"},
      {"latency!=0.25", "6!=0.250000"},
      {"time>1970-01-01T00:00:01Z", "9>1000000"},
      {"create_time<=\"1970-01-01T01:00:00+01:00\"", "9<=0"},
      {"target=x86-64-v3", "4=x86-64-v3"},
      {"trace:leaf(model=a)", "(& 7:leaf 0=a)"},
      {"attempts>1", "12>1"},
  };
  for (const auto& [text, shown] : kCases) {
    const auto filter = ParseRecordFilter(text);
    if (*shown == '\0') {
      EXPECT_FALSE(filter.ok()) << text;
    } else {
      ASSERT_TRUE(filter.ok()) << text << ": " << filter.status();
      EXPECT_EQ(Show(*filter), shown) << text;
    }
  }
}

TEST(RecordFilterTest, ErrorsNameTheColumn) {
  const struct {
    const char* text;
    const char* error;
  } kCases[] = {
      {"colour=red", "column 1: expected a field"},
      {"model", "column 6: expected one of ="},
      {"model=", "column 7: expected a value"},
      {"model=a AND", "column 12: expected a field"},
      {"(model=a", "column 9: expected ')'"},
      {"model=a)", "column 8: expected the end"},
      {"model=\"a", "column 7: this quote is never closed"},
      {"status=good", "column 8: expected ok, rejected"},
      {"latency<fast", "column 9: expected a time such as 1.5ms"},
      {"latency<inf", "column 9"},
      {"time<yesterday", "column 6: expected a time such as 2026"},
      {"latency:1", "':' works on text"},
      {"batch=1.5", "column 7: expected a whole number"},
      {"OR model=a", "column 1"},
      {"model == a", "column 8"},
  };
  for (const auto& [text, error] : kCases) {
    const auto filter = ParseRecordFilter(text);
    ASSERT_TRUE(absl::IsInvalidArgument(filter.status())) << text;
    EXPECT_THAT(std::string(filter.status().message()), HasSubstr(error)) << text;
  }
}

TEST(RecordFilterTest, HostileInputEndsInAnError) {
  EXPECT_FALSE(ParseRecordFilter(std::string(100'000, '(')).ok());
  EXPECT_FALSE(ParseRecordFilter(std::string(4000, '(')).ok());
  EXPECT_FALSE(ParseRecordFilter(std::string(4000, '-')).ok());
  for (int c = 1; c < 256; ++c) {
    const std::string noise = {static_cast<char>(c), 'm', static_cast<char>(c)};
    EXPECT_FALSE(ParseRecordFilter(noise).ok()) << c;
  }
}

}  // namespace
}  // namespace hone
