#include "server/service/call_metrics.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/support/status.h"
#include "server/execution/log.h"

namespace hone {
namespace {

using grpc::experimental::InterceptionHookPoints;

// One call, from its arrival to the end of its state.
class CallInterceptor final : public grpc::experimental::Interceptor {
 public:
  CallInterceptor(CallMetrics& metrics, const char* method)
      : metrics_(metrics), method_(method), begin_(absl::Now()) {
    metrics_.Begin();
  }
  ~CallInterceptor() override { metrics_.End(method_, code_, absl::Now() - begin_); }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS))
      code_ = static_cast<absl::StatusCode>(methods->GetSendStatus().error_code());  // the same numbers
    methods->Proceed();
  }

 private:
  CallMetrics& metrics_;
  const std::string method_;
  const absl::Time begin_;
  absl::StatusCode code_ = absl::StatusCode::kCancelled;  // without an answer
};

class InterceptorFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit InterceptorFactory(CallMetrics& metrics) : metrics_(metrics) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    return new CallInterceptor(metrics_, info->method());
  }

 private:
  CallMetrics& metrics_;
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
  LogEvent(LogLevel::kDebug, "call",
           {{"method", method}, {"code", absl::StatusCodeToString(code)}, {"seconds", absl::StrCat(seconds)}});
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
