#include "server/service/catalogue_services.h"

#include <algorithm>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/values/sha256.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"
#include "server/service/ownership.h"
#include "server/service/paging.h"
#include "server/service/request_key.h"
#include "server/service/resource_names.h"
#include "server/service/unary_call.h"
#include "server/version.h"
#include "server/workers/record_message.h"

namespace hone {
namespace {

constexpr int kMaxFiles = 250;  // of a model: their descriptors travel to hone-job in one message

template <typename Message>
void AddFiles(const std::vector<FileRow>& rows, Message& message) {
  for (const FileRow& row : rows) {
    v1::NamedBlob* file = message.add_files();
    file->set_name(row.name);
    file->mutable_blob()->set_sha256(row.blob.sha256);
    file->mutable_blob()->set_size(row.blob.size);
  }
}

v1::Model ModelMessage(const ModelRow& row) {
  v1::Model model;
  model.set_name("models/" + row.id);
  model.set_display_name(row.display_name);
  model.set_main_file(row.main_file);
  AddFiles(row.files, model);
  model.set_create_time_micros(row.create_time);
  return model;
}

v1::Module ModuleMessage(const ModuleRow& row) {
  v1::Module module;
  module.set_name("modules/" + row.id);
  module.set_job("jobs/" + row.job);
  module.set_model("models/" + row.model);
  module.set_target(row.target);
  AddFiles(row.files, module);
  module.set_report_json(row.report_json);
  module.set_create_time_micros(row.create_time);
  return module;
}

// A model's id: the digest of its manifest, whatever the order of the files; in each project its own.
std::string ManifestId(const ModelRow& model) {
  std::vector<std::string> lines;
  for (const FileRow& file : model.files)
    lines.push_back(absl::StrCat(file.name, "\n", file.blob.sha256, "\n", file.blob.size));
  std::sort(lines.begin(), lines.end());
  if (model.project != kDefaultProject) lines.push_back(absl::StrCat("project ", model.project));
  return Sha256Hex(absl::StrCat("hone manifest 1\n", model.main_file, "\n", absl::StrJoin(lines, "\n")));
}

absl::StatusOr<ModelRow> ManifestOf(const v1::CreateModelRequest& request, const std::string& project) {
  HONE_RETURN_IF_ERROR(CheckDisplayName(request.display_name()));
  if (request.files_size() > kMaxFiles) {
    return absl::InvalidArgumentError(
        absl::StrCat("a model has at most ", kMaxFiles, " files, not ", request.files_size()));
  }
  ModelRow model{
      .display_name = request.display_name(), .main_file = request.main_file(), .project = project};
  std::set<std::string> names;
  for (const v1::NamedBlob& file : request.files()) {
    HONE_RETURN_IF_ERROR(CheckFileName(file.name()));
    HONE_RETURN_IF_ERROR(CheckDigest(file.blob().sha256()));
    if (!names.insert(file.name()).second) {
      return absl::InvalidArgumentError(absl::StrCat("the manifest names '", file.name(), "' twice"));
    }
    model.files.push_back({file.name(), {file.blob().sha256(), file.blob().size()}});
  }
  if (!names.contains(request.main_file()))
    return absl::InvalidArgumentError("main_file is not one of the files");
  model.id = ManifestId(model);
  return model;
}

absl::Status CheckComplete(ServiceContext& context, const ModelRow& model) {
  std::vector<std::string> missing;
  for (const FileRow& file : model.files) {
    HONE_ASSIGN_OR_RETURN(const bool claimed, context.store.HasClaim(model.project, file.blob.sha256));
    HONE_ASSIGN_OR_RETURN(BlobState state, context.blobs.Query(file.blob.sha256, {model.project, !claimed}));
    if (!state.complete) {
      missing.push_back(file.blob.sha256);
    } else if (state.committed_size != file.blob.size) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", file.name, "' has ", state.committed_size, " bytes, not ", file.blob.size));
    }
  }
  if (missing.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError("upload these blobs first: " + absl::StrJoin(missing, ", "));
}

}  // namespace

grpc::ServerUnaryReactor* ModelService::CreateModel(grpc::CallbackServerContext* call,
                                                    const v1::CreateModelRequest* request,
                                                    v1::Model* response) {
  return RunUnary(context_.executor, context_.tokens, call,
                  [=, this](const Principal& principal) -> absl::Status {
                    HONE_ASSIGN_OR_RETURN(ModelRow model, ManifestOf(*request, principal.project));
                    HONE_RETURN_IF_ERROR(CheckComplete(context_, model));
                    HONE_ASSIGN_OR_RETURN(RequestKey key, KeyOf(principal, "CreateModel", *request));
                    HONE_ASSIGN_OR_RETURN(model, context_.store.CreateModel(model, key));
                    LogEvent("model_created", {{"model", model.id}});
                    *response = ModelMessage(model);
                    return absl::OkStatus();
                  });
}

grpc::ServerUnaryReactor* ModelService::GetModel(grpc::CallbackServerContext* call,
                                                 const v1::GetModelRequest* request, v1::Model* response) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        HONE_ASSIGN_OR_RETURN(ModelRow model, OwnModel(context_.store, principal, request->name()));
        *response = ModelMessage(model);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* ModelService::ListModels(grpc::CallbackServerContext* call,
                                                   const v1::ListModelsRequest* request,
                                                   v1::ListModelsResponse* response) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        HONE_ASSIGN_OR_RETURN(Page page, ParsePage(request->page_size(), request->page_token(), "models"));
        HONE_ASSIGN_OR_RETURN(std::vector<ModelRow> rows,
                              context_.store.ListModels(principal.project, {page.after, page.limit + 1}));
        response->set_next_page_token(
            FinishPage(rows, page.limit, "models", [](const ModelRow& row) { return row.number; }));
        for (const ModelRow& row : rows) *response->add_models() = ModelMessage(row);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* ModelService::DeleteModel(grpc::CallbackServerContext* call,
                                                    const v1::DeleteModelRequest* request,
                                                    v1::DeleteModelResponse*) {
  return RunUnary(context_.executor, context_.tokens, call,
                  [=, this](const Principal& principal) -> absl::Status {
                    HONE_ASSIGN_OR_RETURN(std::string id, IdIn("models", request->name()));
                    HONE_ASSIGN_OR_RETURN(RequestKey key, KeyOf(principal, "DeleteModel", *request));
                    HONE_RETURN_IF_ERROR(
                        RefuseForeign(principal, context_.store.GetModel(id), request->name()));
                    HONE_RETURN_IF_ERROR(context_.store.DeleteModel(id, key));
                    LogEvent("model_deleted", {{"model", id}});
                    return absl::OkStatus();
                  });
}

grpc::ServerUnaryReactor* ModelService::InspectModel(grpc::CallbackServerContext* call,
                                                     const v1::InspectModelRequest* request,
                                                     v1::InspectModelResponse* response) {
  return RunUnary(
      context_.inspections, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        HONE_RETURN_IF_ERROR(OwnModel(context_.store, principal, request->model()).status());
        HONE_ASSIGN_OR_RETURN(
            *response, hone::InspectModel(context_.jobs, *request, [call] { return call->IsCancelled(); }));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* ModuleService::GetModule(grpc::CallbackServerContext* call,
                                                   const v1::GetModuleRequest* request,
                                                   v1::Module* response) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        HONE_ASSIGN_OR_RETURN(ModuleRow module, OwnModule(context_.store, principal, request->name()));
        *response = ModuleMessage(module);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* ModuleService::ListModules(grpc::CallbackServerContext* call,
                                                     const v1::ListModulesRequest* request,
                                                     v1::ListModulesResponse* response) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        std::string job;
        if (!request->job().empty()) {
          HONE_ASSIGN_OR_RETURN(job, IdIn("jobs", request->job()));
        }
        const std::string query = "modules " + job;
        HONE_ASSIGN_OR_RETURN(Page page, ParsePage(request->page_size(), request->page_token(), query));
        HONE_ASSIGN_OR_RETURN(
            std::vector<ModuleRow> rows,
            context_.store.ListModules(principal.project, job, {page.after, page.limit + 1}));
        response->set_next_page_token(
            FinishPage(rows, page.limit, query, [](const ModuleRow& row) { return row.number; }));
        for (const ModuleRow& row : rows) *response->add_modules() = ModuleMessage(row);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* RecordService::ListRecords(grpc::CallbackServerContext* call,
                                                     const v1::ListRecordsRequest* request,
                                                     v1::ListRecordsResponse* response) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        const std::string query = "records " + request->filter();
        HONE_ASSIGN_OR_RETURN(RecordFilter filter, ParseRecordFilter(request->filter()));
        HONE_ASSIGN_OR_RETURN(Page page, ParsePage(request->page_size(), request->page_token(), query));
        HONE_ASSIGN_OR_RETURN(
            std::vector<RecordRow> rows,
            context_.store.QueryRecords(principal.project, filter, {page.after, page.limit + 1}));
        response->set_next_page_token(
            FinishPage(rows, page.limit, query, [](const RecordRow& row) { return row.id; }));
        for (const RecordRow& row : rows) *response->add_records() = RecordMessage(row, request->full());
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* RecordService::ExplainRecord(grpc::CallbackServerContext* call,
                                                       const v1::ExplainRecordRequest* request,
                                                       v1::RecordExplanation* response) {
  return RunUnary(
      context_.inspections, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        HONE_ASSIGN_OR_RETURN(const std::string id, IdIn("records", request->name()));
        int64_t number = 0;
        if (!absl::SimpleAtoi(id, &number))
          return absl::InvalidArgumentError(
              absl::StrCat(request->name(), " is not a name of the form records/{number}"));
        absl::StatusOr<RecordRow> record = context_.store.GetRecord(number);
        absl::StatusOr<JobRow> job = record.ok() ? context_.store.GetJob(record->job) : record.status();
        // One answer, whether it never was, is of another project, or its job is deleted.
        if (absl::IsNotFound(job.status()) || (job.ok() && job->project != principal.project))
          return absl::NotFoundError(
              absl::StrCat("there is no ", request->name(), ", or its job is deleted"));
        HONE_RETURN_IF_ERROR(job.status());
        HONE_ASSIGN_OR_RETURN(*response, hone::ExplainRecord(context_.jobs, *job, *record,
                                                             [call] { return call->IsCancelled(); }));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* ServerService::GetServerInfo(grpc::CallbackServerContext* call,
                                                       const v1::GetServerInfoRequest*,
                                                       v1::ServerInfo* response) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        HONE_ASSIGN_OR_RETURN(std::vector<WorkerRow> workers, context_.store.ListWorkers({0, 10'000}));
        std::set<std::string> targets;
        for (const WorkerRow& row : workers) {
          if (context_.broker.IsLost(row)) continue;
          const v1::Worker worker = context_.broker.WorkerMessage(row);
          if (!worker.device().target().empty()) targets.insert(worker.device().target());
          for (const auto& [target, gflops] : worker.device().calibration().fma_gflops())
            targets.insert(target);
        }
        response->set_version(kVersion);
        response->set_compiler_build(kVersion);
        response->mutable_targets()->Assign(targets.begin(), targets.end());
        response->set_subject(IsOfPeople(principal.role) ? "users/" + principal.subject : principal.subject);
        response->set_role(std::string(RoleName(principal.role)));
        response->set_project("projects/" + principal.project);
        return absl::OkStatus();
      });
}

}  // namespace hone
