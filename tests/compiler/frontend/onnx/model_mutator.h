#pragma once

#include <cstdint>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "compiler/frontend/onnx/onnx_proto.h"

namespace hone {

// What mutations draw from: the same seed makes the same mutants on every machine.
class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}

  int Below(int count) { return static_cast<int>(random_() % static_cast<uint64_t>(count)); }
  bool OneIn(int count) { return Below(count) == 0; }
  template <typename Field>
  auto& Pick(Field& field) {  // not of an empty one
    return field[Below(static_cast<int>(std::size(field)))];
  }
  // A number that programs trip over, or a neighbour of `old`.
  int64_t Number(int64_t old);
  double Real(double old);
  // A file name, an operator's word, or what no name should be.
  std::string Text(const std::string& old);

 private:
  std::mt19937_64 random_;
};

// Changes the model in one way; false if it has nothing to change so.
struct Mutation {
  const char* name;
  bool (*apply)(onnx::ModelProto& model, Dice& dice);
};

// The parts of the table, one file each.
std::vector<Mutation> NodeMutations();
std::vector<Mutation> TensorMutations();

// One to four mutations of the table, and now and then damaged bytes. `deeds` says which.
std::string MutateModel(onnx::ModelProto model, Dice& dice, std::string* deeds);

}  // namespace hone
