#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/compiler/frontend/onnx/model_mutator.h"

namespace hone {

struct SeedModel {
  std::string name;
  onnx::ModelProto model;  // its large weights are external, in `kWeightsFile`
};

inline constexpr char kWeightsFile[] = "weights.bin";

// The models that mutants are made of. Large weights of all of them are the same bytes, of one file: a mutant
// is small, whatever network it comes from.
class SeedModels {
 public:
  // All .onnx files below the folders, and a small classifier. Unreadable ones are left out.
  explicit SeedModels(const std::vector<std::string>& folders);

  size_t count() const { return small_.size() + large_.size(); }
  uint64_t weights_bytes() const { return weights_bytes_; }
  const SeedModel& Pick(Dice& dice) const;  // a large one now and then

 private:
  void Add(std::string name, onnx::ModelProto model);

  std::vector<SeedModel> small_, large_;
  uint64_t weights_bytes_ = 0;
};

}  // namespace hone
