#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cfenv>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "compiler/runtime/cpu_features.h"
#include "tests/compiler/module/loaded_module.h"

namespace hone::testing {
namespace {

using ::testing::HasSubstr;

class ModuleRuntimeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { files_ = new ModuleFiles(BuildTiny(TinyOptions("tiny"))); }
  static void TearDownTestSuite() {
    delete files_;
    files_ = nullptr;
  }

  HoneSession* Open(uint32_t threads = 1) {
    HoneOptions options = {};
    options.struct_size = sizeof options;
    options.threads = threads;
    HoneSession* session = nullptr;
    EXPECT_EQ(module_->open(&options, &session), HONE_OK);
    return session;
  }
  // The code and the error text of opening with these options.
  std::pair<int, std::string> OpenFails(HoneOptions options, const LoadedModule& module) {
    char error[300] = "untouched";
    options.error = error;
    options.error_size = sizeof error;
    HoneSession* session = nullptr;
    const int code = module->open(&options, &session);
    EXPECT_EQ(session, nullptr);
    return {code, error};
  }
  // Runs `child` in a forked process; returns what it returns.
  static int InChild(const std::function<int()>& child) {
    const pid_t pid = fork();
    if (pid == 0) _exit(child());
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

  static ModuleFiles* files_;
  LoadedModule module_{*files_, "tiny"};
};
ModuleFiles* ModuleRuntimeTest::files_ = nullptr;

TEST_F(ModuleRuntimeTest, ComputesWithAlignedBuffersAndPageAlignedConstants) {
  EXPECT_EQ(module_->abi_version, uint32_t{HONE_MODULE_ABI});
  EXPECT_EQ(module_->struct_size, sizeof(HoneModuleV1));
  HoneSession* session = Open();
  TinyCall call;
  ASSERT_EQ(call.Run(module_.table(), session), HONE_OK) << module_->error(session);
  EXPECT_EQ(call.Y(), TinyCall::Expected());
  EXPECT_EQ(call.state[kThreads], 1);
  EXPECT_EQ(call.state[kBodies], 6);
  EXPECT_EQ(call.state[kAligned], 1);
  EXPECT_EQ(call.state[kConstantOnPage], 1);
  EXPECT_STREQ(module_->error(session), "");
  module_->close(session);
  module_->close(nullptr);
}

TEST_F(ModuleRuntimeTest, TensorsOfAnyAlignmentAreTaken) {
  HoneSession* session = Open();
  for (const int shift : {1, 2, 3}) {   // floats
    TinyCall call;
    std::memmove(call.x + shift, call.x, 6 * sizeof(float));
    call.in[0].data = call.x;
    call.in[0].byte_offset = static_cast<uint64_t>(shift) * sizeof(float);
    call.out[0].data = call.y + shift;
    call.out[1].data = call.state + shift;
    ASSERT_EQ(call.Run(module_.table(), session), HONE_OK) << module_->error(session);
    EXPECT_EQ(std::vector<float>(call.y + shift, call.y + shift + 6), TinyCall::Expected());
    EXPECT_EQ(call.y[shift + 6], 0);
    EXPECT_EQ(call.y[0], 0);
    EXPECT_EQ(call.state[shift + kAligned], 1);
  }
  module_->close(session);
}

TEST_F(ModuleRuntimeTest, OutputBoundsFillInTheDescriptors) {
  HoneSession* session = Open();
  TinyCall call;
  call.in[0].data = nullptr;
  call.out[0] = {nullptr, {}, 1, {}, call.y_shape, nullptr, 0};
  call.out[1] = {nullptr, {}, 1, {}, call.state_shape, nullptr, 0};
  call.y_shape[0] = call.state_shape[0] = 0;
  ASSERT_EQ(module_->output_bounds(session, call.in, 1, call.out, 2), HONE_OK) << module_->error(session);
  EXPECT_EQ(call.y_shape[0], 6);
  EXPECT_EQ(call.state_shape[0], kStateFields);
  EXPECT_EQ(call.out[1].dtype.code, kDLInt);
  EXPECT_EQ(call.out[0].device.device_type, kDLCPU);
  call.out[0].ndim = 2;
  EXPECT_EQ(module_->output_bounds(session, call.in, 1, call.out, 2), HONE_SHAPE);
  EXPECT_EQ(module_->output_bounds(session, call.in, 2, call.out, 2), HONE_INVALID);
  module_->close(session);
}

TEST_F(ModuleRuntimeTest, OutputsMayBeLargerAndGetTheirShapes) {
  HoneSession* session = Open();
  TinyCall call;
  call.y_shape[0] = 16;
  ASSERT_EQ(call.Run(module_.table(), session), HONE_OK);
  EXPECT_EQ(call.y_shape[0], 6);
  module_->close(session);
}

struct BadCall {
  const char* name;
  void (*spoil)(TinyCall&);
  int code;
  const char* text;
};
const BadCall kBadCalls[] = {
    {"InputType", [](TinyCall& c) { c.in[0].dtype.code = kDLInt; }, HONE_DTYPE, "input 'x'"},
    {"InputBits", [](TinyCall& c) { c.in[0].dtype.bits = 64; }, HONE_DTYPE, "64 bits"},
    {"InputLanes", [](TinyCall& c) { c.in[0].dtype.lanes = 2; }, HONE_DTYPE, "x 2"},
    {"Device", [](TinyCall& c) { c.in[0].device.device_type = 2; }, HONE_DTYPE, "not on the CPU"},
    {"Rank", [](TinyCall& c) { c.in[0].ndim = 3; }, HONE_SHAPE, "rank 3, the module has 2"},
    {"Shape", [](TinyCall& c) { c.x_shape[1] = 4; }, HONE_SHAPE, "shape [2,4], the module has [2,3]"},
    {"NoShape", [](TinyCall& c) { c.in[0].shape = nullptr; }, HONE_SHAPE, "shape is NULL"},
    {"Strides", [](TinyCall& c) { c.in[0].strides = c.y_shape; c.y_shape[0] = 1; }, HONE_LAYOUT, "not compact"},
    {"NoData", [](TinyCall& c) { c.in[0].data = nullptr; }, HONE_INVALID, "data is NULL"},
    {"OutputTooSmall", [](TinyCall& c) { c.y_shape[0] = 5; }, HONE_SHAPE, "output 'out': too small: shape [5]"},
    {"OutputNegative", [](TinyCall& c) { c.y_shape[0] = -6; }, HONE_SHAPE, "negative"},
    {"OutputType", [](TinyCall& c) { c.out[1].dtype.code = kDLFloat; }, HONE_DTYPE, "output 'state'"},
    {"OutputRank", [](TinyCall& c) { c.out[0].ndim = 2; }, HONE_SHAPE, "rank 2"},
    {"OutputNoData", [](TinyCall& c) { c.out[0].data = nullptr; }, HONE_INVALID, "output 'out': data is NULL"},
    {"InPlace", [](TinyCall& c) { c.out[0].data = c.x + 5; }, HONE_INVALID, "overlaps"},
    {"SameOutput", [](TinyCall& c) { c.out[1].data = c.y; }, HONE_INVALID, "output 'state' overlaps"},
    {"TaskFails", [](TinyCall& c) { c.x[0] = -2e30f; }, HONE_INTERNAL, "step 0 failed with code 3"},
};

TEST_F(ModuleRuntimeTest, WrongTensorsGiveTypedErrorsAndTheSessionLives) {
  HoneSession* session = Open();
  for (const BadCall& bad : kBadCalls) {
    SCOPED_TRACE(bad.name);
    TinyCall call;
    bad.spoil(call);
    EXPECT_EQ(call.Run(module_.table(), session), bad.code);
    EXPECT_THAT(module_->error(session), HasSubstr(bad.text));
  }
  TinyCall call;
  EXPECT_EQ(module_->run(session, call.in, 2, call.out, 2), HONE_INVALID);
  EXPECT_THAT(module_->error(session), HasSubstr("wrong number of inputs: 2 in, 2 out; the module has 1 and 2"));
  EXPECT_EQ(module_->run(session, nullptr, 1, call.out, 2), HONE_INVALID);
  EXPECT_EQ(module_->run(nullptr, call.in, 1, call.out, 2), HONE_INVALID);
  EXPECT_EQ(call.Run(module_.table(), session), HONE_OK);
  EXPECT_STREQ(module_->error(session), "");
  module_->close(session);
}

TEST_F(ModuleRuntimeTest, CompactStridesAreFine) {
  HoneSession* session = Open();
  TinyCall call;
  int64_t strides[] = {3, 1};
  call.in[0].strides = strides;
  EXPECT_EQ(call.Run(module_.table(), session), HONE_OK);
  module_->close(session);
}

TEST_F(ModuleRuntimeTest, AnObserverIsToldOfEveryStep) {
  std::vector<uint32_t> seen;
  HoneOptions options = {};
  options.observe = [](void* observer, uint32_t step) { static_cast<std::vector<uint32_t>*>(observer)->push_back(step); };
  options.observer = &seen;
  HoneSession* session = nullptr;
  ASSERT_EQ(module_->open(&options, &session), HONE_OK);
  TinyCall call;
  ASSERT_EQ(call.Run(module_.table(), session), HONE_OK);
  module_->close(session);
  const auto described = nlohmann::json::parse(module_->describe());
  EXPECT_EQ(described["steps"], nlohmann::json({0, 1}));
  EXPECT_EQ(seen, (std::vector<uint32_t>{0, 1, 2}));
}

TEST_F(ModuleRuntimeTest, WrongOptionsAreRefusedWithAReason) {
  struct {
    HoneOptions options;
    char later_version[16];
  } longer = {};
  longer.options.struct_size = sizeof longer;
  EXPECT_EQ(module_->open(nullptr, nullptr), HONE_INVALID);
  HoneSession* session = nullptr;
  EXPECT_EQ(module_->open(&longer.options, &session), HONE_OK);   // what it does not know is zero
  module_->close(session);
  EXPECT_EQ(module_->open(nullptr, &session), HONE_OK);
  module_->close(session);
  longer.later_version[3] = 1;
  EXPECT_EQ(module_->open(&longer.options, &session), HONE_INVALID);
  HoneOptions half = {};
  half.allocate = [](void*, size_t, size_t) -> void* { return nullptr; };
  EXPECT_EQ(OpenFails(half, module_).first, HONE_INVALID);
  half.release = [](void*, void*) {};
  EXPECT_EQ(OpenFails(half, module_), std::make_pair(int{HONE_MEMORY}, std::string("no memory for buffers")));
  HoneOptions data = {};
  data.data_path = "x";
  EXPECT_EQ(OpenFails(data, module_).first, HONE_INVALID);
}

TEST_F(ModuleRuntimeTest, ACpuWithoutTheFeaturesIsRefused) {
  ModuleOptions options = TinyOptions("demanding");
  options.additional_cpu_features = uint64_t{1} << HONE_CPU_FEATURE_NONE;
  const LoadedModule demanding(BuildTiny(options), "demanding");
  const auto [code, text] = OpenFails({}, demanding);
  EXPECT_EQ(code, HONE_UNSUPPORTED);
  EXPECT_EQ(text, "this CPU or operating system lacks what the module was compiled for: none");
}

TEST_F(ModuleRuntimeTest, ARunDuringARunIsBusy) {
  // From inside the caller's own parallel_for the run is certainly under way.
  struct Inner {
    const HoneModuleV1* module;
    HoneSession* session;
    int code = -1;
  } inner{module_.table(), nullptr};
  HoneOptions options = {};
  options.threads = 2;
  options.pool = &inner;
  options.parallel_for = [](void* pool, int n, void (*body)(void*, int), void* context) {
    auto* inner = static_cast<Inner*>(pool);
    TinyCall call;
    inner->code = call.Run(inner->module, inner->session);
    for (int i = n; i-- > 0;) body(context, i);
  };
  ASSERT_EQ(module_->open(&options, &inner.session), HONE_OK);
  TinyCall call;
  EXPECT_EQ(call.Run(module_.table(), inner.session), HONE_OK);
  EXPECT_EQ(inner.code, HONE_BUSY);
  EXPECT_EQ(call.Y(), TinyCall::Expected());
  EXPECT_EQ(call.state[kThreads], 2);
  EXPECT_EQ(CountThreads(), 1);   // the caller's pool replaces the module's
  module_->close(inner.session);
}

TEST_F(ModuleRuntimeTest, MemoryComesFromTheCallersAllocator) {
  struct Counter {
    size_t allocated = 0, released = 0;
  } counter;
  HoneOptions options = {};
  options.allocator = &counter;
  options.allocate = [](void* allocator, size_t bytes, size_t alignment) {
    static_cast<Counter*>(allocator)->allocated += bytes;
    void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    std::memset(memory, 0xee, bytes);
    return memory;
  };
  options.release = [](void* allocator, void* memory) {
    ++static_cast<Counter*>(allocator)->released;
    std::free(memory);
  };
  HoneSession* session = nullptr;
  ASSERT_EQ(module_->open(&options, &session), HONE_OK);
  const size_t opened = counter.allocated;
  EXPECT_GT(opened, 0u);
  TinyCall call;
  EXPECT_EQ(call.Run(module_.table(), session), HONE_OK);
  EXPECT_EQ(call.Y(), TinyCall::Expected());
  EXPECT_EQ(counter.allocated, opened);
  module_->close(session);
  EXPECT_EQ(counter.released, 1u);
}

TEST_F(ModuleRuntimeTest, TheFloatControlWordIsSetOnEveryThreadAndRestored) {
  HoneSession* session = Open(2);
  std::fesetround(FE_UPWARD);
  TinyCall call;
  EXPECT_EQ(call.Run(module_.table(), session), HONE_OK);
  EXPECT_EQ(call.state[kFloatControlRight], 1);
  EXPECT_EQ(std::fegetround(), FE_UPWARD);
  std::fesetround(FE_TONEAREST);
  module_->close(session);
}

TEST_F(ModuleRuntimeTest, SessionsShareAPoolThatGrowsAndEnds) {
  const int before = CountThreads();
  HoneSession* two = Open(2);
  EXPECT_EQ(CountThreads(), before + 1);
  HoneSession* three = Open(3);
  EXPECT_EQ(CountThreads(), before + 2);
  HoneSession* one = Open(1);
  EXPECT_EQ(CountThreads(), before + 2);
  for (const auto& [session, threads] : {std::pair(one, 1), {two, 2}, {three, 3}}) {
    TinyCall call;
    EXPECT_EQ(call.Run(module_.table(), session), HONE_OK);
    EXPECT_EQ(call.Y(), TinyCall::Expected());
    EXPECT_EQ(call.state[kThreads], threads);
  }
  module_->close(three);
  module_->close(two);
  EXPECT_EQ(CountThreads(), before + 2);
  module_->close(one);
  EXPECT_EQ(CountThreads(), before);
}

TEST_F(ModuleRuntimeTest, ARunThatFindsThePoolBusyProceedsAlone) {
  HoneSession *first = Open(2), *second = Open(2);
  TinyCall waiting, call;
  waiting.x[1] = 2e30f;
  waiting.x[2] = 0;
  std::thread thread([&] { EXPECT_EQ(waiting.Run(module_.table(), first), HONE_OK); });
  while (*const_cast<volatile float*>(&waiting.x[2]) != 1) std::this_thread::yield();
  TinyCall same;
  EXPECT_EQ(same.Run(module_.table(), first), HONE_BUSY);
  EXPECT_EQ(call.Run(module_.table(), second), HONE_OK);
  EXPECT_EQ(call.state[kThreads], 1);
  EXPECT_EQ(call.Y(), TinyCall::Expected());
  *const_cast<volatile float*>(&waiting.x[1]) = 1;
  thread.join();
  EXPECT_EQ(call.Run(module_.table(), second), HONE_OK);
  EXPECT_EQ(call.state[kThreads], 2);
  module_->close(first);
  module_->close(second);
}

// Sessions that come, run and go on several threads at once, while the pool grows, is fought for, and ends.
TEST_F(ModuleRuntimeTest, SessionsOfManyThreadsComeAndGo) {
  const int before = CountThreads();
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 60; ++round) {
        HoneSession* session = nullptr;
        HoneOptions options = {};
        options.threads = static_cast<uint32_t>(1 + (t + round) % 4);
        if (module_->open(&options, &session) != HONE_OK) {
          ++wrong;
          continue;
        }
        for (int i = 0; i < 5; ++i) {
          TinyCall call;
          const bool ran = call.Run(module_.table(), session) == HONE_OK;
          wrong += !ran || call.Y() != TinyCall::Expected() || call.state[kBodies] != 6 ||
                   call.state[kThreads] > static_cast<int>(options.threads);
        }
        module_->close(session);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(CountThreads(), before);
}

TEST_F(ModuleRuntimeTest, AForkedChildRunsSingleThreaded) {
  HoneSession *idle = Open(2), *running = Open(2);
  TinyCall waiting;
  waiting.x[1] = 2e30f;
  waiting.x[2] = 0;
  std::thread thread([&] { EXPECT_EQ(waiting.Run(module_.table(), running), HONE_OK); });
  while (*const_cast<volatile float*>(&waiting.x[2]) != 1) std::this_thread::yield();
  const int code = InChild([&] {
    for (HoneSession* session : {idle, running}) {   // in the child no run is under way
      TinyCall call;
      if (call.Run(module_.table(), session) != HONE_OK) return 1;
      if (call.Y() != TinyCall::Expected() || call.state[kThreads] != 1) return 2;
    }
    HoneSession* opened = nullptr;
    if (module_->open(nullptr, &opened) != HONE_OK) return 3;
    const int grandchild = InChild([&] {
      TinyCall call;
      return call.Run(module_.table(), opened) == HONE_OK && call.state[kThreads] == 1 ? 0 : 1;
    });
    if (grandchild != 0) return 4;
    for (HoneSession* session : {idle, running, opened}) module_->close(session);
    // Nothing inherited is left: the child may have threads of its own.
    HoneOptions options = {};
    options.threads = 2;
    TinyCall call;
    if (module_->open(&options, &opened) != HONE_OK || call.Run(module_.table(), opened) != HONE_OK) return 5;
    if (call.state[kThreads] != 2) return 6;
    module_->close(opened);
    return 0;
  });
  EXPECT_EQ(code, 0);
  *const_cast<volatile float*>(&waiting.x[1]) = 1;
  thread.join();
  TinyCall call;
  EXPECT_EQ(call.Run(module_.table(), idle), HONE_OK);
  EXPECT_EQ(call.state[kThreads], 2);   // the parent keeps its pool
  module_->close(idle);
  module_->close(running);
}

TEST_F(ModuleRuntimeTest, ConstantsAboveTheThresholdComeFromACheckedFile) {
  ModuleOptions options = TinyOptions("big");
  options.sidecar_threshold = 1;
  ModuleFiles files = BuildTiny(options);
  ASSERT_TRUE(files.contains("big.bin"));
  const LoadedModule big(files, "big");
  EXPECT_THAT(big->describe(), HasSubstr("\"file\": \"big.bin\""));
  const std::string path = big.folder() / "big.bin";
  HoneOptions open = {};
  EXPECT_EQ(OpenFails(open, big).first, HONE_DATA);
  open.data_path = "/nowhere/big.bin";
  EXPECT_THAT(OpenFails(open, big).second, HasSubstr("'/nowhere/big.bin': cannot open, errno 2"));
  open.data_path = path.c_str();
  HoneSession* session = nullptr;
  ASSERT_EQ(big->open(&open, &session), HONE_OK);
  TinyCall call;
  EXPECT_EQ(call.Run(big.table(), session), HONE_OK);
  EXPECT_EQ(call.Y(), TinyCall::Expected());
  big->close(session);

  files["big.bin"][5] ^= 1;
  big.folder().Write("big.bin", files["big.bin"]);
  EXPECT_THAT(OpenFails(open, big).second, HasSubstr("digest differs"));
  big.folder().Write("big.bin", files["big.bin"] + "x");
  EXPECT_THAT(OpenFails(open, big).second, HasSubstr("has 65 bytes instead of 64"));
}

}  // namespace
}  // namespace hone::testing
