#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "hone/v1/admin.pb.h"
#include "server/execution/change_hub.h"
#include "server/execution/executor.h"
#include "server/jobs/inspector.h"
#include "server/service/call_metrics.h"
#include "server/service/token_table.h"
#include "server/service/worker_table.h"
#include "server/storage/blob_store.h"
#include "server/storage/store.h"
#include "server/workers/lease_broker.h"

namespace hone {

// What the services share; all outlive them.
struct ServiceContext {
  Store& store;
  BlobStore& blobs;
  ChangeHub& hub;
  LeaseBroker& broker;
  TokenTable& tokens;
  WorkerTable& workers;
  JobServices& jobs;
  CallMetrics& calls;
  Executor& executor;     // everything that blocks briefly
  Executor& inspections;  // pre-flights and explanations: a minute each, so they queue among themselves
  Executor& backups;      // one at a time, as long as it takes
  std::function<absl::StatusOr<v1::Backup>()> back_up;  // FailedPrecondition: there is no backup-dir
};

}  // namespace hone
