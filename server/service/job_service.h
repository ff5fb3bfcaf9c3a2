#pragma once

#include "hone/v1/jobs.grpc.pb.h"
#include "server/service/service_context.h"

namespace hone {

class JobService final : public v1::JobService::CallbackService {
 public:
  explicit JobService(ServiceContext& context) : context_(context) {}
  grpc::ServerUnaryReactor* CreateJob(grpc::CallbackServerContext*, const v1::CreateJobRequest*,
                                      v1::Job*) override;
  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext*, const v1::GetJobRequest*, v1::Job*) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext*, const v1::ListJobsRequest*,
                                     v1::ListJobsResponse*) override;
  grpc::ServerUnaryReactor* WatchJob(grpc::CallbackServerContext*, const v1::WatchJobRequest*,
                                     v1::Job*) override;
  grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext*, const v1::CancelJobRequest*,
                                      v1::Job*) override;
  grpc::ServerUnaryReactor* ResumeJob(grpc::CallbackServerContext*, const v1::ResumeJobRequest*,
                                      v1::Job*) override;
  grpc::ServerUnaryReactor* DeleteJob(grpc::CallbackServerContext*, const v1::DeleteJobRequest*,
                                      v1::DeleteJobResponse*) override;

 private:
  ServiceContext& context_;
};

}  // namespace hone
