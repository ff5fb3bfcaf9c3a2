#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "client/bench.h"
#include "client/commands/commands.h"
#include "client/error.h"
#include "client/job_watcher.h"
#include "client/model_request.h"
#include "client/module_folder.h"
#include "client/preflight.h"
#include "client/resource_name.h"
#include "client/units.h"

namespace hone {
namespace {

constexpr double kDefaultBudgetSeconds = 300;

absl::StatusOr<v1::Budget> ReadBudget(const Arguments& arguments) {
  auto trials = arguments.Get("--trials");
  auto text = arguments.Get("--budget");
  if (trials && text) return UsageError("give --budget or --trials, not both");
  if (trials) return ParseBudget(*trials + "trials");
  if (text) return ParseBudget(*text);
  v1::Budget budget;
  budget.set_seconds(kDefaultBudgetSeconds);
  return budget;
}

absl::StatusOr<std::string> OneOf(const Arguments& arguments, const char* option, const char* first,
                                  const char* second) {
  const std::string value = arguments.GetOr(option, first);
  if (value == first || value == second) return value;
  return UsageError(absl::StrCat(option, " is ", first, " or ", second, ", not '", value, "'"));
}

absl::StatusOr<v1::JobSpec> ReadSpec(const CommandContext& context, const ModelRequest& request) {
  v1::JobSpec spec;
  auto budget = ReadBudget(context.arguments);
  if (!budget.ok()) return budget.status();
  *spec.mutable_budget() = *budget;
  auto seed = ReadNumber(context.arguments, "--seed", 0, UINT64_MAX, 0);
  if (!seed.ok()) return seed.status();
  auto algorithms = OneOf(context.arguments, "--algorithms", "fast", "exact");
  if (!algorithms.ok()) return algorithms.status();
  auto strategy = OneOf(context.arguments, "--strategy", "evolutionary", "random");
  if (!strategy.ok()) return strategy.status();
  spec.set_seed(*seed);
  spec.set_algorithms(*algorithms);
  spec.set_strategy(*strategy);
  spec.set_target(request.target);
  spec.set_threads(request.threads);
  spec.mutable_shapes()->Assign(request.shapes.begin(), request.shapes.end());
  return spec;
}

// Uploads, checks and queues.
absl::StatusOr<v1::Job> Queue(const CommandContext& context, HoneClient& client, const ModelRequest& request,
                              v1::JobSpec spec) {
  auto model = Upload(context, client, request);
  if (!model.ok()) return model.status();
  auto inspected = client.InspectModel(InspectRequest(*model, request));
  if (!inspected.ok()) return WithContext(inspected.status(), request.manifest.display_name);
  auto report = ParseJson(inspected->report_json(), "the inspect report");
  if (!report.ok()) return report.status();
  absl::Status status = CheckPreflight(*report);
  if (!status.ok()) return status;
  spec.set_model(model->name());
  return client.CreateJob(spec);
}

absl::Status Ended(const v1::Job& job) {
  const std::string id = ShortName(job.name());
  if (!job.module().empty()) return absl::OkStatus();
  if (job.state() == v1::JOB_STATE_CANCELLED)
    return absl::AbortedError(absl::StrCat("job ", id, " was cancelled before it had a module"));
  return WithRemedy(absl::InternalError(absl::StrCat("job ", id, " failed: ", job.error())),
                    absl::StrCat("hone job logs ", id,
                                 " shows its trials, hone inspect checks the model, and hone job "
                                 "resume ",
                                 id, " goes on if the machine was at fault"));
}

int Detached(const CommandContext& context, const v1::Job& job, const std::string& out, int code) {
  if (context.console.json) {
    context.console.PrintJson({{"job", MessageJson(job)}, {"detached", true}});
  } else {
    context.console.out << "job " << ShortName(job.name()) << " goes on without this terminal\n"
                        << ComeBackText(job.name(), out);
  }
  return code;
}

// ONNX Runtime beside the module, where it can be had; what stands in the way is a note, never an error.
std::optional<BenchComparison> Compare(const CommandContext& context, const ModelRequest& request,
                                       const std::string& out) {
  if (context.arguments.Has("--no-onnxruntime")) return std::nullopt;
  auto python = FindOnnxRuntimePython(context.config);
  absl::Status status = python.status();
  if (status.ok()) {
    BenchOptions options;
    options.threads = request.threads;
    options.shapes = request.shapes;
    auto bench = BenchAgainstOnnxRuntime(*python, out, request.manifest.files.front().path, options);
    if (bench.ok()) return *bench;
    status = bench.status();
  }
  context.console.Note(absl::StrCat("no comparison with ONNX Runtime: ", status.message()));
  return std::nullopt;
}

}  // namespace

absl::StatusOr<int> RunOptimize(const CommandContext& context) {
  auto request = ReadModelRequest(context);
  if (!request.ok()) return request.status();
  auto spec = ReadSpec(context, *request);
  if (!spec.ok()) return spec.status();
  const std::string out = context.arguments.GetOr("--out", "out");
  auto connected = context.connect();
  if (!connected.ok()) return connected.status();
  std::shared_ptr<HoneClient> client = *std::move(connected);
  auto job = Queue(context, *client, *request, *spec);
  if (!job.ok()) return job.status();
  if (context.arguments.Has("--detach")) return Detached(context, *job, out, kExitOk);
  context.console.Note(absl::StrCat("job ", ShortName(job->name()), " (Ctrl-C leaves it running)"));
  auto watched = WatchToEnd(context, client, job->name());
  if (!watched.ok()) return watched.status();
  if (watched->detached) return Detached(context, *job, out, kExitDetached);
  absl::Status status = Ended(watched->job);
  if (!status.ok()) return status;
  auto module = client->GetModule(watched->job.module());
  if (!module.ok()) return module.status();
  status = SaveModule(context, *client, *module, out);
  if (status.ok()) status = WriteOrigin(out, {*request, *module});
  if (!status.ok()) return status;
  auto report = ParseJson(module->report_json(), "the report");
  if (!report.ok()) return report.status();
  auto bench = Compare(context, *request, out);
  if (context.console.json) {
    context.console.PrintJson({{"job", MessageJson(watched->job)},
                               {"module", module->name()},
                               {"out", std::filesystem::absolute(out).string()},
                               {"report", *report},
                               {"onnxruntime", bench ? BenchJson(*bench) : Json()}});
    return kExitOk;
  }
  context.console.out << "\n" << ReportText(*report, bench ? &*bench : nullptr, context.console.width);
  context.console.out << "\nmodule: " << out << "  (" << module->files_size()
                      << " files; compare again with: hone bench " << out << ")\n";
  return kExitOk;
}

}  // namespace hone
