#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/io/zero_copy_stream.h"

namespace hone {

// The names of the external data files that an ONNX model mentions: the `location` entries of its tensors'
// external_data (onnx.proto: ModelProto.graph = 7, GraphProto.initializer = 5, .node = 1, NodeProto.attribute
// = 5, AttributeProto.t = 5, .g = 6, .tensors = 10, .graphs = 11, TensorProto.external_data = 13). Walks the
// wire format and skips the weights, so gigabytes pass without being held in memory. `size` is that of the
// whole file. InvalidArgument: not a
// protocol buffer, or nested too deeply.
absl::StatusOr<std::set<std::string>> ExternalDataNames(google::protobuf::io::ZeroCopyInputStream& model,
                                                        uint64_t size);

}  // namespace hone
