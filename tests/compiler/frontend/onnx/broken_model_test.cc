// Models from strangers: whatever the bytes, an error that tells what is wrong, in bounded time and memory.
#include <random>

#include "compiler/frontend/onnx/operator_table.h"
#include "gtest/gtest.h"
#include "tests/compiler/frontend/onnx/onnx_model.h"

namespace hone {
namespace {

void ExpectInvalid(const OnnxModel& model, const std::string& part) {
  const absl::Status status = model.Import({}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_NE(status.message().find(part), absl::string_view::npos) << status << " lacks " << part;
}

OnnxModel WithNode(const std::string& op, const std::vector<std::string>& inputs) {
  OnnxModel m;
  m.Input("x", {1, 4, 8, 8});
  m.Floats("w", {4, 4, 3, 3}, std::vector<float>(144));
  m.Node(op, inputs, {"y"});
  m.Output("y");
  return m;
}

TEST(BrokenModelTest, TruncatedAnywhere) {
  const std::string bytes = SmallClassifier().proto().SerializeAsString();
  for (size_t length = 0; length < bytes.size(); length += 13) {
    const absl::StatusOr<OnnxImport> import =
        ImportOnnx(FilesOf(bytes.substr(0, length)), {{"x", {1, 3, 8, 8}}});
    EXPECT_TRUE(import.ok() || absl::IsInvalidArgument(import.status())) << length << import.status();
  }
  EXPECT_TRUE(absl::IsInvalidArgument(ImportOnnx(FilesOf(bytes.substr(0, bytes.size() / 2)), {}).status()));
}

TEST(BrokenModelTest, CorruptedAnywhere) {
  std::string bytes = SmallClassifier().proto().SerializeAsString();
  std::mt19937 random(1);
  for (int trial = 0; trial < 3000; ++trial) {
    std::string broken = bytes;
    for (int k = 0; k < 1 + trial % 4; ++k) {
      // Weights are most of the bytes; the interesting ones are the others.
      size_t at = random() % broken.size();
      if (trial % 2 == 0) at = broken.size() - 1 - random() % 700;
      broken[at] = static_cast<char>(random());
    }
    const absl::StatusOr<OnnxImport> import = ImportOnnx(FilesOf(broken), {});
    EXPECT_TRUE(import.ok() || absl::IsInvalidArgument(import.status())) << import.status();
  }
}

TEST(BrokenModelTest, NotAModel) {
  for (const std::string& bytes :
       {std::string(), std::string("hello"), std::string(1000, '\0'), std::string(1000, '\xff')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ImportOnnx(FilesOf(bytes), {}).status()));
  }
  ModelFiles files = FilesOf("x");
  files.main_file = "other";
  EXPECT_TRUE(absl::IsInvalidArgument(ImportOnnx(files, {}).status()));
}

TEST(BrokenModelTest, Cycles) {
  OnnxModel m;
  m.Input("x", {4});
  m.Node("Add", {"x", "b"}, {"a"});
  m.Node("Relu", {"a"}, {"b"});
  m.Output("b");
  ExpectInvalid(m, "cycle");
}

TEST(BrokenModelTest, ValuesWrittenTwiceOrNever) {
  OnnxModel m;
  m.Input("x", {4});
  m.Node("Relu", {"x"}, {"y"});
  m.Node("Exp", {"x"}, {"y"});
  m.Output("y");
  ExpectInvalid(m, "second time");
  ExpectInvalid(WithNode("Relu", {"nowhere"}), "nowhere");
  ExpectInvalid(WithNode("Conv", {"x"}), "Conv_y");
  OnnxModel no_output;
  no_output.Input("x", {4});
  ExpectInvalid(no_output, "no outputs");
}

TEST(BrokenModelTest, UnknownElementTypes) {
  OnnxModel m = WithNode("Relu", {"x"});
  m.proto().mutable_graph()->mutable_initializer(0)->set_data_type(77);
  ExpectInvalid(m, "'w'");
  OnnxModel input;
  input.Input("x", {4}, 99);
  input.Node("Relu", {"x"}, {"y"});
  input.Output("y");
  ExpectInvalid(input, "'x'");
}

TEST(BrokenModelTest, InitializersThatClaimMoreThanThereIs) {
  OnnxModel m = WithNode("Relu", {"x"});
  onnx::TensorProto& w = *m.proto().mutable_graph()->mutable_initializer(0);
  for (const std::vector<int64_t>& dims : std::vector<std::vector<int64_t>>{
           {2'500'000'000}, {1 << 20, 1 << 20, 1 << 20}, {int64_t{1} << 62, 4}, {-1}, {144, 0}, {145}}) {
    w.clear_dims();
    for (const int64_t dim : dims) w.add_dims(dim);
    ExpectInvalid(m, "'w'");
    w.clear_raw_data();  // and without any bytes
    if (dims != std::vector<int64_t>{144, 0}) ExpectInvalid(m, "'w'");
    w.set_raw_data(std::string(576, '\0'));
  }
}

TEST(BrokenModelTest, ResultsThatExplode) {
  OnnxModel m;
  m.Input("x", {1});
  m.Integers("shape", {3}, {int64_t{1} << 40, int64_t{1} << 40, 1 << 20});
  m.Node("ConstantOfShape", {"shape"}, {"big"});
  m.Node("Add", {"x", "big"}, {"y"});
  m.Output("y");
  ExpectInvalid(m, "ConstantOfShape_big");
  OnnxModel range;
  range.Input("x", {1});
  for (const auto& [name, value] :
       std::map<std::string, int64_t>{{"a", 0}, {"b", int64_t{1} << 60}, {"c", 1}}) {
    range.Integers(name, {}, {value});
  }
  range.Node("Range", {"a", "b", "c"}, {"y"});
  range.Output("y");
  ExpectInvalid(range, "Range_y");
}

TEST(BrokenModelTest, AttributesOutOfRange) {
  for (const std::vector<int64_t>& strides :
       std::vector<std::vector<int64_t>>{{0, 1}, {-1, 1}, {1}, {int64_t{1} << 40, 1}}) {
    OnnxModel m = WithNode("Conv", {"x", "w"});
    OnnxModel::Ints(*m.proto().mutable_graph()->mutable_node(0), "strides", strides);
    ExpectInvalid(m, "Conv_y");
  }
  OnnxModel group = WithNode("Conv", {"x", "w"});
  OnnxModel::Int(*group.proto().mutable_graph()->mutable_node(0), "group", 0);
  ExpectInvalid(group, "group");
  OnnxModel axis = WithNode("Softmax", {"x"});
  OnnxModel::Int(*axis.proto().mutable_graph()->mutable_node(0), "axis", 7);
  ExpectInvalid(axis, "axis 7");
  OnnxModel perm = WithNode("Transpose", {"x"});
  OnnxModel::Ints(*perm.proto().mutable_graph()->mutable_node(0), "perm", {0, 1, 1, 3});
  ExpectInvalid(perm, "perm");
  OnnxModel type = WithNode("Softmax", {"x"});
  OnnxModel::String(*type.proto().mutable_graph()->mutable_node(0), "axis", "one");
  ExpectInvalid(type, "axis");
}

TEST(BrokenModelTest, WrongShapes) {
  ExpectInvalid(WithNode("MatMul", {"x", "w"}), "MatMul_y");
  ExpectInvalid(WithNode("Add", {"x", "w"}), "Add_y");
  OnnxModel reshape;
  reshape.Input("x", {2, 3});
  reshape.Integers("shape", {2}, {4, -1});
  reshape.Node("Reshape", {"x", "shape"}, {"y"});
  reshape.Output("y");
  ExpectInvalid(reshape, "Reshape_y");
}

TEST(BrokenModelTest, OpsetsOutsideTheRange) {
  for (const int opset : {0, 8, kMaxOpset + 1, 1000}) {
    OnnxModel m(opset);
    m.Input("x", {4});
    m.Node("Relu", {"x"}, {"y"});
    m.Output("y");
    ExpectInvalid(m, "opset");
  }
}

// A chain long enough to exhaust the stack of anything recursive.
TEST(BrokenModelTest, DeepModelsAreFine) {
  OnnxModel m;
  m.Input("x0", {4});
  const int depth = 20000;
  for (int i = 0; i < depth; ++i) m.Node("Relu", {"x" + std::to_string(i)}, {"x" + std::to_string(i + 1)});
  m.Output("x" + std::to_string(depth));
  const absl::StatusOr<OnnxImport> import = m.Import();
  ASSERT_TRUE(import.ok()) << import.status();
  EXPECT_EQ(import->graph.node_count(), depth);
}

}  // namespace
}  // namespace hone
