#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/support/server_interceptor.h"

namespace hone {

// Counts the calls of the API and takes their time; logs each at level debug, and those that failed by the
// server's fault. Only methods that there are become labels. Thread-safe.
class CallMetrics {
 public:
  static constexpr std::array<double, 8> kBounds = {0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60};  // seconds

  void Begin();
  // `method` is a method of the API ("/hone.v1.JobService/GetJob").
  void End(const std::string& method, absl::StatusCode code, absl::Duration taken);
  // A call that was not let in.
  void CountRefused(absl::StatusCode code);
  // Until no call is under way, or the deadline.
  void WaitForNone(absl::Time deadline);
  // In the text format of Prometheus.
  std::string Text();

  // For the builder of the server that these calls come to; `this` outlives that server.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> Interceptors();

 private:
  struct Histogram {
    std::array<uint64_t, kBounds.size() + 1> counts{};  // the last: above all bounds
    double seconds = 0;
  };

  std::mutex mutex_;
  std::condition_variable ended_;
  int64_t under_way_ = 0;
  std::map<std::string, Histogram> histograms_;                          // by method
  std::map<std::pair<std::string, absl::StatusCode>, uint64_t> handled_;  // by method and code
  std::map<absl::StatusCode, uint64_t> refused_;
};

}  // namespace hone
