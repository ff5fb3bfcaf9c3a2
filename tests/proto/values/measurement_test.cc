#include "proto/values/measurement.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(Measurement, SummaryUsesKeptWindows) {
  Measurement m;
  for (int i = 1; i <= 10; ++i) m.windows.push_back({i * 1.0, 1, 1.0, true});
  m.windows.push_back({1000.0, 1, 0.5, false});
  SummariseWindows(m);
  EXPECT_EQ(m.p20_seconds, 3);
  EXPECT_EQ(m.p95_seconds, 10);
}

TEST(Measurement, FewKeptWindowsFallBackToAll) {
  Measurement m;
  m.windows = {{5, 1, 0.2, false}, {7, 1, 1, true}};
  SummariseWindows(m);
  EXPECT_EQ(m.p20_seconds, 5);
}

TEST(Measurement, OutcomeNamesParseBack) {
  for (int i = 0; i < 8; ++i) {
    const Outcome outcome = static_cast<Outcome>(i);
    EXPECT_EQ(ParseOutcome(OutcomeName(outcome)), outcome);
  }
  EXPECT_EQ(ParseOutcome("fine"), std::nullopt);
}

}  // namespace
}  // namespace hone
