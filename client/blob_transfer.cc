// The transfer half of HoneClient: uploads that resume by offset, downloads that are checked against their
// digest.
#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/call_context.h"
#include "client/error.h"
#include "client/hone_client.h"
#include "client/pinned_channel.h"
#include "client/stubs.h"
#include "proto/values/sha256.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunkBytes = 1 << 20;
constexpr absl::Duration kChunkTimeout = absl::Seconds(60);        // without any progress
constexpr absl::Duration kFirstBackoff = absl::Milliseconds(200);  // doubles while nothing gets through

bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsAborted(status) || absl::IsDeadlineExceeded(status);
}

// Attempts at one blob: those that moved some of it do not count.
class Attempts {
 public:
  explicit Attempts(int most) : most_(most) {}

  // Waits before another attempt; false: too many in a row were in vain. `done` bytes have got through by now.
  bool Again(uint64_t done) {
    if (done > done_) in_vain_ = 0;
    done_ = std::max(done_, done);
    if (++in_vain_ >= most_) return false;
    absl::SleepFor(kFirstBackoff * (1 << (in_vain_ - 1)));
    return true;
  }

 private:
  const int most_;
  int in_vain_ = 0;
  uint64_t done_ = 0;
};

// Longest time a transfer of so many bytes may take: at least 100 kB/s, and never less than a chunk's
// timeout.
absl::Duration TransferTimeout(uint64_t bytes) { return kChunkTimeout + absl::Seconds(bytes / 100'000); }

bool IsPlainName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos && name.size() < 200;
}

void Report(const TransferProgress& progress, const std::string& name, uint64_t done, uint64_t total) {
  if (progress) progress(name, done, total);
}

// What a download has received so far; survives a broken connection.
struct Received {
  std::ofstream file;
  Sha256 sha;
  uint64_t bytes = 0;
};

absl::Status Receive(v1::BlobService::Stub& stub, const v1::NamedBlob& blob, const std::string& address,
                     const TransferProgress& progress, Received& received) {
  const uint64_t total = blob.blob().size();
  CallContext context(TransferTimeout(total - received.bytes));
  v1::DownloadBlobRequest request;
  request.set_sha256(blob.blob().sha256());
  request.set_offset(received.bytes);
  auto reader = stub.DownloadBlob(&context, request);
  v1::DownloadBlobResponse response;
  while (reader->Read(&response)) {
    received.sha.Update(response.data());
    received.bytes += response.data().size();
    received.file.write(response.data().data(), response.data().size());
    if (received.bytes > total) {
      context.TryCancel();
      reader->Finish();
      return absl::DataLossError(
          absl::StrCat(blob.name(), ": the server sent more than the ", total, " bytes announced"));
    }
    Report(progress, blob.name(), received.bytes, total);
  }
  return context.Finish(reader->Finish(), address);
}

}  // namespace

absl::Status HoneClient::UploadFile(const ManifestFile& file, const TransferProgress& progress) {
  Attempts attempts(options_.transfer_attempts);
  absl::Status status;
  v1::BlobStatus have;
  do {
    CallContext context(options_.call_timeout);
    v1::QueryBlobRequest query;
    query.set_sha256(file.sha256);
    status = context.Finish(stubs_->blobs->QueryBlob(&context, query, &have), stubs_->address);
    if (status.ok() && have.complete()) {
      Report(progress, file.name, file.size, file.size);
      return absl::OkStatus();
    }
    if (status.ok()) status = UploadFrom(file, have.committed_size(), progress);
    if (status.ok() || !(IsTransient(status) || absl::IsOutOfRange(status))) return status;
  } while (attempts.Again(have.committed_size()));
  return status;
}

absl::Status HoneClient::UploadFrom(const ManifestFile& file, uint64_t offset,
                                    const TransferProgress& progress) {
  std::ifstream in(file.path, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(offset));
  if (!in) return absl::NotFoundError(absl::StrCat("cannot read ", file.path.string(), " any more"));
  CallContext context(TransferTimeout(file.size - offset));
  v1::BlobStatus result;
  auto writer = stubs_->blobs->UploadBlob(&context, &result);
  v1::UploadBlobRequest request;
  request.mutable_blob()->set_sha256(file.sha256);
  request.mutable_blob()->set_size(file.size);
  request.set_offset(offset);
  std::string& data = *request.mutable_data();
  uint64_t sent = offset;
  bool more = true;
  while (more) {
    data.resize(kChunkBytes);
    in.read(data.data(), static_cast<std::streamsize>(data.size()));
    data.resize(static_cast<size_t>(in.gcount()));
    sent += data.size();
    more = in.good() && !data.empty();
    if (!writer->Write(request)) break;
    request.clear_blob();
    request.clear_offset();
    Report(progress, file.name, sent, file.size);
  }
  writer->WritesDone();
  absl::Status status = context.Finish(writer->Finish(), stubs_->address);
  if (!status.ok()) return status;
  if (!result.complete()) {
    return absl::UnavailableError(
        absl::StrCat("the server holds ", result.committed_size(), " of ", file.size, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status HoneClient::DownloadModule(const v1::Module& module, const fs::path& folder,
                                        const TransferProgress& progress) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return WithRemedy(
        absl::PermissionDeniedError(absl::StrCat("cannot make ", folder.string(), ": ", error.message())),
        "choose another folder with -o");
  }
  for (const v1::NamedBlob& file : module.files()) {
    if (!IsPlainName(file.name())) {
      return absl::InvalidArgumentError(
          absl::StrCat("the server names a module file '", file.name(), "', which is not a plain name"));
    }
    absl::Status status = DownloadFile(file, folder, progress);
    if (!status.ok()) return WithContext(status, "downloading " + file.name());
  }
  return absl::OkStatus();
}

absl::Status HoneClient::DownloadFile(const v1::NamedBlob& file, const fs::path& folder,
                                      const TransferProgress& progress) {
  const fs::path part = folder / (file.name() + ".part");
  Received received{std::ofstream(part, std::ios::binary | std::ios::trunc), {}, 0};
  Attempts attempts(options_.transfer_attempts);
  absl::Status status;
  do {
    status = Receive(*stubs_->blobs, file, stubs_->address, progress, received);
  } while (IsTransient(status) && attempts.Again(received.bytes));
  received.file.close();
  if (status.ok() && !received.file) {
    status = WithRemedy(absl::ResourceExhaustedError("cannot write " + part.string()), "is the disk full?");
  }
  if (status.ok() &&
      (received.bytes != file.blob().size() || received.sha.FinishHex() != file.blob().sha256())) {
    status = WithRemedy(absl::DataLossError("the bytes do not match the digest that the server announced"),
                        "download again; if it stays so, the server's blob store is damaged");
  }
  std::error_code error;
  if (!status.ok()) {
    fs::remove(part, error);
    return status;
  }
  fs::rename(part, folder / file.name(), error);
  if (error) return absl::InternalError(absl::StrCat("cannot rename ", part.string(), ": ", error.message()));
  return absl::OkStatus();
}

}  // namespace hone
