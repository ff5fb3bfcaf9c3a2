#include "worker/rotation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/match.h"
#include "compiler/runtime/input_generator.h"

namespace hone {
namespace {

// A machine of a test's own making: its clock advances by what is run on it, its speed drifts, neighbours
// disturb.
struct FakeHost {
  double now = 0;
  double Speed() const { return 1 + 0.3 * std::sin(now * 50); }
  double disturbed = 0;  // part of windows
  uint64_t draws = 0;
  double Draw() { return HoneUniform(9, 1, draws++); }
};

class FakeContestant : public Contestant {
 public:
  FakeContestant(FakeHost* host, double seconds, int dies_after = -1)
      : host_(host), seconds_(seconds), dies_after_(dies_after) {}
  Report RunWindow(uint32_t calls) override {
    if (dies_after_-- == 0) return {.ending = Ending{Outcome::kCrash, "died"}};
    requested_calls = calls;
    ++windows;
    double seconds = seconds_ * host_->Speed() * (1 + 0.02 * host_->Draw());
    Window window{.calls = calls, .cpu_fraction = 1, .kept = true};
    if (host_->Draw() < host_->disturbed) {
      seconds *= 2;
      window.cpu_fraction = 0.5;
      window.kept = false;
    }
    window.seconds = seconds;
    host_->now += seconds * (calls + 1);
    return {.window = window};
  }
  uint32_t requested_calls = 0;
  int windows = 0;

 private:
  FakeHost* host_;
  double seconds_;
  int dies_after_;
};

std::vector<Measurement> RotateAll(std::vector<FakeContestant>& contestants, const RotationOptions& options) {
  std::vector<Contestant*> pointers;
  for (FakeContestant& c : contestants) pointers.push_back(&c);
  return Rotate(pointers, std::vector<double>(pointers.size(), 1e-4), options, nullptr);
}

TEST(Rotation, RatiosSurviveDrift) {
  FakeHost host;
  std::vector<FakeContestant> c = {{&host, 1e-4}, {&host, 0.9e-4}, {&host, 1e-4}};
  const auto m = RotateAll(c, {.windows = 20, .incumbent = 0});
  EXPECT_NEAR(m[1].ratio_to_incumbent, 0.9, 0.05);
  EXPECT_LT(m[1].ratio_high, 1);
  EXPECT_LT(m[1].ratio_low, m[1].ratio_high);
  EXPECT_NEAR(m[2].ratio_to_incumbent, 1, 0.05);
  EXPECT_LE(m[2].ratio_low, 1);
  EXPECT_GE(m[2].ratio_high, 1);
  EXPECT_EQ(m[0].ratio_to_incumbent, 1);
  EXPECT_EQ(m[1].windows.size(), 20u);
}

TEST(Rotation, LosersAreDroppedEarlyAndStayOk) {
  FakeHost host;
  std::vector<FakeContestant> c = {{&host, 1e-4}, {&host, 4e-4}, {&host, 1.5e-4}, {&host, 0.99e-4}};
  const auto m = RotateAll(c, {.windows = 30, .incumbent = 0});
  EXPECT_EQ(m[1].windows.size(), 1u);
  EXPECT_LT(m[2].windows.size(), 30u);
  EXPECT_EQ(m[1].outcome, Outcome::kOk);
  EXPECT_GT(m[1].ratio_low, 1);
  EXPECT_EQ(m[3].windows.size(), 30u);
}

TEST(Rotation, WindowsAreLongEnough) {
  FakeHost host;
  std::vector<FakeContestant> c = {{&host, 1e-6}};
  RotateAll(c, {.windows = 5});
  EXPECT_GE(c[0].requested_calls * 1e-6 * 1.35, kWindowSeconds);
}

TEST(Rotation, OneDeathLeavesTheOthers) {
  FakeHost host;
  std::vector<FakeContestant> c = {{&host, 1e-4}, {&host, 1e-4, 2}, {&host, 1e-4}};
  const auto m = RotateAll(c, {.windows = 10, .incumbent = 0});
  EXPECT_EQ(m[1].outcome, Outcome::kCrash);
  EXPECT_EQ(m[1].ratio_to_incumbent, 0);
  EXPECT_EQ(m[2].outcome, Outcome::kOk);
  EXPECT_EQ(m[2].windows.size(), 10u);
}

TEST(Rotation, DeadIncumbentLeavesNoRatio) {
  FakeHost host;
  std::vector<FakeContestant> c = {{&host, 1e-4, 0}, {&host, 1e-4}};
  const auto m = RotateAll(c, {.windows = 5, .incumbent = 0});
  EXPECT_EQ(m[0].outcome, Outcome::kCrash);
  EXPECT_EQ(m[1].outcome, Outcome::kOk);
  EXPECT_EQ(m[1].ratio_to_incumbent, 0);
}

TEST(Rotation, DisturbedWindowsAreRepeatedAndNotCounted) {
  FakeHost host{.disturbed = 0.3};
  std::vector<FakeContestant> c = {{&host, 1e-4}, {&host, 1e-4}};
  const auto m = RotateAll(c, {.windows = 12, .incumbent = 0});
  size_t kept = 0;
  for (const Window& w : m[1].windows) kept += w.kept;
  EXPECT_GE(kept, 12u);
  EXPECT_GT(m[1].windows.size(), 12u);
  EXPECT_LT(m[1].p95_seconds, 1.4e-4);
  EXPECT_EQ(m[1].message, "");
}

TEST(Rotation, HopelesslyNoisyHostIsSaid) {
  FakeHost host{.disturbed = 1};
  std::vector<FakeContestant> c = {{&host, 1e-4}};
  const auto m = RotateAll(c, {.windows = 9});
  EXPECT_EQ(m[0].outcome, Outcome::kOk);
  EXPECT_EQ(m[0].windows.size(), 18u);
  EXPECT_TRUE(absl::StrContains(m[0].message, "noisy host: 0 of 18")) << m[0].message;
  EXPECT_GT(m[0].p20_seconds, 0);
}

TEST(Rotation, RunLimitBoundsTheWindows) {
  FakeHost host;
  std::vector<FakeContestant> c = {{&host, 1.0}};
  const auto m = RotateAll(c, {.windows = 30, .run_limit_seconds = 5});
  EXPECT_LE(m[0].windows.size(), 5u);
  EXPECT_GE(m[0].windows.size(), 1u);
}

}  // namespace
}  // namespace hone
