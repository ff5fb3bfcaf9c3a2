#include "compiler/frontend/onnx/onnx_import.h"

#include "gtest/gtest.h"
#include "tests/compiler/frontend/onnx/onnx_model.h"

namespace hone {
namespace {

std::string Operators(const Graph& graph) {
  std::string text;
  for (int i = 0; i < graph.node_count(); ++i)
    text += (i == 0 ? "" : " ") + std::string(graph.node({i}).op->name);
  return text;
}

std::string OutputType(const OnnxImport& import) {
  return import.graph.tensor(import.graph.outputs()[0]).type.ToString();
}

TEST(OnnxImportTest, Classifier) {
  const absl::StatusOr<OnnxImport> import = SmallClassifier().Import({{"x", {2, 3, 8, 8}}});
  ASSERT_TRUE(import.ok()) << import.status();
  EXPECT_TRUE(import->unsupported.empty());
  EXPECT_TRUE(import->unbound_symbols.empty());
  EXPECT_EQ(import->opset, 17);
  EXPECT_EQ(import->node_count, 7);
  EXPECT_EQ(import->operators.at("Conv"), 1);
  EXPECT_EQ(Operators(import->graph), "conv2d mul add relu reduce_mean reshape matmul add softmax");
  EXPECT_EQ(import->inputs[0].name, "x");
  EXPECT_EQ(import->outputs[0].name, "y");
  EXPECT_EQ(OutputType(*import), "f32[2,10]");
}

TEST(OnnxImportTest, OpenDimensionsStaySymbols) {
  const absl::StatusOr<OnnxImport> import = SmallClassifier().Import();
  ASSERT_TRUE(import.ok()) << import.status();
  EXPECT_EQ(import->unbound_symbols, std::vector<std::string>{"N"});
  EXPECT_TRUE(import->unsupported.empty());
  EXPECT_EQ(OutputType(*import), "f32[N,10]");
}

TEST(OnnxImportTest, EqualNamesAreBoundTogether) {
  OnnxModel m;
  m.Input("a", {-1, 4}, 1, {"batch size"});
  m.Input("b", {-1, 4}, 1, {"batch size"});
  m.Node("Add", {"a", "b"}, {"y"});
  m.Output("y");
  const absl::StatusOr<OnnxImport> import = m.Import({{"b", {3, 4}}});
  ASSERT_TRUE(import.ok()) << import.status();
  EXPECT_EQ(OutputType(*import), "f32[3,4]");
  EXPECT_FALSE(m.Import({{"a", {2, 4}}, {"b", {3, 4}}}).ok());
  EXPECT_EQ(m.Import()->unbound_symbols, std::vector<std::string>{"batch_size"});
}

// reshape(x, [shape(x)[0], -1]) with an open first dimension.
TEST(OnnxImportTest, ShapeArithmeticOverSymbols) {
  OnnxModel m;
  m.Input("x", {-1, 3, 8}, 1, {"n"});
  m.Integers("zero", {1}, {0});
  m.Integers("one", {1}, {1});
  m.Integers("rest", {1}, {-1});
  m.Node("Shape", {"x"}, {"s"});
  m.Node("Slice", {"s", "zero", "one"}, {"n"});
  m.Node("Mul", {"n", "one"}, {"n1"});
  OnnxModel::Int(m.Node("Concat", {"n1", "rest"}, {"shape"}), "axis", 0);
  m.Node("Reshape", {"x", "shape"}, {"y"});
  m.Output("y");
  const absl::StatusOr<OnnxImport> open = m.Import();
  ASSERT_TRUE(open.ok()) << open.status();
  EXPECT_EQ(OutputType(*open), "f32[n,24]");
  const absl::StatusOr<OnnxImport> bound = m.Import({{"x", {5, 3, 8}}});
  ASSERT_TRUE(bound.ok()) << bound.status();
  EXPECT_EQ(Operators(bound->graph), "reshape");
  EXPECT_EQ(OutputType(*bound), "f32[5,24]");
}

// The way exporters broadcast a mask: everything but the last Mul is known.
TEST(OnnxImportTest, ConstantsFold) {
  OnnxModel m;
  m.Input("x", {2, 3});
  m.Node("Shape", {"x"}, {"s"});
  m.Node("ConstantOfShape", {"s"}, {"zeros"});
  m.Integers("limit", {}, {3});
  m.Integers("start", {}, {0});
  m.Integers("delta", {}, {1});
  m.Node("Range", {"start", "limit", "delta"}, {"range"});
  OnnxModel::Int(m.Node("Cast", {"range"}, {"floats"}), "to", 1);
  m.Node("Equal", {"floats", "zeros"}, {"mask"});
  m.Node("Where", {"mask", "zeros", "floats"}, {"chosen"});
  m.Node("Mul", {"x", "chosen"}, {"y"});
  m.Output("y");
  const absl::StatusOr<OnnxImport> import = m.Import();
  ASSERT_TRUE(import.ok()) << import.status();
  EXPECT_EQ(Operators(import->graph), "mul");
  EXPECT_EQ(import->graph.tensor(import->graph.node({0}).inputs[1]).constant->dims,
            (std::vector<int64_t>{2, 3}));
}

TEST(OnnxImportTest, KnownBranchesAreInlined) {
  OnnxModel m;
  m.Input("x", {2, 3});
  onnx::TensorProto& condition = m.Floats("condition", {}, {});
  condition.set_data_type(9);
  condition.set_raw_data(std::string(1, '\1'));
  onnx::NodeProto& branch = m.Node("If", {"condition"}, {"y"});
  for (const char* name : {"then_branch", "else_branch"}) {
    onnx::AttributeProto& attribute = *branch.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::GRAPH);
    onnx::NodeProto& node = *attribute.mutable_g()->add_node();
    node.set_op_type(name[0] == 't' ? "Exp" : "Loop");
    node.add_input("x");
    node.add_output("inner");
    attribute.mutable_g()->add_output()->set_name("inner");
  }
  m.Output("y");
  const absl::StatusOr<OnnxImport> import = m.Import();
  ASSERT_TRUE(import.ok()) << import.status();
  EXPECT_TRUE(import->unsupported.empty());
  EXPECT_EQ(Operators(import->graph), "exp");
}

TEST(OnnxImportTest, EverythingUnsupportedIsReportedAtOnce) {
  OnnxModel m;
  m.Input("x", {1, 4, 8, 8});
  OnnxModel::String(m.Node("Resize", {"x", "", "", "sizes"}, {"r"}), "mode", "cubic");
  m.Integers("sizes", {4}, {1, 4, 16, 16});
  m.Node("NonMaxSuppression", {"r", "r"}, {"n"});
  m.Node("Relu", {"n"}, {"after"});
  m.Node("Unknown", {"x"}, {"u"}).set_domain("com.example");
  m.Output("after");
  m.Output("u");
  const absl::StatusOr<OnnxImport> import = m.Import();
  ASSERT_TRUE(import.ok()) << import.status();
  EXPECT_EQ(import->graph.node_count(), 0);
  std::map<std::string, UnsupportedNode> found;
  for (const UnsupportedNode& node : import->unsupported) found[node.op] = node;
  ASSERT_EQ(found.size(), 3u);  // not the Relu behind one of them
  EXPECT_EQ(found.at("Resize").attribute, "mode");
  EXPECT_EQ(found.at("Resize").node, "Resize_r");
  EXPECT_EQ(found.at("Resize").opset, 17);
  EXPECT_EQ(found.at("NonMaxSuppression").node, "NonMaxSuppression_n");
  EXPECT_TRUE(found.contains("com.example.Unknown"));
  for (const auto& [op, node] : found) EXPECT_FALSE(node.remedy.empty()) << op;
}

TEST(OnnxImportTest, OpenDimensionsAreNotReportedAsUnsupported) {
  OnnxModel m;
  m.Input("x", {-1, 4, -1, 8}, 1, {"n", "h"});
  m.Integers("k", {1}, {2});
  OnnxModel::Int(m.Node("Split", {"x"}, {"a", "b"}), "axis", 2);  // in two halves of h
  m.Output("a");
  const absl::StatusOr<OnnxImport> import = m.Import();
  ASSERT_TRUE(import.ok()) << import.status();
  EXPECT_TRUE(import->unsupported.empty());
  EXPECT_EQ(import->unbound_symbols.size(), 2u);
}

TEST(OnnxImportTest, ExternalDataComesFromTheManifest) {
  OnnxModel m;
  m.Input("x", {1, 4});
  onnx::TensorProto& w = m.Floats("w", {4}, {});
  w.clear_raw_data();
  w.set_data_location(onnx::TensorProto::EXTERNAL);
  const auto set = [&](const std::string& location, const std::string& offset, const std::string& length) {
    w.clear_external_data();
    const std::pair<std::string, std::string> entries[] = {
        {"location", location}, {"offset", offset}, {"length", length}};
    for (const auto& [key, value] : entries) {
      w.add_external_data()->set_key(key);
      w.mutable_external_data(w.external_data_size() - 1)->set_value(value);
    }
  };
  m.Node("Mul", {"x", "w"}, {"y"});
  m.Output("y");
  const float values[] = {9, 1, 2, 3, 4};
  const auto import = [&] {
    ModelFiles files = m.Files();
    const auto owner =
        std::make_shared<const std::string>(reinterpret_cast<const char*>(values), sizeof values);
    files.files["weights.bin"] = {*owner, owner};
    return ImportOnnx(files, {});
  };
  set("weights.bin", "4", "16");
  const absl::StatusOr<OnnxImport> good = import();
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->graph.tensor(good->graph.node({0}).inputs[1]).constant->data[3], 0x3f);  // 1.0f
  const struct {
    const char *location, *offset, *length;
  } bad[] = {{"../weights.bin", "0", "16"},
             {"/etc/passwd", "0", "16"},
             {"dir/weights.bin", "0", "16"},
             {"..", "0", "16"},
             {"", "0", "16"},
             {"C:\\weights.bin", "0", "16"},
             {"other.bin", "0", "16"},
             {"weights.bin", "5", "16"},
             {"weights.bin", "18446744073709551615", "16"},
             {"weights.bin", "-4", "16"},
             {"weights.bin", "4", "12"},
             {"weights.bin", "x", "16"}};
  for (const auto& each : bad) {
    set(each.location, each.offset, each.length);
    const absl::Status status = import().status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << each.location << " " << status;
    EXPECT_NE(status.message().find("'w'"), absl::string_view::npos) << status;
  }
}

TEST(OnnxImportTest, GivenShapesAreChecked) {
  const OnnxModel m = SmallClassifier();
  EXPECT_TRUE(absl::IsInvalidArgument(m.Import({{"x", {1, 4, 8, 8}}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(m.Import({{"x", {1, 3, 8}}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(m.Import({{"x", {0, 3, 8, 8}}}).status()));
  const absl::Status unknown = m.Import({{"z", {1, 3, 8, 8}}}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(unknown));
  EXPECT_NE(unknown.message().find("x"), absl::string_view::npos);
}

}  // namespace
}  // namespace hone
