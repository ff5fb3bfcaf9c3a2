#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/tensor_program/tensor_program.h"

namespace hone {

// The value of a scalar: `real` for float types, `integer` for the others (bool: 0 or 1).
struct Number {
  double real = 0;
  int64_t integer = 0;
};

Number NumberOf(DType dtype, double value);
// Integer arithmetic wraps at the width of its type.
int64_t Wrap(int64_t value, DType dtype);

// A scalar expression made ready for many evaluations: axes are numbered, shapes bound, affine indices reduced to
// strides. Reads elements of tensors by row-major position.
class ScalarEvaluator {
 public:
  using Fetch = std::function<Number(ProgramTensorId tensor, int64_t element)>;

  // `axes` in the order of the values that Evaluate gets; `shapes` by tensor. `fetch` must outlive this.
  ScalarEvaluator(const ScalarRef& scalar, std::span<const SymbolRef> axes,
                  const std::map<SymbolRef, int64_t>& symbols, const std::vector<std::vector<int64_t>>& shapes,
                  const Fetch& fetch);

  Number Evaluate(std::span<const int64_t> axes, std::span<const Number> parameters = {}) const;

 private:
  // An index expression: constant + sum of strides times axes, or, where it is not affine, the expression.
  struct Affine {
    int64_t constant = 0;
    std::vector<std::pair<int, int64_t>> strides;
    bool exact = true;
    DimExpr expr;
  };
  struct Node {
    Scalar::Kind kind;
    DType dtype, operand_dtype;
    Number value;
    Affine index;                              // kIndex, or the flattened part of a load that is known
    ProgramTensorId tensor = -1;
    struct Computed {
      int node;
      int64_t extent, stride;
    };
    std::vector<Computed> computed;            // indices that are scalars: clamped
    std::vector<std::pair<Affine, int64_t>> parts;   // not affine: (index, stride)
    UnaryOp unary = UnaryOp::kNeg;
    BinaryOp binary = BinaryOp::kAdd;
    int parameter = 0;
    std::vector<int> operands;
  };

  int Add(const ScalarRef& scalar);
  void AddLoad(const Scalar& load, Node* node);
  Affine Flatten(const DimExpr& expr) const;
  int64_t IndexAt(const Affine& index, std::span<const int64_t> axes) const;
  Number At(int node, std::span<const int64_t> axes, std::span<const Number> parameters) const;

  std::vector<SymbolRef> axes_;
  const std::map<SymbolRef, int64_t>& symbols_;
  const std::vector<std::vector<int64_t>>& shapes_;
  const Fetch& fetch_;
  std::vector<Node> nodes_;
  int root_ = -1;
};

}  // namespace hone
