#include "client/bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "client/error.h"
#include "client/module_runner.h"
#include "tests/client/tiny_model.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string ModulePath(const std::string& name) {
  return fs::read_symlink("/proc/self/exe").parent_path() / ("hone_test_" + name + ".so");
}

TEST(ModuleRunnerTest, RunsAModule) {
  auto module = LoadedModule::Open(ModulePath("relu"), 0, {});
  ASSERT_TRUE(module.ok()) << module.status();
  (*module)->FillInputs(3);
  ASSERT_TRUE((*module)->Run().ok());
  const float* x = reinterpret_cast<const float*>((*module)->inputs()[0].bytes.data());
  const float* y = reinterpret_cast<const float*>((*module)->outputs()[0].bytes.data());
  bool negative = false;
  for (int i = 0; i < 6; ++i) {
    negative |= x[i] < 0;
    EXPECT_EQ(y[i], x[i] > 0 ? x[i] : 0);
  }
  EXPECT_TRUE(negative);
  EXPECT_EQ((*module)->outputs()[0].spec.dims, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(x) % 64, 0u);
}

TEST(ModuleRunnerTest, SaysWhyAModuleDoesNotOpen) {
  const absl::Status refused = LoadedModule::Open(ModulePath("relu"), 13, {}).status();
  EXPECT_THAT(refused.message(), HasSubstr("unlucky"));
  EXPECT_EQ(ExitCodeFor(refused), kExitBadInput);
  EXPECT_TRUE(absl::IsNotFound(LoadedModule::Open("/nowhere", 0, {}).status()));
  EXPECT_FALSE(LoadedModule::Open("/proc/self/exe", 0, {}).ok());
}

TEST(BenchAgainstModuleTest, ComparesSpeedAndOutputsRoundByRound) {
  BenchOptions options;
  options.rounds = 6;
  options.window_seconds = 0.0001;
  auto same = BenchAgainstModule(ModulePath("relu"), ModulePath("relu"), options);
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_TRUE(same->agrees);
  EXPECT_GT(same->ratio, 0);
  EXPECT_EQ(same->module_rounds.size(), 6u);
  EXPECT_EQ(same->reference_rounds.size(), 6u);
  auto wrong = BenchAgainstModule(ModulePath("relu"), ModulePath("wrong"), options);
  ASSERT_TRUE(wrong.ok()) << wrong.status();
  EXPECT_FALSE(wrong->agrees);
  EXPECT_THAT(BenchAgainstModule(ModulePath("relu"), "/nowhere", options).status().message(),
              HasSubstr("/nowhere"));
}

class BenchAgainstOnnxRuntimeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ClientConfig config;
    for (auto [name, field] :
         {std::pair("HONE_PYTHON", &config.python), std::pair("HONE_VENV", &config.venv)}) {
      if (const char* value = getenv(name)) *field = value;
    }
    if (config.venv.empty()) config.venv = std::string(getenv("HOME")) + "/.cache/hone/venv";
    auto python = FindOnnxRuntimePython(config);
    if (!python.ok()) GTEST_SKIP() << python.status();
    python_ = *python;
    model_ = ::testing::TempDir() + "hone_bench_test.onnx";
    std::ofstream(model_, std::ios::binary) << ReluModel();
    options_.rounds = 3;
    options_.window_seconds = 0.001;
  }
  std::string python_, model_;
  BenchOptions options_;
};

TEST_F(BenchAgainstOnnxRuntimeTest, ComparesSpeedAndOutputs) {
  auto bench = BenchAgainstOnnxRuntime(python_, ModulePath("relu"), model_, options_);
  ASSERT_TRUE(bench.ok()) << bench.status();
  EXPECT_TRUE(bench->agrees);
  EXPECT_EQ(bench->max_error, 0);
  EXPECT_GT(bench->ratio, 0);
  EXPECT_LE(bench->ratio_low, bench->ratio_high);
  EXPECT_FALSE(bench->version.empty());
}

TEST_F(BenchAgainstOnnxRuntimeTest, ADifferenceIsSeen) {
  auto bench = BenchAgainstOnnxRuntime(python_, ModulePath("wrong"), model_, options_);
  ASSERT_TRUE(bench.ok()) << bench.status();
  EXPECT_FALSE(bench->agrees);
  EXPECT_DOUBLE_EQ(bench->max_error, 1);
}

TEST_F(BenchAgainstOnnxRuntimeTest, AModelItCannotLoadIsAnError) {
  std::ofstream(model_, std::ios::binary) << "nothing";
  EXPECT_THAT(BenchAgainstOnnxRuntime(python_, ModulePath("relu"), model_, options_).status().message(),
              HasSubstr("ONNX Runtime"));
}

}  // namespace
}  // namespace hone
