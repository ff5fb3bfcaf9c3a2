#include "server/service/call_metrics.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/support/status.h"
#include "server/execution/log.h"
#include "server/service/unary_call.h"

namespace hone {
namespace {

using grpc::experimental::InterceptionHookPoints;

constexpr uint64_t kFailuresPerSecond = 10;  // in the log

// What the caller cannot help.
bool IsOfTheServer(absl::StatusCode code) {
  return code == absl::StatusCode::kUnknown || code == absl::StatusCode::kInternal ||
         code == absl::StatusCode::kDataLoss || code == absl::StatusCode::kUnavailable ||
         code == absl::StatusCode::kResourceExhausted;
}

// One call, from its arrival to the end of its state.
class CallInterceptor final : public grpc::experimental::Interceptor {
 public:
  CallInterceptor(CallMetrics& metrics, LogLimit& failures, const char* method)
      : metrics_(metrics), failures_(failures), method_(method), begin_(absl::Now()) {
    metrics_.Begin();
  }
  ~CallInterceptor() override {
    const absl::Duration taken = absl::Now() - begin_;
    LogEvent(LogLevel::kDebug, "call",
             {{"request", request_},
              {"method", method_},
              {"code", absl::StatusCodeToString(code_)},
              {"seconds", absl::StrCat(absl::ToDoubleSeconds(taken))}});
    metrics_.End(method_, code_, taken);
  }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      const grpc::Status status = methods->GetSendStatus();
      code_ = static_cast<absl::StatusCode>(status.error_code());  // the same numbers
      const auto* trailing = methods->GetSendTrailingMetadata();
      const auto request = trailing->find(kRequestIdKey);
      if (request != trailing->end()) request_ = request->second;
      if (IsOfTheServer(code_) && failures_.Admits())  // before the caller hears of it
        LogEvent(LogLevel::kWarning, "call_failed",
                 {{"request", request_},
                  {"method", method_},
                  {"code", absl::StatusCodeToString(code_)},
                  {"reason", status.error_message()}});
    }
    methods->Proceed();
  }

 private:
  CallMetrics& metrics_;
  LogLimit& failures_;
  const std::string method_;
  const absl::Time begin_;
  absl::StatusCode code_ = absl::StatusCode::kCancelled;  // without an answer
  std::string request_;
};

class InterceptorFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit InterceptorFactory(CallMetrics& metrics) : metrics_(metrics) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    return new CallInterceptor(metrics_, failures_, info->method());
  }

 private:
  CallMetrics& metrics_;
  LogLimit failures_{kFailuresPerSecond};
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CallMetrics::Interceptors() {
  return std::make_unique<InterceptorFactory>(*this);
}

void CallMetrics::Begin() {
  std::lock_guard lock(mutex_);
  ++under_way_;
}

void CallMetrics::End(const std::string& method, absl::StatusCode code, absl::Duration taken) {
  const double seconds = absl::ToDoubleSeconds(taken);
  std::lock_guard lock(mutex_);
  Histogram& histogram = histograms_[method];
  ++histogram.counts[std::lower_bound(kBounds.begin(), kBounds.end(), seconds) - kBounds.begin()];
  histogram.seconds += seconds;
  ++handled_[{method, code}];
  if (--under_way_ == 0) ended_.notify_all();
}

void CallMetrics::CountRefused(absl::StatusCode code) {
  std::lock_guard lock(mutex_);
  ++refused_[code];
}

void CallMetrics::WaitForNone(absl::Time deadline) {
  std::unique_lock lock(mutex_);
  ended_.wait_until(lock, absl::ToChronoTime(deadline), [this] { return under_way_ == 0; });
}

std::string CallMetrics::Text() {
  std::lock_guard lock(mutex_);
  std::string text = absl::StrCat(
      "# HELP hone_calls_under_way Calls of the API that have no answer yet.\n# TYPE hone_calls_under_way gauge\n"
      "hone_calls_under_way ",
      under_way_,
      "\n# HELP hone_call_seconds From a call's arrival to its end, long polls too.\n"
      "# TYPE hone_call_seconds histogram\n");
  for (const auto& [method, histogram] : histograms_) {
    uint64_t below = 0;
    for (size_t i = 0; i <= kBounds.size(); ++i) {
      below += histogram.counts[i];
      absl::StrAppend(&text, "hone_call_seconds_bucket{method=\"", method, "\",le=\"",
                      i < kBounds.size() ? absl::StrCat(kBounds[i]) : "+Inf", "\"} ", below, "\n");
    }
    absl::StrAppend(&text, "hone_call_seconds_sum{method=\"", method, "\"} ", histogram.seconds, "\n",
                    "hone_call_seconds_count{method=\"", method, "\"} ", below, "\n");
  }
  absl::StrAppend(&text, "# HELP hone_calls_total Calls that ended.\n# TYPE hone_calls_total counter\n");
  for (const auto& [key, count] : handled_) {
    absl::StrAppend(&text, "hone_calls_total{method=\"", key.first, "\",code=\"",
                    absl::StatusCodeToString(key.second), "\"} ", count, "\n");
  }
  absl::StrAppend(&text, "# HELP hone_calls_refused_total Calls that were not let in.\n"
                         "# TYPE hone_calls_refused_total counter\n");
  for (const auto& [code, count] : refused_) {
    absl::StrAppend(&text, "hone_calls_refused_total{code=\"", absl::StatusCodeToString(code), "\"} ", count,
                    "\n");
  }
  return text;
}

}  // namespace hone
