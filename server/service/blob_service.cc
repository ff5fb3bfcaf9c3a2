#include "server/service/blob_service.h"

#include <sys/stat.h>

#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"
#include "server/service/unary_call.h"
#include "server/storage/durable_file.h"

namespace hone {
namespace {

constexpr size_t kMaxChunkBytes = 1 << 20;

void FillStatus(const std::string& sha256, const BlobState& state, v1::BlobStatus& status) {
  status.set_sha256(sha256);
  status.set_committed_size(state.committed_size);
  status.set_complete(state.complete);
}

absl::StatusOr<BlobSender> SenderOf(ServiceContext& context, const Credentials& credentials,
                                    const std::string& sha256) {
  HONE_ASSIGN_OR_RETURN(const Principal caller, context.tokens.Authenticate(credentials));
  HONE_ASSIGN_OR_RETURN(const bool claimed, context.store.HasClaim(caller.project, sha256));
  return BlobSender{caller.project, !claimed};
}

// One upload stream. gRPC delivers one chunk at a time: the next read starts when the last chunk is in the
// file, so a slow disk slows the sender. Deletes itself when the call is over and no work is under way (gRPC
// calls OnDone after Finish).
class UploadReactor final : public grpc::ServerReadReactor<v1::UploadBlobRequest> {
 public:
  UploadReactor(ServiceContext& context, grpc::CallbackServerContext& call, v1::BlobStatus* response)
      : context_(context),
        credentials_(CredentialsOf(call)),
        request_id_(BeginRequest(call)),
        response_(response) {
    StartRead(&chunk_);
  }

  void OnReadDone(bool ok) override {
    context_.executor.Continue([this, ok] {
      const LogScope scope("request", request_id_);
      const absl::StatusOr<bool> more = ok ? Store() : End();
      if (more.ok() && *more) return StartRead(&chunk_);
      upload_.reset();
      Finish(ToGrpc(more.status()));
    });
  }
  void OnDone() override { delete this; }

 private:
  absl::StatusOr<bool> Store() {
    if (chunk_.data().size() > kMaxChunkBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("a chunk of ", chunk_.data().size(), " bytes; at most ", kMaxChunkBytes));
    }
    if (!begun_) {
      HONE_RETURN_IF_ERROR(Begin());
      if (upload_ == nullptr) return false;
    }
    HONE_RETURN_IF_ERROR(upload_->Append(chunk_.data()));
    return true;
  }

  // No upload: somebody else was faster, there is nothing more to send.
  absl::Status Begin() {
    begun_ = true;
    blob_ = {chunk_.blob().sha256(), chunk_.blob().size()};
    HONE_RETURN_IF_ERROR(CheckDigest(blob_.sha256));
    HONE_ASSIGN_OR_RETURN(const BlobSender sender, SenderOf(context_, credentials_, blob_.sha256));
    project_ = sender.project;
    HONE_RETURN_IF_ERROR(context_.store.CheckStorage(project_, blob_));
    absl::StatusOr<std::unique_ptr<BlobStore::Upload>> upload =
        context_.blobs.BeginUpload(blob_, chunk_.offset(), sender);
    if (absl::IsAlreadyExists(upload.status())) {
      HONE_ASSIGN_OR_RETURN(BlobState state, context_.blobs.Query(blob_.sha256, sender));
      FillStatus(blob_.sha256, state, *response_);
      return absl::OkStatus();
    }
    HONE_RETURN_IF_ERROR(upload.status());
    upload_ = *std::move(upload);
    return absl::OkStatus();
  }

  absl::StatusOr<bool> End() {
    if (!begun_) return absl::InvalidArgumentError("an upload begins with a message that names the blob");
    HONE_ASSIGN_OR_RETURN(BlobState state,
                          upload_->Finish([this] { return context_.store.ClaimBlob(project_, blob_); }));
    FillStatus(blob_.sha256, state, *response_);
    return false;
  }

