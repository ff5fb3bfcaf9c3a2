#pragma once

#include "client/command.h"

// The functions of the command table, a file per noun in this folder.
namespace hone {

absl::StatusOr<int> RunUp(const CommandContext& context);
absl::StatusOr<int> RunDown(const CommandContext& context);
absl::StatusOr<int> RunDashboard(const CommandContext& context);
absl::StatusOr<int> RunLogin(const CommandContext& context);
absl::StatusOr<int> RunContextList(const CommandContext& context);
absl::StatusOr<int> RunContextShow(const CommandContext& context);
absl::StatusOr<int> RunContextUse(const CommandContext& context);
absl::StatusOr<int> RunContextRemove(const CommandContext& context);
absl::StatusOr<int> RunOptimize(const CommandContext& context);
absl::StatusOr<int> RunInspect(const CommandContext& context);
absl::StatusOr<int> RunDump(const CommandContext& context);
absl::StatusOr<int> RunBench(const CommandContext& context);
absl::StatusOr<int> RunCompare(const CommandContext& context);
absl::StatusOr<int> RunProfile(const CommandContext& context);
absl::StatusOr<int> RunJobList(const CommandContext& context);
absl::StatusOr<int> RunJobShow(const CommandContext& context);
absl::StatusOr<int> RunJobWatch(const CommandContext& context);
absl::StatusOr<int> RunJobPlot(const CommandContext& context);
absl::StatusOr<int> RunJobCancel(const CommandContext& context);
absl::StatusOr<int> RunJobResume(const CommandContext& context);
absl::StatusOr<int> RunJobDelete(const CommandContext& context);
absl::StatusOr<int> RunJobLogs(const CommandContext& context);
absl::StatusOr<int> RunModelList(const CommandContext& context);
absl::StatusOr<int> RunModelDelete(const CommandContext& context);
absl::StatusOr<int> RunModuleList(const CommandContext& context);
absl::StatusOr<int> RunModuleDownload(const CommandContext& context);
absl::StatusOr<int> RunWorkerList(const CommandContext& context);
absl::StatusOr<int> RunWorkerShow(const CommandContext& context);
absl::StatusOr<int> RunWorkerDrain(const CommandContext& context);
absl::StatusOr<int> RunWorkerRelease(const CommandContext& context);
absl::StatusOr<int> RunWorkerRemove(const CommandContext& context);
absl::StatusOr<int> RunLogQuery(const CommandContext& context);
absl::StatusOr<int> RunLogTail(const CommandContext& context);
absl::StatusOr<int> RunLogExplain(const CommandContext& context);
absl::StatusOr<int> RunLogExport(const CommandContext& context);
absl::StatusOr<int> RunUserList(const CommandContext& context);
absl::StatusOr<int> RunUserCreate(const CommandContext& context);
absl::StatusOr<int> RunUserUpdate(const CommandContext& context);
absl::StatusOr<int> RunProjectList(const CommandContext& context);
absl::StatusOr<int> RunProjectShow(const CommandContext& context);
absl::StatusOr<int> RunProjectCreate(const CommandContext& context);
absl::StatusOr<int> RunProjectSetQuota(const CommandContext& context);
absl::StatusOr<int> RunTokenList(const CommandContext& context);
absl::StatusOr<int> RunTokenCreate(const CommandContext& context);
absl::StatusOr<int> RunTokenEnrol(const CommandContext& context);
absl::StatusOr<int> RunTokenRevoke(const CommandContext& context);
absl::StatusOr<int> RunAdminBackup(const CommandContext& context);
absl::StatusOr<int> RunAdminRestore(const CommandContext& context);
absl::StatusOr<int> RunCompletion(const CommandContext& context);
absl::StatusOr<int> RunHelpExitCodes(const CommandContext& context);
absl::StatusOr<int> RunVersion(const CommandContext& context);

}  // namespace hone
