#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/command.h"

namespace hone {

// The model that a command names, and how it is to be compiled: what optimize, inspect and dump have in
// common.
struct ModelRequest {
  ModelManifest manifest;
  std::vector<v1::ShapeBinding> shapes;  // --shape
  std::string target;                    // --target
  uint32_t threads = 0;                  // --threads
};

absl::StatusOr<ModelRequest> ReadModelRequest(const CommandContext& context);
absl::StatusOr<std::vector<v1::ShapeBinding>> ReadShapes(const Arguments& arguments);
// Whole-number option, or `otherwise` if it is not given.
absl::StatusOr<uint64_t> ReadNumber(const Arguments& arguments, const char* option, uint64_t lowest,
                                    uint64_t highest, uint64_t otherwise);

// Uploads with progress on the console.
absl::StatusOr<v1::Model> Upload(const CommandContext& context, HoneClient& client,
                                 const ModelRequest& request);
v1::InspectModelRequest InspectRequest(const v1::Model& model, const ModelRequest& request);

}  // namespace hone
