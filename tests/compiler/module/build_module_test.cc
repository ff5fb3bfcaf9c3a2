#include "compiler/module/build_module.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "compiler/runtime/content_digest.h"
#include "tests/compiler/module/tiny_module.h"

namespace hone::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class BuildModuleTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { files_ = new ModuleFiles(BuildTiny(TinyOptions("tiny"))); }
  static void TearDownTestSuite() {
    delete files_;
    files_ = nullptr;
  }
  std::string Run(const std::string& command) {
    int status = 0;
    const std::string said = Shell(command, &status);
    EXPECT_EQ(status, 0) << command << "\n" << said;
    return said;
  }
  static ModuleFiles* files_;
};
ModuleFiles* BuildModuleTest::files_ = nullptr;

// Names of dynamic symbols: kind letter of nm and name, as "U memcpy".
std::set<std::string> DynamicSymbols(const std::string& path) {
  int status = 0;
  std::istringstream lines(Shell("nm -D --format=posix " + path, &status));
  std::set<std::string> symbols;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name, kind;
    words >> name >> kind;
    symbols.insert(kind + " " + name);
  }
  return symbols;
}

TEST_F(BuildModuleTest, TheLibraryNeedsNothingAndShowsTwoSymbols) {
  const Folder folder(*files_);
  const std::string library = folder / "tiny.so";
  EXPECT_THAT(Run("readelf -d " + library), Not(HasSubstr("NEEDED")));
  EXPECT_THAT(Run("readelf -V " + library), Not(HasSubstr("Version needs")));
  EXPECT_THAT(Run("readelf -lW " + library), Not(HasSubstr("RWE")));
  std::set<std::string> symbols = DynamicSymbols(library);
  for (const char* allowed : {"U memcpy", "U memset", "U memmove", "U memcmp", "w pthread_create", "w pthread_join"}) {
    symbols.erase(allowed);
  }
  EXPECT_EQ(symbols, (std::set<std::string>{"T hone_module", "T tiny_hone_module"}));
}

TEST_F(BuildModuleTest, RunsInAStrangersProgramAndAllocatesNothing) {
  const Folder folder(*files_);
  Run("cc -O1 -Icompiler/runtime -o " + folder / "host tests/compiler/module/module_host.c -ldl -pthread");
  const std::string said = Run(folder / "host " + folder / "tiny.so");
  EXPECT_THAT(said, HasSubstr("ok, 2 threads"));
  if (said.find("no system call for memory") == std::string::npos) {
    std::printf("seccomp is not available here: system calls of run were not checked\n");
  }
}

TEST_F(BuildModuleTest, SurvivesBeingStripped) {
  const Folder folder(*files_);
  Run("strip " + folder / "tiny.so");
  Run("cc -O1 -Icompiler/runtime -o " + folder / "host tests/compiler/module/module_host.c -ldl -pthread");
  EXPECT_THAT(Run(folder / "host " + folder / "tiny.so"), HasSubstr("ok, 2 threads"));
}

TEST_F(BuildModuleTest, WithoutThreadsOfTheProgramItRunsAloneAndSaysSo) {
  // A static program without libpthread's symbols: musl's libc.a brings pthread_create only if somebody needs it.
  if (!HasProgram("musl-gcc")) GTEST_SKIP() << "musl-gcc is not installed (deploy/packages.txt)";
  const Folder folder(*files_);
  folder.Write("alone.c", R"(
#include <stdio.h>
#include "tiny.h"
int main(void) {
  char note[200] = "";
  HoneOptions options = {0};
  options.threads = 2;
  options.error = note;
  options.error_size = sizeof note;
  HoneSession* session;
  const int code = HoneOpen(tiny_hone_module(), &options, &session);
  printf("%d %s\n", code, note);
  HoneClose(tiny_hone_module(), session);
})");
  Run("cd " + folder.path() + " && musl-gcc -static -o alone alone.c tiny.a");
  EXPECT_THAT(Run(folder / "alone"), ::testing::StartsWith("0 note: runs with fewer threads than asked for"));
}

TEST_F(BuildModuleTest, RunsUnderMusl) {
  if (!HasProgram("musl-gcc")) GTEST_SKIP() << "musl-gcc is not installed (deploy/packages.txt)";
  const Folder folder(*files_);
  Run("musl-gcc -O1 -Icompiler/runtime -o " + folder / "host tests/compiler/module/module_host.c");
  EXPECT_THAT(Run("readelf -lW " + folder / "host"), HasSubstr("ld-musl"));
  EXPECT_THAT(Run(folder / "host " + folder / "tiny.so"), HasSubstr("ok, 2 threads"));
}

TEST_F(BuildModuleTest, TwoModulesLinkIntoOneProgram) {
  Folder folder(BuildTiny(TinyOptions("first")));
  for (const auto& [name, bytes] : BuildTiny(TinyOptions("second"))) folder.Write(name, bytes);
  const std::string source = "tests/compiler/module/two_modules.c ";
  Run("cc -Wall -Werror -Wl,--fatal-warnings -I" + folder.path() + " -o " + folder / "static " + source +
      folder / "first.a " + folder / "second.a -pthread");
  EXPECT_EQ(Run(folder / "static"), "ok\n");
  Run("cd " + folder.path() + " && cc -I. -o shared -x c - -L. -l:first.so -l:second.so -Wl,-rpath,. < $OLDPWD/" + source);
  EXPECT_EQ(Run("cd " + folder.path() + " && ./shared"), "ok\n");
}

