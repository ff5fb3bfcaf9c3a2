#pragma once

#include <string>

#include "tests/reliability/seed_models.h"
#include "tests/server/fake_worker.h"
#include "tests/server/server_process.h"

namespace hone {

// What became of a model that was handed to the server.
struct Answer {
  std::string kind;            // for the count: "refused INVALID_ARGUMENT", "job succeeded" ...
  std::string finding;         // what must not be; empty if all is well
  double slowest_seconds = 0;  // of its answers
  double job_seconds = 0;
};

// Hands models to a server as a user would, each answer judged: in time, a canonical code, a refusal that
// names node and cause, no death of a hone-job. Used by one thread.
class Submission {
 public:
  // The file that holds the large weights of all models: zeros, uploaded once.
  struct Weights {
    uint64_t bytes = 0;
  };

  Submission(ServerProcess& server, const Weights& weights);

  // Upload, model, inspection (once more with small numbers for dimensions that are open), and a job of zero
  // trials if it inspects well and `compile`.
  Answer Run(const std::string& bytes, Dice& dice, bool compile);

 private:
  std::string CreateModel(const std::string& bytes, Answer* answer);
  std::string Inspect(v1::InspectModelRequest& request, Answer* answer);
  void Compile(const v1::InspectModelRequest& inspected, Answer* answer);
  // False if the answer is not ok: it is then judged and counted.
  bool Judge(const grpc::Status& status, double seconds, const std::string& what, Answer* answer);

  Caller caller_;
  v1::NamedBlob weights_;
};

}  // namespace hone
