#include "compiler/module/package.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "compiler/module/build_module.h"
#include "tests/compiler/module/tiny_module.h"

namespace hone::testing {
namespace {

TEST(PackageTest, NamesBecomeIdentifiers) {
  EXPECT_EQ(ModuleIdentifier("resnet50"), "resnet50");
  EXPECT_EQ(ModuleIdentifier("50net"), "m_50net");
  EXPECT_EQ(ModuleIdentifier(""), "model");
  EXPECT_EQ(ModuleIdentifier("../../etc"), "______etc");
  EXPECT_EQ(ModuleIdentifier("../.."), "model");
  EXPECT_EQ(ModuleIdentifier("a\"; }\n#error"), "a______error");
  EXPECT_EQ(ModuleIdentifier("模型"), "model");
  EXPECT_EQ(ModuleIdentifier(std::string(500, 'x')).size(), 64u);
}

// Names from models end up in C, make, JSON and linker scripts; none of them may break out.
TEST(PackageTest, HostileNamesStayText) {
  const std::string hostile = "*/ \"@NAME@\\ $(shell x) ?\?/ %s \xff\n#error {";
  TinyModel model = MakeTinyModel();
  for (const TensorId id : {model.cut.graph.inputs()[0], model.cut.graph.outputs()[0]}) {
    model.cut.graph.tensor(id).name = hostile;
  }
  ModuleOptions options = TinyOptions(hostile);
  options.traces = {hostile, hostile};
  const auto files = BuildModule(model.cut, model.tasks, options);
  ASSERT_TRUE(files.ok()) << files.status();
  const std::string name = ModuleIdentifier(hostile);
  ASSERT_TRUE(files->contains(name + ".so"));
  const Folder folder(*files);
  int status = 0;
  EXPECT_EQ(Shell("make -s CFLAGS='-O0 -Wall -Wextra -Werror' -C " + folder.path(), &status), "");
  ASSERT_EQ(status, 0);
  const std::string said = Shell("cd " + folder.path() + " && ./sample --runs 1", &status);
  EXPECT_EQ(status, 0) << said;
  EXPECT_THAT(said, ::testing::HasSubstr(hostile + " f32[6]"));
  EXPECT_TRUE(nlohmann::json::accept(files->at("describe.json")));
}

}  // namespace
}  // namespace hone::testing
