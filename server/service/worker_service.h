#pragma once

#include "hone/v1/workers.grpc.pb.h"
#include "server/service/service_context.h"

namespace hone {

class WorkerService final : public v1::WorkerService::CallbackService {
 public:
  explicit WorkerService(ServiceContext& context) : context_(context) {}
  grpc::ServerUnaryReactor* Enrol(grpc::CallbackServerContext*, const v1::EnrolRequest*,
                                  v1::EnrolResponse*) override;
  grpc::ServerUnaryReactor* RenewCertificate(grpc::CallbackServerContext*, const v1::RenewCertificateRequest*,
                                             v1::RenewCertificateResponse*) override;
  grpc::ServerUnaryReactor* Synchronize(grpc::CallbackServerContext*, const v1::SynchronizeRequest*,
                                        v1::SynchronizeResponse*) override;
  grpc::ServerUnaryReactor* ListWorkers(grpc::CallbackServerContext*, const v1::ListWorkersRequest*,
                                        v1::ListWorkersResponse*) override;
  grpc::ServerUnaryReactor* ControlWorker(grpc::CallbackServerContext*, const v1::ControlWorkerRequest*,
                                          v1::Worker*) override;

 private:
  ServiceContext& context_;
};

}  // namespace hone
