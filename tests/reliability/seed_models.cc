#include "tests/reliability/seed_models.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "compiler/frontend/onnx/operator_table.h"
#include "tests/compiler/frontend/onnx/onnx_model.h"

namespace hone {
namespace {

constexpr size_t kSmallNodes = 20;
constexpr int kLargeOneIn = 4;
constexpr size_t kInlineBytes = 4096;                   // of weights that stay in the model
constexpr uintmax_t kMostBytes = uintmax_t{400} << 20;  // of a model's file

// Newer ones would be refused for their opset only.
void LowerOpset(onnx::ModelProto* model) {
  for (onnx::OperatorSetIdProto& opset : *model->mutable_opset_import())
    if (opset.domain().empty()) opset.set_version(std::clamp<int64_t>(opset.version(), kMinOpset, kMaxOpset));
}

void MoveWeights(onnx::TensorProto* tensor, uint64_t* largest) {
  const size_t size = tensor->raw_data().size();
  if (size <= kInlineBytes) return;
  *largest = std::max<uint64_t>(*largest, size);
  tensor->clear_raw_data();
  tensor->set_data_location(onnx::TensorProto::EXTERNAL);
  onnx::StringStringEntryProto& entry = *tensor->add_external_data();
  entry.set_key("location");
  entry.set_value(kWeightsFile);
}

}  // namespace

SeedModels::SeedModels(const std::vector<std::string>& folders) {
  Add("small classifier", SmallClassifier().proto());
  std::vector<std::string> paths;  // sorted: the same seed makes the same mutants
  for (const std::string& folder : folders) {
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
      if (entry->path().extension() == ".onnx" && entry->file_size() <= kMostBytes)
        paths.push_back(entry->path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    std::ifstream in(path, std::ios::binary);
    onnx::ModelProto model;
    if (model.ParseFromIstream(&in) && model.graph().node_size() > 0) Add(path, std::move(model));
  }
}

void SeedModels::Add(std::string name, onnx::ModelProto model) {
  LowerOpset(&model);
  for (onnx::TensorProto& tensor : *model.mutable_graph()->mutable_initializer())
    MoveWeights(&tensor, &weights_bytes_);
  auto& models = static_cast<size_t>(model.graph().node_size()) <= kSmallNodes ? small_ : large_;
  models.push_back({std::move(name), std::move(model)});
}

const SeedModel& SeedModels::Pick(Dice& dice) const {
  return dice.Pick(!large_.empty() && dice.OneIn(kLargeOneIn) ? large_ : small_);
}

}  // namespace hone
