#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Early returns of absl::Status. Only .cc files include this.
#define HONE_RETURN_IF_ERROR(expression)                                                \
  do {                                                                                  \
    if (absl::Status hone_status = (expression); !hone_status.ok()) return hone_status; \
  } while (false)

#define HONE_CONCAT_INNER(a, b) a##b
#define HONE_CONCAT(a, b) HONE_CONCAT_INNER(a, b)
#define HONE_ASSIGN_OR_RETURN_NAMED(result, target, expression) \
  auto result = (expression);                                   \
  if (!result.ok()) return result.status();                     \
  target = *std::move(result)
#define HONE_ASSIGN_OR_RETURN(target, expression) \
  HONE_ASSIGN_OR_RETURN_NAMED(HONE_CONCAT(hone_result_, __LINE__), target, expression)