  ServiceContext& context_;
  const Credentials credentials_;
  const std::string request_id_;
  v1::BlobStatus* const response_;
  v1::UploadBlobRequest chunk_;
  bool begun_ = false;
  BlobId blob_;
  std::string project_;
  std::unique_ptr<BlobStore::Upload> upload_;
};

class DownloadReactor final : public grpc::ServerWriteReactor<v1::DownloadBlobResponse> {
 public:
  DownloadReactor(ServiceContext& context, grpc::CallbackServerContext& call,
                  const v1::DownloadBlobRequest& request)
      : context_(context),
        credentials_(CredentialsOf(call)),
        request_id_(BeginRequest(call)),
        sha256_(request.sha256()),
        offset_(request.offset()) {
    context_.executor.Continue([this] { Next(); });
  }

  void OnWriteDone(bool ok) override {
    context_.executor.Continue([this, ok] {
      if (!ok) return Finish(ToGrpc(absl::CancelledError("the caller has gone")));
      Next();
    });
  }
  void OnDone() override { delete this; }

 private:
  void Next() {
    const LogScope scope("request", request_id_);
    const absl::StatusOr<bool> more = Read();
    if (more.ok() && *more) return StartWrite(&response_);
    Finish(ToGrpc(more.status()));
  }

  absl::StatusOr<bool> Read() {
    if (!file_.valid()) {
      HONE_RETURN_IF_ERROR(CheckAccess());
      HONE_ASSIGN_OR_RETURN(file_, context_.blobs.OpenBlob(sha256_));
      struct stat info;
      if (fstat(file_.get(), &info) != 0) return ErrnoStatus("examining a blob");
      if (offset_ > static_cast<uint64_t>(info.st_size)) {
        return absl::OutOfRangeError(
            absl::StrCat("the blob has ", info.st_size, " bytes; there is nothing at ", offset_));
      }
    }
    std::string& data = *response_.mutable_data();
    data.resize(kMaxChunkBytes);
    ssize_t got;
    do {
      got = pread(file_.get(), data.data(), data.size(), static_cast<off_t>(offset_));
    } while (got < 0 && errno == EINTR);
    if (got < 0) return ErrnoStatus("reading a blob");
    data.resize(static_cast<size_t>(got));
    offset_ += static_cast<uint64_t>(got);
    return got > 0;
  }

  // People get what their project has shown or made, workers what leases name.
  absl::Status CheckAccess() {
    HONE_RETURN_IF_ERROR(CheckDigest(sha256_));
    HONE_ASSIGN_OR_RETURN(const Principal caller, context_.tokens.Authenticate(credentials_));
    HONE_ASSIGN_OR_RETURN(const bool allowed, IsOfPeople(caller.role)
                                                  ? context_.store.HasClaim(caller.project, sha256_)
                                                  : context_.store.IsJobObject(sha256_));
    return allowed ? absl::OkStatus() : absl::NotFoundError("there is no complete blob " + sha256_);
  }

  ServiceContext& context_;
  const Credentials credentials_;
  const std::string request_id_;
  const std::string sha256_;
  uint64_t offset_;
  FileDescriptor file_;
  v1::DownloadBlobResponse response_;
};

}  // namespace

grpc::ServerUnaryReactor* BlobService::QueryBlob(grpc::CallbackServerContext* call,
                                                 const v1::QueryBlobRequest* request,
                                                 v1::BlobStatus* response) {
  return RunUnary(context_.executor, context_.tokens, call, [=, this](const Principal&) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(const BlobSender sender,
                          SenderOf(context_, CredentialsOf(*call), request->sha256()));
    HONE_ASSIGN_OR_RETURN(BlobState state, context_.blobs.Query(request->sha256(), sender));
    FillStatus(request->sha256(), state, *response);
    return absl::OkStatus();
  });
}

grpc::ServerReadReactor<v1::UploadBlobRequest>* BlobService::UploadBlob(grpc::CallbackServerContext* call,
                                                                        v1::BlobStatus* response) {
  return new UploadReactor(context_, *call, response);
}

grpc::ServerWriteReactor<v1::DownloadBlobResponse>* BlobService::DownloadBlob(
    grpc::CallbackServerContext* call, const v1::DownloadBlobRequest* request) {
  return new DownloadReactor(context_, *call, *request);
}

}  // namespace hone
