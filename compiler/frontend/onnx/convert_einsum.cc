#include <algorithm>
#include <iterator>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "compiler/frontend/onnx/operator_table.h"

namespace hone {
namespace {

constexpr size_t kMaxLabels = 16;

// A tensor and a letter per dimension.
struct Term {
  std::string labels;
  TensorId tensor;
};

bool Contains(const std::string& labels, char label) { return labels.find(label) != std::string::npos; }

std::string Those(const std::string& labels, const std::string& others, bool in_others) {
  std::string kept;
  std::copy_if(labels.begin(), labels.end(), std::back_inserter(kept),
               [&](char label) { return Contains(others, label) == in_others; });
  return kept;
}

class Einsum {
 public:
  explicit Einsum(NodeContext& c) : c_(c) {}

  void Convert() {
    if (!Parse()) return;
    Term result = terms_[0];
    for (size_t i = 1; i < terms_.size() && c_.ok(); ++i) {
      std::string needed = output_;
      for (size_t later = i + 1; later < terms_.size(); ++later) needed += terms_[later].labels;
      result = Contracted(result, terms_[i], needed);
    }
    result = Summed(result, output_);
    c_.SetOutput(0, Arranged(result, output_));
  }

 private:
  // "ij,jk->ik"; without an arrow, the result has the letters that occur once, sorted.
  bool Parse() {
    std::string equation = c_.String("equation", "");
    std::erase(equation, ' ');
    if (Contains(equation, '.')) {
      c_.Unsupported("equation", "an ellipsis", "name the dimensions");
      return false;
    }
    const size_t arrow = equation.find("->");
    std::string left = equation.substr(0, arrow);
    std::map<char, int> occurrences;
    for (const char label : left) ++occurrences[label];
    if (arrow != std::string::npos) {
      output_ = equation.substr(arrow + 2);
    } else {
      for (const auto& [label, count] : occurrences)
        if (count == 1 && label != ',') output_ += label;
    }
    for (int i = 0; i < c_.input_count() && c_.ok(); ++i) {
      const size_t comma = std::min(left.find(','), left.size());
      AddTerm(left.substr(0, comma), c_.Input(i));
      left.erase(0, comma + 1);
    }
    if (c_.ok() &&
        (terms_.empty() || !left.empty() || !IsSet(output_) || !Those(output_, all_, false).empty()))
      c_.Fail(absl::StrCat("equation '", equation, "'"));
    return c_.ok();
  }

  void AddTerm(const std::string& labels, TensorId tensor) {
    if (!c_.ok()) return;
    if (!IsSet(labels)) return c_.Unsupported("equation", "a diagonal", "take the diagonal before");
    const std::vector<DimExpr>& shape = c_.Shape(tensor);
    if (labels.size() != shape.size())
      return c_.Fail(absl::StrCat("'", labels, "' for an input of rank ", shape.size()));
    for (size_t d = 0; d < shape.size(); ++d) {
      if (const auto [at, is_new] = dims_.emplace(labels[d], shape[d]); !is_new && !(at->second == shape[d]))
        return c_.Fail(absl::StrCat("dimension '", labels.substr(d, 1), "' has two sizes"));
    }
    all_ += labels;
    if (all_.size() > kMaxLabels * 4 || dims_.size() > kMaxLabels) return c_.Fail("too many dimensions");
    terms_.push_back({labels, tensor});
  }

  // Letters, each once.
  static bool IsSet(std::string labels) {
    std::sort(labels.begin(), labels.end());
    return std::adjacent_find(labels.begin(), labels.end()) == labels.end() &&
           std::all_of(labels.begin(), labels.end(), [](char label) { return absl::ascii_isalpha(label); });
  }

  std::vector<DimExpr> Dims(const std::string& labels) const {
    std::vector<DimExpr> dims;
    for (const char label : labels) dims.push_back(dims_.at(label));
    return dims;
  }

  // Over the labels that nobody needs.
  Term Summed(const Term& term, const std::string& needed) {
    std::vector<int64_t> axes;
    for (size_t d = 0; d < term.labels.size(); ++d)
      if (!Contains(needed, term.labels[d])) axes.push_back(static_cast<int64_t>(d));
    if (axes.empty()) return term;
    return {Those(term.labels, needed, true),
            c_.Emit("reduce_sum", {term.tensor}, {{"axes", ToDims(axes)}, {"keepdims", int64_t{0}}})};
  }

  TensorId Arranged(const Term& term, const std::string& order) {
    if (order == term.labels) return term.tensor;
    std::vector<int64_t> perm;
    for (const char label : order) perm.push_back(static_cast<int64_t>(term.labels.find(label)));
    return c_.Emit("transpose", {term.tensor}, {{"perm", ToDims(perm)}});
  }

  // One matmul [batch, left, sum] x [batch, sum, right], or where nothing is summed, a product that
  // broadcasts.
  Term Contracted(Term a, Term b, const std::string& needed) {
    a = Summed(a, needed + b.labels);
    b = Summed(b, needed + a.labels);
    const std::string both = Those(a.labels, b.labels, true);
    const std::string batch = Those(both, needed, true), sum = Those(both, needed, false);
    const std::string left = Those(a.labels, b.labels, false), right = Those(b.labels, a.labels, false);
    TensorId x = Arranged(a, batch + left + sum), y = Arranged(b, batch + sum + right);
    const std::string result = batch + left + right;
    if (sum.empty()) {
      std::vector<DimExpr> dims = Dims(batch);
      dims.insert(dims.end(), left.size(), DimExpr(1));
      for (const DimExpr& dim : Dims(right)) dims.push_back(dim);
      std::vector<DimExpr> padded = Dims(batch + left);
      padded.insert(padded.end(), right.size(), DimExpr(1));
      return {result, c_.Emit("mul", {c_.Reshape(x, padded), c_.Reshape(y, dims)})};
    }
    const auto size = [&](const std::string& labels) { return Product(Dims(labels)); };
    x = c_.Reshape(x, {size(batch), size(left), size(sum)});
    y = c_.Reshape(y, {size(batch), size(sum), size(right)});
    return {result, c_.Reshape(c_.Emit("matmul", {x, y}), Dims(result))};
  }

  NodeContext& c_;
  std::vector<Term> terms_;
  std::string output_, all_;
  std::map<char, DimExpr> dims_;
};

void ConvertEinsum(NodeContext& c) { Einsum(c).Convert(); }

}  // namespace

std::vector<OnnxOpRow> EinsumOnnxOps() { return {{"Einsum", 12, kMaxOpset, 1, ConvertEinsum}}; }

}  // namespace hone
