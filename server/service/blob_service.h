#pragma once

#include "hone/v1/blobs.grpc.pb.h"
#include "server/service/service_context.h"

namespace hone {

class BlobService final : public v1::BlobService::CallbackService {
 public:
  explicit BlobService(ServiceContext& context) : context_(context) {}
  grpc::ServerUnaryReactor* QueryBlob(grpc::CallbackServerContext*, const v1::QueryBlobRequest*,
                                      v1::BlobStatus*) override;
  grpc::ServerReadReactor<v1::UploadBlobRequest>* UploadBlob(grpc::CallbackServerContext*,
                                                             v1::BlobStatus*) override;
  grpc::ServerWriteReactor<v1::DownloadBlobResponse>* DownloadBlob(grpc::CallbackServerContext*,
                                                                   const v1::DownloadBlobRequest*) override;

 private:
  ServiceContext& context_;
};

}  // namespace hone
