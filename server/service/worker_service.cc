#include "server/service/worker_service.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"
#include "server/service/paging.h"
#include "server/service/request_key.h"
#include "server/service/resource_names.h"
#include "server/service/unary_call.h"

namespace hone {
namespace {

constexpr double kMaxWaitSeconds = 30;
constexpr int kMaxListed = 1000;  // results or leases in one Synchronize

// A Synchronize between two looks at the leases.
struct Exchange {
  ServiceContext& context;
  grpc::CallbackServerContext* call;
  grpc::ServerUnaryReactor* reactor;
  const v1::SynchronizeRequest* request;
  v1::SynchronizeResponse* response;
  absl::Time deadline;
  std::string request_id;
  LeaseBroker::Call state;
  absl::Time renew_time;  // of the caller's certificate
};

absl::Status Begin(Exchange& exchange) {
  HONE_ASSIGN_OR_RETURN(Principal caller,
                        exchange.context.tokens.Authenticate(CredentialsOf(*exchange.call)));
  if (caller.subject != exchange.request->worker()) {
    return absl::PermissionDeniedError(absl::StrCat("this certificate is that of ", caller.subject,
                                                    ", not of ", exchange.request->worker()));
  }
  HONE_ASSIGN_OR_RETURN(std::string worker, IdIn("workers", exchange.request->worker()));
  if (exchange.request->results_size() > kMaxListed || exchange.request->running_leases_size() > kMaxListed) {
    return absl::InvalidArgumentError("too many results or leases in one call");
  }
  HONE_ASSIGN_OR_RETURN(exchange.state, exchange.context.broker.Begin(worker, *exchange.request));
  exchange.renew_time = caller.renew_time;
  if (caller.renew_time > absl::Now()) exchange.deadline = std::min(exchange.deadline, caller.renew_time);
  return absl::OkStatus();
}

bool HasNews(const v1::SynchronizeResponse& response) {
  return response.acknowledged_size() > 0 || response.leases_size() > 0 || response.abandon_size() > 0;
}

// Whether the answer is ready.
absl::StatusOr<bool> Look(Exchange& exchange, bool first) {
  v1::SynchronizeResponse& response = exchange.state.response;
  if (!first) HONE_RETURN_IF_ERROR(exchange.context.broker.CheckRunning(*exchange.request, exchange.state));
  const bool gone = exchange.call->IsCancelled() || exchange.context.hub.stopped();
  if (exchange.request->accepts_lease() && !gone)
    HONE_RETURN_IF_ERROR(exchange.context.broker.TryClaim(exchange.state));
  return gone || HasNews(response) || absl::Now() >= exchange.deadline;
}

void Continue(std::shared_ptr<Exchange> exchange, bool first) {
  ServiceContext& context = exchange->context;
  const LogScope scope("request", exchange->request_id);
  const uint64_t stamp = context.hub.Stamp();
  const absl::StatusOr<bool> done = Look(*exchange, first);
  if (!done.ok() || *done) {
    *exchange->response = std::move(exchange->state.response);
    exchange->response->set_renew_certificate(absl::Now() >= exchange->renew_time);
    return exchange->reactor->Finish(ToGrpc(done.status()));
  }
  context.hub.Wait(kLeasesTopic, stamp, exchange->deadline, [exchange, &context] {
    context.executor.Continue([exchange] { Continue(exchange, false); });
  });
}

absl::StatusOr<WorkerHold> HoldFor(v1::WorkerAction action) {
  switch (action) {
    case v1::WORKER_ACTION_DRAIN:
      return WorkerHold::kDraining;
    case v1::WORKER_ACTION_RELEASE:
      return WorkerHold::kNone;
    case v1::WORKER_ACTION_REMOVE:
      return WorkerHold::kRemoved;
    default:
      return absl::InvalidArgumentError("action is drain, release or remove");
  }
}

}  // namespace

grpc::ServerUnaryReactor* WorkerService::Enrol(grpc::CallbackServerContext* call,
                                               const v1::EnrolRequest* request, v1::EnrolResponse* response) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        if (request->request_id().size() > kMaxRequestId)
          return absl::InvalidArgumentError("request_id has more than 128 bytes");
        const std::string& asked = request->certificate_request();
        HONE_RETURN_IF_ERROR(CheckCertificateRequest(asked));
        std::string worker = principal.subject;  // of a token that is for this worker alone
        if (!worker.starts_with("workers/")) {
          HONE_ASSIGN_OR_RETURN(worker, context_.broker.Enrol(*request, principal.Id()));
          HONE_RETURN_IF_ERROR(context_.workers.Reload());
        }
        HONE_ASSIGN_OR_RETURN(*response->mutable_certificate(), context_.workers.Issue(asked, worker));
        response->set_worker(worker);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* WorkerService::RenewCertificate(grpc::CallbackServerContext* call,
                                                          const v1::RenewCertificateRequest* request,
                                                          v1::RenewCertificateResponse* response) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        HONE_ASSIGN_OR_RETURN(*response->mutable_certificate(),
                              context_.workers.Issue(request->certificate_request(), principal.subject));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* WorkerService::Synchronize(grpc::CallbackServerContext* call,
                                                     const v1::SynchronizeRequest* request,
                                                     v1::SynchronizeResponse* response) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  const double wait = request->wait_seconds() >= 0 ? std::min(request->wait_seconds(), kMaxWaitSeconds) : 0;
  auto exchange = std::make_shared<Exchange>(Exchange{context_,
                                                      call,
                                                      reactor,
                                                      request,
                                                      response,
                                                      absl::Now() + absl::Seconds(wait),
                                                      BeginRequest(*call),
                                                      {},
                                                      {}});
  const bool accepted = context_.executor.TryRun([exchange] {
    const LogScope scope("request", exchange->request_id);
    const absl::Status begun = Begin(*exchange);
    if (!begun.ok()) return exchange->reactor->Finish(ToGrpc(begun));
    Continue(exchange, true);
  });
  if (!accepted) reactor->Finish(ToGrpc(absl::ResourceExhaustedError("the server is overloaded; try again")));
  return reactor;
}

