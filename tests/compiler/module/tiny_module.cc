#include "tests/compiler/module/tiny_module.h"

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/status/status.h"
#include "compiler/module/build_module.h"

namespace hone::testing {
namespace {

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::abort();
}

template <class T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) Die(value.status().ToString());
  return *std::move(value);
}

ConstantRef FloatConstant(std::vector<int64_t> dims, const std::vector<float>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return MakeConstant(DType::kF32, std::move(dims), std::move(bytes));
}

}  // namespace

TinyModel MakeTinyModel() {
  TinyModel model;
  Graph& graph = model.cut.graph;
  const TensorId x = graph.AddInput("x", {DType::kF32, {2, 3}});
  const TensorId w = graph.AddConstant("w", FloatConstant({2, 3}, {1, 2, 3, 4, 5, 6}));
  const TensorId y = OrDie(graph.AddNode("add", {x, w}, {}, "sum"))[0];
  const TensorId row = OrDie(graph.AddNode("reshape", {y}, {{"shape", std::vector<DimExpr>{6}}}, "row"))[0];
  const TensorId out = OrDie(graph.AddNode("relu", {row}, {}, "out"))[0];
  const TensorId state = OrDie(graph.AddNode("relu", {row}, {}, "state"))[0];
  graph.tensor(out).name = "out";
  graph.tensor(state).name = "state";
  graph.tensor(state).type = {DType::kI32, {kStateFields}};
  graph.SetOutputs({out, state});
  model.cut.tasks.resize(2);
  for (Task& task : model.cut.tasks) task.target = OrDie(FindTarget("x86-64-v2"));
  model.cut.calls = {{0, {x}, {w}, {y}, "sum"}, {1, {row}, {}, {out, state}, "double"}};
  model.cut.views = {{row, y}};

  Folder folder;
  int status = 0;
  const std::string said = Shell("clang-19 --target=x86_64-unknown-linux-gnu -O1 -ffreestanding -fPIC -I. -c "
                                 "tests/compiler/module/tiny_tasks.c -o " + folder / "tasks.o", &status);
  if (status != 0) Die(said);
  std::ifstream file(folder / "tasks.o", std::ios::binary);
  const auto object = std::make_shared<const std::string>(std::istreambuf_iterator<char>(file),
                                                          std::istreambuf_iterator<char>());
  model.tasks.resize(2);
  model.tasks[0].symbol = "tiny_add";
  model.tasks[0].objects = {object};
  model.tasks[0].constants = {{0, OrDie(Layout::Parse("ba")), 64}};
  model.tasks[0].scratch_bytes = 100;
  model.tasks[1].symbol = "tiny_double";
  model.tasks[1].objects = {object};   // the same once more: shared objects are linked once
  return model;
}

ModuleOptions TinyOptions(const std::string& name) {
  ModuleOptions options;
  options.name = name;
  options.model_digest = std::string(64, 'a');
  options.compiler_build = "test";
  options.target = OrDie(FindTarget("x86-64-v2"));
  options.threads = 2;
  options.traces = {"trace 1; algorithm direct", "trace 1; algorithm direct"};
  return options;
}

ModuleFiles BuildTiny(const ModuleOptions& options) {
  const TinyModel model = MakeTinyModel();
  return OrDie(BuildModule(model.cut, model.tasks, options));
}

std::string Shell(const std::string& command, int* status) {
  std::string output;
  FILE* pipe = popen(("( " + command + " ) 2>&1").c_str(), "r");
  if (pipe == nullptr) Die("popen failed");
  std::array<char, 4096> buffer;
  for (size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) output.append(buffer.data(), n);
  const int ended = pclose(pipe);
  *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
  return output;
}

bool HasProgram(const std::string& name) {
  int status = 0;
  Shell("command -v " + name, &status);
  return status == 0;
}

Folder::Folder(const ModuleFiles& files) {
  path_ = (std::filesystem::temp_directory_path() / "hone-module-test-XXXXXX").string();
  if (mkdtemp(path_.data()) == nullptr) Die("mkdtemp failed");
  for (const auto& [name, bytes] : files) Write(name, bytes);
}

Folder::~Folder() {
  std::error_code ignored;   // what is left in /tmp harms nobody
  std::filesystem::remove_all(path_, ignored);
}

void Folder::Write(const std::string& name, const std::string& bytes) const {
  std::ofstream file(path_ + "/" + name, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) Die("cannot write " + name);
}

}  // namespace hone::testing
