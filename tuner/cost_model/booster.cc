#include "tuner/cost_model/booster.h"

#include <xgboost/c_api.h>

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr int kModels = 3;      // of the bag
constexpr int kRounds = 60;
constexpr char kContributions[] =
    R"({"type":2,"training":false,"iteration_begin":0,"iteration_end":0,"strict_shape":false})";

absl::Status Check(int code, const char* what) {
  if (code == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("XGBoost: ", what, ": ", XGBGetLastError()));
}

// A feature matrix with base margins and, for training, labels.
class Matrix {
 public:
  ~Matrix() {
    if (handle_ != nullptr) XGDMatrixFree(handle_);
  }
  Matrix() = default;
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;

  absl::Status Fill(const std::vector<CostSample>& samples, bool labels) {
    std::vector<float> values, margins, targets;
    for (const CostSample& sample : samples) {
      values.insert(values.end(), sample.features.begin(), sample.features.end());
      margins.push_back(static_cast<float>(sample.log_prior));
      targets.push_back(static_cast<float>(sample.log_seconds));
    }
    const bst_ulong rows = samples.size();
    const float missing = std::numeric_limits<float>::quiet_NaN();
    absl::Status status = Check(XGDMatrixCreateFromMat(values.data(), rows, values.size() / rows, missing, &handle_), "matrix");
    if (!status.ok()) return status;
    status = Check(XGDMatrixSetFloatInfo(handle_, "base_margin", margins.data(), rows), "base margin");
    if (!status.ok() || !labels) return status;
    return Check(XGDMatrixSetFloatInfo(handle_, "label", targets.data(), rows), "label");
  }
  DMatrixHandle get() const { return handle_; }

 private:
  DMatrixHandle handle_ = nullptr;
};

}  // namespace

struct Booster::Model {
  BoosterHandle handle = nullptr;
  ~Model() {
    if (handle != nullptr) XGBoosterFree(handle);
  }
};

Booster::Booster(uint64_t seed) : seed_(seed) {}
Booster::~Booster() = default;

absl::Status Booster::Train(const std::vector<CostSample>& samples) {
  models_.clear();
  if (samples.empty()) return absl::OkStatus();
  Matrix matrix;
  if (absl::Status status = matrix.Fill(samples, true); !status.ok()) return status;
  const DMatrixHandle caches[] = {matrix.get()};
  std::vector<std::unique_ptr<Model>> models;
  for (int m = 0; m < kModels; ++m) {
    auto model = std::make_unique<Model>();
    if (absl::Status status = Check(XGBoosterCreate(caches, 1, &model->handle), "create"); !status.ok()) return status;
    const std::pair<const char*, std::string> parameters[] = {
        {"objective", "reg:squarederror"}, {"eta", "0.15"},        {"max_depth", "5"},      {"lambda", "1"},
        {"min_child_weight", "1"},         {"subsample", "0.8"},   {"colsample_bytree", "0.8"},
        {"tree_method", "exact"},          {"nthread", "1"},       {"verbosity", "0"},
        {"seed", absl::StrCat((seed_ + static_cast<uint64_t>(m) * 7919) % 1000000007)}};
    for (const auto& [name, value] : parameters) {
      if (absl::Status status = Check(XGBoosterSetParam(model->handle, name, value.c_str()), name); !status.ok()) return status;
    }
    for (int round = 0; round < kRounds; ++round) {
      if (absl::Status status = Check(XGBoosterUpdateOneIter(model->handle, round, matrix.get()), "train"); !status.ok()) {
        return status;
      }
    }
    models.push_back(std::move(model));
  }
  models_ = std::move(models);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<CostEstimate>> Booster::Estimate(const std::vector<CostSample>& samples) const {
  std::vector<CostEstimate> estimates(samples.size());
  if (samples.empty()) return estimates;
  if (models_.empty()) {
    for (size_t i = 0; i < samples.size(); ++i) estimates[i].log_seconds = samples[i].log_prior;
    return estimates;
  }
  Matrix matrix;
  if (absl::Status status = matrix.Fill(samples, false); !status.ok()) return status;
  std::vector<double> squares(samples.size(), 0);
  const double share = 1.0 / static_cast<double>(models_.size());
  for (const std::unique_ptr<Model>& model : models_) {
    bst_ulong length = 0;
    const float* values = nullptr;
    if (absl::Status status = Check(XGBoosterPredict(model->handle, matrix.get(), 0, 0, 0, &length, &values), "predict");
        !status.ok()) {
      return status;
    }
    if (length != samples.size()) return absl::InternalError("XGBoost: wrong number of predictions");
    for (size_t i = 0; i < samples.size(); ++i) {
      estimates[i].log_seconds += share * values[i];
      squares[i] += share * values[i] * values[i];
    }
  }
  for (size_t i = 0; i < samples.size(); ++i) {
    const double mean = estimates[i].log_seconds;
    estimates[i].deviation = std::sqrt(std::max(0.0, squares[i] - mean * mean));
  }
  return estimates;
}

absl::StatusOr<Attribution> Booster::Explain(const CostSample& sample) const {
  const size_t features = sample.features.size();
  Attribution attribution{.effects = std::vector<double>(features)};
  if (models_.empty()) return attribution;
  Matrix matrix;
  if (absl::Status status = matrix.Fill({sample}, false); !status.ok()) return status;
  const double share = 1.0 / static_cast<double>(models_.size());
  for (const std::unique_ptr<Model>& model : models_) {
    bst_ulong dimensions = 0;
    const bst_ulong* shape = nullptr;
    const float* values = nullptr;
    absl::Status status = Check(XGBoosterPredictFromDMatrix(model->handle, matrix.get(), kContributions,
                                                            &shape, &dimensions, &values),
                                "contributions");
    if (!status.ok()) return status;
    if (dimensions != 2 || shape[0] != 1 || shape[1] != features + 1) {
      return absl::InternalError("XGBoost: contributions of another shape");
    }
    for (size_t f = 0; f < features; ++f) attribution.effects[f] += share * values[f];
    attribution.bias +=
        share * (values[features] - sample.log_prior);  // the base margin is counted with the bias
  }
  return attribution;
}

}  // namespace hone