grpc::ServerUnaryReactor* WorkerService::ListWorkers(grpc::CallbackServerContext* call,
                                                     const v1::ListWorkersRequest* request,
                                                     v1::ListWorkersResponse* response) {
  return RunUnary(context_.executor, context_.tokens, call, [=, this](const Principal&) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(Page page, ParsePage(request->page_size(), request->page_token(), "workers"));
    HONE_ASSIGN_OR_RETURN(std::vector<WorkerRow> rows,
                          context_.store.ListWorkers({page.after, page.limit + 1}));
    response->set_next_page_token(
        FinishPage(rows, page.limit, "workers", [](const WorkerRow& row) { return row.number; }));
    for (const WorkerRow& row : rows) *response->add_workers() = context_.broker.WorkerMessage(row);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* WorkerService::ControlWorker(grpc::CallbackServerContext* call,
                                                       const v1::ControlWorkerRequest* request,
                                                       v1::Worker* response) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        HONE_ASSIGN_OR_RETURN(std::string id, IdIn("workers", request->name()));
        HONE_ASSIGN_OR_RETURN(WorkerHold hold, HoldFor(request->action()));
        const std::string reason = hold == WorkerHold::kNone ? "" : "by " + principal.Id();
        const absl::StatusOr<v1::Worker> controlled = context_.broker.Control(id, hold, reason);
        // Even if that failed: a removal of before may not have got so far.
        HONE_RETURN_IF_ERROR(context_.workers.Reload());
        HONE_RETURN_IF_ERROR(context_.tokens.Reload());
        HONE_ASSIGN_OR_RETURN(*response, controlled);
        return absl::OkStatus();
      });
}

}  // namespace hone
