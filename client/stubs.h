#pragma once

#include <memory>
#include <string>

#include "client/hone_client.h"
#include "grpcpp/grpcpp.h"
#include "hone/v1/admin.grpc.pb.h"
#include "hone/v1/blobs.grpc.pb.h"
#include "hone/v1/jobs.grpc.pb.h"
#include "hone/v1/models.grpc.pb.h"
#include "hone/v1/modules.grpc.pb.h"
#include "hone/v1/records.grpc.pb.h"
#include "hone/v1/server.grpc.pb.h"
#include "hone/v1/workers.grpc.pb.h"

namespace hone {

// The generated stubs over one channel; private to hone_client.cc and blob_transfer.cc.
struct HoneClient::Stubs {
  Stubs(const std::shared_ptr<grpc::Channel>& channel, std::string server_address)
      : address(std::move(server_address)),
        server(v1::ServerService::NewStub(channel)),
        blobs(v1::BlobService::NewStub(channel)),
        models(v1::ModelService::NewStub(channel)),
        jobs(v1::JobService::NewStub(channel)),
        modules(v1::ModuleService::NewStub(channel)),
        workers(v1::WorkerService::NewStub(channel)),
        records(v1::RecordService::NewStub(channel)),
        admin(v1::AdminService::NewStub(channel)) {}

  std::string address;
  std::unique_ptr<v1::ServerService::Stub> server;
  std::unique_ptr<v1::BlobService::Stub> blobs;
  std::unique_ptr<v1::ModelService::Stub> models;
  std::unique_ptr<v1::JobService::Stub> jobs;
  std::unique_ptr<v1::ModuleService::Stub> modules;
  std::unique_ptr<v1::WorkerService::Stub> workers;
  std::unique_ptr<v1::RecordService::Stub> records;
  std::unique_ptr<v1::AdminService::Stub> admin;
};

}  // namespace hone
