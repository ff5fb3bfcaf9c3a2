// libFuzzer's target: any bytes through the importer, the graph passes and the cut into tasks, with mutations
// that know the format. Preset `fuzz`; README "Reliability" says how to run it.
#include <algorithm>

#include "tests/compiler/frontend/onnx/model_mutator.h"
#include "tests/compiler/frontend/onnx/model_probe.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hone::ProbeModel({reinterpret_cast<const char*>(data), size});
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  hone::Dice dice(seed);
  onnx::ModelProto model;
  if (dice.OneIn(8) || !model.ParseFromArray(data, static_cast<int>(size)))
    return LLVMFuzzerMutate(data, size, max_size);
  std::string deeds;
  const std::string mutant = hone::MutateModel(std::move(model), dice, &deeds);
  if (mutant.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::copy(mutant.begin(), mutant.end(), data);
  return mutant.size();
}