TEST_F(BuildModuleTest, TheArchiveShowsOneFunction) {
  const Folder folder(*files_);
  const std::string symbols = Run("nm --extern-only --defined-only --format=posix " + folder / "tiny.a");
  EXPECT_THAT(symbols, HasSubstr("tiny_hone_module T"));
  EXPECT_THAT(symbols, HasSubstr("tiny_hone_constants"));   // hidden, for the other member alone
  EXPECT_EQ(std::count(symbols.begin(), symbols.end(), '\n'), 4) << symbols;   // two members' headers
}

TEST_F(BuildModuleTest, TheSampleBuildsByItsMakefileAndRuns) {
  const Folder folder(*files_);
  Run("make -s CFLAGS='-O1 -Wall -Wextra -Werror' -C " + folder.path());
  for (const std::string program : {"./sample", "./sample-static"}) {
    const std::string said = Run("cd " + folder.path() + " && " + program + " --threads 1 --runs 3");
    EXPECT_THAT(said, HasSubstr("out f32[6] ="));
    EXPECT_THAT(said, HasSubstr("3 runs: min "));
  }
  const float x[6] = {0, 1, 2, 3, 4, 5}, expected[6] = {2, 6, 10, 14, 18, 22};
  folder.Write("x.bin", std::string(reinterpret_cast<const char*>(x), sizeof x));
  EXPECT_THAT(Run("cd " + folder.path() + " && ./sample --output y x.bin"), HasSubstr("= 2 6 10 14 18 22\n"));
  folder.Write("expected", std::string(reinterpret_cast<const char*>(expected), sizeof expected));
  Run("cd " + folder.path() + " && cmp y.0 expected");
  int status = 0;
  EXPECT_THAT(Shell("cd " + folder.path() + " && ./sample expected.bin", &status), HasSubstr("cannot open"));
  EXPECT_EQ(status, 1);
}

TEST_F(BuildModuleTest, ThePythonLoaderRuns) {
  int status = 0;
  std::string python = "${HONE_VENV:-$HOME/.cache/hone/venv}/bin/python";   // as deploy/install makes it
  Shell(python + " -c 'import numpy'", &status);
  if (status != 0) {
    python = "python3";
    Shell(python + " -c 'import numpy'", &status);
  }
  if (status != 0) GTEST_SKIP() << "no Python with NumPy (deploy/install makes one)";
  const Folder folder(*files_);
  folder.Write("use.py", R"(
import numpy as np, hone_module
with hone_module.Module("tiny.so", threads=2) as m:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    print(m.run({"x": x})["out"].tolist(), m.run({"x": x.T.copy().T})["state"][0])
    for wrong in ({"x": x.astype(np.float64)}, {"x": x[:1]}, {"y": x}):
        try: m.run(wrong)
        except hone_module.HoneError as e: print(e.code, e)
    print(sorted(m.bench(seconds=0.01)))
)");
  const std::string said = Run("cd " + folder.path() + " && " + python + " use.py");
  EXPECT_THAT(said, HasSubstr("[2.0, 6.0, 10.0, 14.0, 18.0, 22.0] 2\n"));
  EXPECT_THAT(said, HasSubstr("2 wrong dtype"));
  EXPECT_THAT(said, HasSubstr("3 wrong shape (3): input 'x': shape [1,3], the module has [2,3]"));
  EXPECT_THAT(said, HasSubstr("1 invalid argument (1): inputs are ['x'], got ['y']"));
  EXPECT_THAT(said, HasSubstr("['median', 'min', 'p95', 'runs']"));
  EXPECT_THAT(Run("cd " + folder.path() + " && " + python + " hone_module.py tiny.so"), HasSubstr("out float32[6]"));
}

TEST_F(BuildModuleTest, DescribesItself) {
  const auto json = nlohmann::json::parse((*files_)["describe.json"]);
  EXPECT_EQ(json["name"], "tiny");
  EXPECT_EQ(json["target"], "x86-64-v2");
  EXPECT_EQ(json["inputs"][0]["shape"], nlohmann::json({2, 3}));
  EXPECT_EQ(json["outputs"][1]["dtype"], "i32");
  EXPECT_EQ(json["tasks"].size(), 2u);
  EXPECT_TRUE(json["data"].is_null());
  EXPECT_THAT(json["cpu_features"].dump(), HasSubstr("sse4.2"));
  EXPECT_THAT(json["cpu_features"].dump(), Not(HasSubstr("avx")));
}

TEST_F(BuildModuleTest, TheSameInputGivesTheSameBytes) { EXPECT_EQ(BuildTiny(TinyOptions("tiny")), *files_); }

TEST_F(BuildModuleTest, SymbolicShapesAreRefusedWithAReason) {
  TinyModel model = MakeTinyModel();
  model.cut.graph.tensor(model.cut.graph.inputs()[0]).type.shape[0] = DimExpr(MakeSymbol("n", 1, 8));
  const auto built = BuildModule(model.cut, model.tasks, TinyOptions("tiny"));
  EXPECT_EQ(built.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(built.status().message()), HasSubstr("bind the symbols"));
}

TEST(ContentDigestTest, IsXxh64) {
  // Vectors of the reference implementation, seed 0.
  EXPECT_EQ(HoneContentDigest("", 0), 0xef46db3751d8e999u);
  EXPECT_EQ(HoneContentDigest("abc", 3), 0x44bc2cf5ad770999u);
  const std::string text = "Nobody inspects the spammish repetition";
  EXPECT_EQ(HoneContentDigest(text.data(), text.size()), 0xfbcea83c8a378bf1u);
}

}  // namespace
}  // namespace hone::testing
