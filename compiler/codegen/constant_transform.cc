#include "compiler/codegen/constant_transform.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "compiler/codegen/kernel_function.h"
#include "compiler/codegen/linear_leaf.h"

namespace hone {
namespace {

using Values = Emitter::Values;

LoopNest NestOf(const std::vector<int64_t>& dims, const AxisTransforms& transforms, const Layout& layout) {
  LoopNest nest;
  const std::vector<int64_t> after = TransformedDims(dims, transforms);
  for (const auto& [shape, place] : {std::pair(&dims, Layout::Plain(layout.rank())), std::pair(&after, layout)}) {
    nest.tensors.push_back({.place = NestTensor::Place::kScratch, .dims = {shape->begin(), shape->end()}, .layout = place});
  }
  return nest;
}

class TransformEmitter {
 public:
  TransformEmitter(const std::vector<int64_t>& dims, const AxisTransforms& transforms, Emitter* emitter)
      : dims_(dims), transforms_(transforms), e_(*emitter), indices_(dims.size()) {}

  void Run(llvm::Value* from, llvm::Value* to) {
    if (transforms_[0].quarters) {
      const int64_t parts = transforms_[0].quarters->parts;
      part_ = MakeSymbol("part", 0, std::max<int64_t>(1, parts - 1));
      e_.Loop(parts, {}, [&](llvm::Value* part, const Values&) {
        e_.Bind(part_, part);
        SumQuarters(0, from, to);
        return Values();
      });
    } else {
      Loops(0, from, to);
    }
  }

 private:
  bool Transformed(size_t dim) const { return transforms_[0].dim == static_cast<int>(dim) || transforms_[1].dim == static_cast<int>(dim); }

  void Loops(size_t dim, llvm::Value* from, llvm::Value* to) {
    if (dim == dims_.size()) return Grid(from, to);
    if (Transformed(dim)) return Loops(dim + 1, from, to);
    const SymbolRef symbol = MakeSymbol(absl::StrCat("i", dim), 0, std::max<int64_t>(1, dims_[dim] - 1));
    indices_[dim] = DimExpr(symbol);
    e_.Loop(dims_[dim], {}, [&](llvm::Value* i, const Values&) {
      e_.Bind(symbol, i);
      Loops(dim + 1, from, to);
      return Values();
    });
  }

  // Loops over a quarter, around its sums.
  void SumQuarters(size_t dim, llvm::Value* from, llvm::Value* to) {
    const Quarters& q = *transforms_[0].quarters;
    if (dim == dims_.size()) return Sums(from, to);
    const int d = static_cast<int>(dim);
    const int64_t extent = d == q.k_dim ? q.k_halves.back() : d == transforms_[0].dim ? q.n_halves.back() : dims_[dim];
    const SymbolRef symbol = MakeSymbol(absl::StrCat("i", dim), 0, std::max<int64_t>(1, extent - 1));
    indices_[dim] = DimExpr(symbol);
    e_.Loop(extent, {}, [&](llvm::Value* i, const Values&) {
      e_.Bind(symbol, i);
      SumQuarters(dim + 1, from, to);
      return Values();
    });
  }

  void Sums(llvm::Value* from, llvm::Value* to) {
    llvm::IRBuilder<>& ir = e_.ir();
    const AxisTransform& transform = transforms_[0];
    const Quarters& q = *transform.quarters;
    const size_t k = static_cast<size_t>(q.k_dim), n = static_cast<size_t>(transform.dim);
    const int64_t part_extents[] = {dims_[n] / q.parts, transform.matrix.rows * q.pitch};
    const auto address = [&](size_t tensor, llvm::Value* base, int64_t k_first, int64_t n_first) {
      std::vector<DimExpr> at = indices_;
      at[k] = at[k] + DimExpr(k_first);
      at[n] = at[n] + DimExpr(n_first) + DimExpr(part_extents[tensor]) * DimExpr(part_);
      return ir.CreateInBoundsGEP(ir.getFloatTy(), base, e_.Index(e_.nest().tensors[tensor].Offset(at)));
    };
    Values blocks;
    for (int i = 0; i < transform.matrix.columns; ++i) {
      const Quarters::Block block = q.BlockOf(i, dims_[k], part_extents[0]);
      llvm::Value* value = ir.CreateLoad(ir.getFloatTy(), address(0, from, block.k, block.n));
      value = ir.CreateFPExt(value, ir.getDoubleTy());
      llvm::Value* counts = ir.CreateICmpSGE(e_.Index(indices_[k]), e_.I64(block.k_counts));
      blocks.push_back(ir.CreateSelect(counts, value, llvm::ConstantFP::get(ir.getDoubleTy(), 0)));
    }
    for (int row = 0; row < transform.matrix.rows; ++row) {
      llvm::Value* sum = llvm::ConstantFP::get(ir.getDoubleTy(), 0);
      for (int i = 0; i < transform.matrix.columns; ++i) {
        if (transform.matrix(row, i) == 0) continue;
        llvm::Value* factor = llvm::ConstantFP::get(ir.getDoubleTy(), transform.matrix(row, i));
        sum = ir.CreateFAdd(sum, ir.CreateFMul(factor, blocks[static_cast<size_t>(i)]));
      }
      ir.CreateStore(ir.CreateFPTrunc(sum, ir.getFloatTy()), address(1, to, 0, row * q.pitch));
    }
  }

  llvm::Value* Address(int tensor, llvm::Value* base, int row, int column) {
    indices_[static_cast<size_t>(transforms_[0].dim)] = DimExpr(row);
    indices_[static_cast<size_t>(transforms_[1].dim)] = DimExpr(column);
    llvm::Value* offset = e_.Index(e_.nest().tensors[static_cast<size_t>(tensor)].Offset(indices_));
    return e_.ir().CreateInBoundsGEP(e_.ir().getFloatTy(), base, offset);
  }

  void Grid(llvm::Value* from, llvm::Value* to) {
    llvm::IRBuilder<>& ir = e_.ir();
    const LinearProgram left = LinearProgram::Of(transforms_[0].matrix), right = LinearProgram::Of(transforms_[1].matrix);
    EmitGridTransform(
        {left, right,
         [&](int r, int c) { return ir.CreateFPExt(ir.CreateLoad(ir.getFloatTy(), Address(0, from, r, c)), ir.getDoubleTy()); },
         [&](int r, const std::function<Values()>& values) {
           const Values line = values();
           for (size_t c = 0; c < line.size(); ++c) {
             ir.CreateStore(ir.CreateFPTrunc(line[c], ir.getFloatTy()), Address(1, to, r, static_cast<int>(c)));
           }
         }},
        &e_);
  }

  const std::vector<int64_t>& dims_;
  const AxisTransforms& transforms_;
  Emitter& e_;
  std::vector<DimExpr> indices_;
  SymbolRef part_;  // of quarters
};

}  // namespace

llvm::Function* AddTransformFunction(const Target& target, const std::vector<int64_t>& dims,
                                     const AxisTransforms& transforms, const Layout& layout, const std::string& symbol,
                                     llvm::Module* module) {
  const LoopNest nest = NestOf(dims, transforms, layout);
  llvm::Function* function = AddKernelFunction(symbol, 0, target, module);
  Emitter emitter(nest, target, function);
  TransformEmitter(dims, transforms, &emitter).Run(function->getArg(0), function->getArg(1));
  emitter.Finish();
  return function;
}

}  // namespace hone
