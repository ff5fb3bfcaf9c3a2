#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/command.h"
#include "client/model_request.h"

namespace hone {

// Where a module came from: OUT_DIR/origin.json, written by the client beside the downloaded files.
struct ModuleOrigin {
  std::string model_path;  // absolute
  std::string model_sha256;
  std::vector<v1::ShapeBinding> shapes;
};

struct NewModule {
  const ModelRequest& request;
  const v1::Module& module;
};
absl::Status WriteOrigin(const std::string& folder, const NewModule& made);
absl::StatusOr<ModuleOrigin> ReadOrigin(const std::string& folder);

// Downloads a module's files with progress on the console.
absl::Status SaveModule(const CommandContext& context, HoneClient& client, const v1::Module& module,
                        const std::string& folder);

}  // namespace hone
