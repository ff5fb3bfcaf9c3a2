#pragma once

#include <set>
#include <string>
#include <vector>

#include "compiler/graph/graph.h"
#include "proto/values/tensor_spec.h"
#include "tuner/job/job_link.h"

namespace hone {

// The blobs that ride on one message: descriptors in order of first mention, each distinct object once. They close with
// it: a job of a thousand trials holds no thousand descriptors.
class Cargo {
 public:
  void Add(MemoryBlob blob, v1::BlobRef* ref);
  const std::vector<int>& descriptors() const { return descriptors_; }

 private:
  std::set<std::string> mentioned_;
  std::vector<int> descriptors_;
  std::vector<MemoryBlob> blobs_;
};

void FillSpecs(const std::vector<TensorSpec>& specs, google::protobuf::RepeatedPtrField<v1::TensorSpec>* messages);

// Of a whole model's inputs or outputs. Integers are token ids, masks or segment numbers, mostly: 0 and 1 are in the range
// of all of them.
std::vector<TensorSpec> ModuleSpecs(const Graph& graph, const std::vector<TensorId>& ids);

}  // namespace hone
