#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/execution/status_macros.h"
#include "server/service/resource_names.h"
#include "server/service/token_table.h"
#include "server/storage/store.h"

// Resources of other projects answer as if there were none: NotFound, with the same words.
namespace hone {

template <typename Row>
absl::Status RefuseForeign(const Principal& principal, const absl::StatusOr<Row>& row,
                           const std::string& name) {
  if (!row.ok() || row->project == principal.project) return absl::OkStatus();
  return absl::NotFoundError("there is no " + name);
}

template <typename Row>
absl::StatusOr<Row> Own(const Principal& principal, absl::StatusOr<Row> row, const std::string& name) {
  HONE_RETURN_IF_ERROR(RefuseForeign(principal, row, name));
  return row;
}

// The resource of this name, "jobs/{id}".
inline absl::StatusOr<JobRow> OwnJob(Store& store, const Principal& principal, const std::string& name) {
  HONE_ASSIGN_OR_RETURN(const std::string id, IdIn("jobs", name));
  return Own(principal, store.GetJob(id), name);
}
inline absl::StatusOr<ModelRow> OwnModel(Store& store, const Principal& principal, const std::string& name) {
  HONE_ASSIGN_OR_RETURN(const std::string id, IdIn("models", name));
  return Own(principal, store.GetModel(id), name);
}
inline absl::StatusOr<ModuleRow> OwnModule(Store& store, const Principal& principal,
                                           const std::string& name) {
  HONE_ASSIGN_OR_RETURN(const std::string id, IdIn("modules", name));
  return Own(principal, store.GetModule(id), name);
}

}  // namespace hone
