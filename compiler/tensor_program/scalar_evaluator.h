#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "compiler/tensor_program/scalar_arithmetic.h"
#include "compiler/tensor_program/tensor_program.h"

namespace hone {

// A DimExpr made ready for many evaluations: axes are numbered, other symbols are bound to values. Arithmetic wraps;
// division by what is not positive gives 0.
class IndexExpr {
 public:
  IndexExpr() = default;
  IndexExpr(const DimExpr& expr, std::span<const SymbolRef> axes, const std::map<SymbolRef, int64_t>& symbols);

  int64_t At(std::span<const int64_t> axes) const {
    uint64_t value = static_cast<uint64_t>(constant_);
    for (const auto& [axis, stride] : strides_) value += static_cast<uint64_t>(axes[axis]) * static_cast<uint64_t>(stride);
    return products_.empty() ? static_cast<int64_t>(value) : static_cast<int64_t>(value + Products(axes));
  }
  // Whether it stays in [0, size) for all axes within their extents: exact if affine, else "not known" is false.
  bool Within(int64_t size, std::span<const int64_t> extents) const;
  void AddScaled(const IndexExpr& other, int64_t scale);   // both affine
  bool affine() const { return products_.empty(); }

 private:
  struct Factor {
    DimExpr::Atom::Kind kind;
    int axis = -1;          // kSymbol; -1 is one that has no value, which counts as 0
    int a = -1, b = -1;     // the others: into parts_
  };
  struct Product {
    int64_t coefficient;
    std::vector<Factor> factors;
  };
  uint64_t Products(std::span<const int64_t> axes) const;

  int64_t constant_ = 0;
  std::vector<std::pair<int, int64_t>> strides_;
  std::vector<Product> products_;
  std::vector<IndexExpr> parts_;
};

// A scalar expression made ready for many evaluations. Reads elements of tensors by row-major position.
class ScalarEvaluator {
 public:
  // The value of an element, or, where `element` is negative, notice that the expression reads outside the tensor.
  using Fetch = std::function<Number(ProgramTensorId tensor, int64_t element)>;
  // `axes` in the order of the values that Evaluate gets, with their extents; `shapes` by tensor.
  struct Scope {
    std::span<const SymbolRef> axes;
    std::span<const int64_t> extents;
    const std::map<SymbolRef, int64_t>& symbols;
    const std::vector<std::vector<int64_t>>& shapes;
  };

  // `scalar` is part of a verified program. `fetch` must outlive this.
  ScalarEvaluator(const ScalarRef& scalar, const Scope& scope, const Fetch& fetch);

  Number Evaluate(std::span<const int64_t> axes, std::span<const Number> parameters = {}) const {
    return At(root_, axes, parameters);
  }

 private:
  struct Checked {          // an index that is not proven to be inside
    IndexExpr index;
    int64_t extent, stride;
  };
  struct Computed {         // an index that is a scalar: clamped
    int node;
    int64_t extent, stride;
  };
  struct Node {
    Scalar::Kind kind;
    DType dtype, operand_dtype;
    Number value;
    IndexExpr index;                 // kIndex, or the flattened part of a load that is inside
    ProgramTensorId tensor = -1;
    bool empty = false;              // the tensor has no elements
    std::vector<Checked> checked;
    std::vector<Computed> computed;
    UnaryOp unary = UnaryOp::kNeg;
    BinaryOp binary = BinaryOp::kAdd;
    int parameter = 0;
    std::vector<int> operands;
  };

  int Add(const ScalarRef& scalar, const Scope& scope);
  void AddLoad(const Scalar& load, const Scope& scope, Node* node);
  Number At(int node, std::span<const int64_t> axes, std::span<const Number> parameters) const;
  Number LoadAt(const Node& node, std::span<const int64_t> axes, std::span<const Number> parameters) const;

  const Fetch& fetch_;
  std::vector<Node> nodes_;
  std::map<const Scalar*, int> known_;   // shared subexpressions become one node
  int root_ = -1;
};

}  // namespace hone
