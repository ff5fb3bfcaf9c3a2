#pragma once

#include "hone/v1/models.grpc.pb.h"
#include "hone/v1/modules.grpc.pb.h"
#include "hone/v1/records.grpc.pb.h"
#include "hone/v1/server.grpc.pb.h"
#include "server/service/service_context.h"

namespace hone {

class ModelService final : public v1::ModelService::CallbackService {
 public:
  explicit ModelService(ServiceContext& context) : context_(context) {}
  grpc::ServerUnaryReactor* CreateModel(grpc::CallbackServerContext*, const v1::CreateModelRequest*,
                                        v1::Model*) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext*, const v1::GetModelRequest*,
                                     v1::Model*) override;
  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext*, const v1::ListModelsRequest*,
                                       v1::ListModelsResponse*) override;
  grpc::ServerUnaryReactor* DeleteModel(grpc::CallbackServerContext*, const v1::DeleteModelRequest*,
                                        v1::DeleteModelResponse*) override;
  grpc::ServerUnaryReactor* InspectModel(grpc::CallbackServerContext*, const v1::InspectModelRequest*,
                                         v1::InspectModelResponse*) override;

 private:
  ServiceContext& context_;
};

class ModuleService final : public v1::ModuleService::CallbackService {
 public:
  explicit ModuleService(ServiceContext& context) : context_(context) {}
  grpc::ServerUnaryReactor* GetModule(grpc::CallbackServerContext*, const v1::GetModuleRequest*,
                                      v1::Module*) override;
  grpc::ServerUnaryReactor* ListModules(grpc::CallbackServerContext*, const v1::ListModulesRequest*,
                                        v1::ListModulesResponse*) override;

 private:
  ServiceContext& context_;
};

class RecordService final : public v1::RecordService::CallbackService {
 public:
  explicit RecordService(ServiceContext& context) : context_(context) {}
  grpc::ServerUnaryReactor* ListRecords(grpc::CallbackServerContext*, const v1::ListRecordsRequest*,
                                        v1::ListRecordsResponse*) override;
  grpc::ServerUnaryReactor* ExplainRecord(grpc::CallbackServerContext*, const v1::ExplainRecordRequest*,
                                          v1::RecordExplanation*) override;

 private:
  ServiceContext& context_;
};

class ServerService final : public v1::ServerService::CallbackService {
 public:
  explicit ServerService(ServiceContext& context) : context_(context) {}
  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext*, const v1::GetServerInfoRequest*,
                                          v1::ServerInfo*) override;

 private:
  ServiceContext& context_;
};

}  // namespace hone
