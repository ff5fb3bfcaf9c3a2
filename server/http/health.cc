#include "server/http/health.h"

#include "absl/strings/str_cat.h"

namespace hone {

std::vector<HttpRoute> HealthRoutes(std::function<absl::Status()> ready, std::string remarks) {
  return {{"/healthz", [](const HttpRequest&) { return HttpResponse{.body = "ok\n"}; }},
          {"/readyz", [ready = std::move(ready), remarks = std::move(remarks)](const HttpRequest&) {
             const absl::Status status = ready();
             if (status.ok()) return HttpResponse{.body = "ok\n" + remarks};
             return HttpResponse{.status = 503, .body = absl::StrCat(std::string(status.message()), "\n")};
           }}};
}

}  // namespace hone
