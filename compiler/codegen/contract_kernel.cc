#include "compiler/codegen/contract_kernel.h"

#include <llvm/IR/Module.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "compiler/codegen/contract_leaf.h"
#include "compiler/schedule/fused_stages.h"

namespace hone {
namespace {

using Values = Emitter::Values;

int64_t Segments(const ContractKernel& kernel) {
  return Points({kernel.m.begin(), kernel.m.begin() + kernel.segment_axes});
}
int64_t Tiles(const ContractKernel& kernel) { return Segments(kernel) * static_cast<int64_t>(kernel.tiles.size()); }
int64_t Blocks(const ContractKernel& kernel) {
  return (Tiles(kernel) + kernel.tiles_per_block - 1) / kernel.tiles_per_block;
}
int64_t PanelWidth(const ContractKernel& kernel) { return int64_t{kernel.panel_vectors} * kernel.lanes; }
int64_t Panels(const ContractKernel& kernel) {
  return (Extent(kernel.n) + PanelWidth(kernel) - 1) / PanelWidth(kernel);
}

class ContractEmitter {
 public:
  ContractEmitter(const ContractKernel& kernel, const Target& target, const std::string& prefix, Emitter* emitter,
                  llvm::Value* scratch, const PanelRange& panels)
      : kernel_(kernel), target_(target), prefix_(prefix), e_(*emitter), ir_(emitter->ir()), scratch_(scratch),
        panels_(panels) {}

  void Run(llvm::Value* begin, llvm::Value* end) {
    e_.Loop(begin, end, 1, {}, [&](llvm::Value* unit, const Values&) {
      Unit(unit);
      return Values();
    });
  }

 private:
  // A half-open range of blocks or panels.
  struct Range {
    llvm::Value* begin;
    llvm::Value* end;
  };

  void Unit(llvm::Value* unit) {
    llvm::Value* rest = unit;
    const auto range = [&](bool shared, int64_t extent) -> Range {
      if (!shared) return {e_.I64(0), e_.I64(extent)};
      llvm::Value* digit = e_.SplitDigit(&rest, extent);
      return {digit, ir_.CreateAdd(digit, e_.I64(1))};
    };
    const Range all = range(kernel_.parallel_n, Panels(kernel_));
    const Range panels = panels_.begin == nullptr ? all : Range{panels_.begin, panels_.end};
    const Range blocks = range(kernel_.parallel_m, Blocks(kernel_));
    batch_.assign(kernel_.batch.size(), nullptr);
    for (size_t axis = kernel_.batch.size(); axis-- > 0;)
      batch_[axis] = e_.SplitDigit(&rest, Extent(kernel_.batch[axis]));
    if (kernel_.k_ranges.empty()) return Passes({{0, Extent(kernel_.k.front())}}, panels, blocks);
    llvm::Value* last = e_.I64(0);
    for (size_t axis = 0; axis < batch_.size(); ++axis) {
      llvm::Value* is_last = ir_.CreateICmpEQ(batch_[axis], e_.I64(Extent(kernel_.batch[axis]) - 1));
      last = ir_.CreateOr(last, ir_.CreateShl(ir_.CreateZExt(is_last, ir_.getInt64Ty()), axis));
    }
    Switch(last, static_cast<int64_t>(kernel_.k_ranges.size()),
           [&](int64_t i) { Passes(kernel_.k_ranges[static_cast<size_t>(i)], panels, blocks); });
  }

  void Passes(const std::vector<LoopRange>& ranges, const Range& panels, const Range& blocks) {
    for (const auto& [begin, end] : ranges) {
      const int64_t chunk = kernel_.k_chunk > 0 ? kernel_.k_chunk : end - begin;
      for (int64_t k = begin; k < end; k += chunk) {
        pass_ = {.k_begin = k,
                 .k_count = std::min(chunk, end - k),
                 .first_pass = !panels_.adds && k == ranges.front().begin,
                 .last_pass = k + chunk >= ranges.back().end};
        Sweep(panels, blocks);
      }
    }
  }

  void Each(const Range& range, const std::function<void(llvm::Value*)>& body) {
    e_.Loop(range.begin, range.end, 1, {}, [&](llvm::Value* i, const Values&) {
      body(i);
      return Values();
    });
  }

  void Sweep(const Range& panels, const Range& blocks) {
    if (kernel_.panels_outer) {
      Each(panels, [&](llvm::Value* panel) { Each(blocks, [&](llvm::Value* block) { TilesOf(block, panel); }); });
    } else {
      Each(blocks, [&](llvm::Value* block) { Each(panels, [&](llvm::Value* panel) { TilesOf(block, panel); }); });
    }
  }

  void TilesOf(llvm::Value* block, llvm::Value* panel) {
    llvm::Value* begin = ir_.CreateMul(block, e_.I64(kernel_.tiles_per_block));
    llvm::Value* end = ir_.CreateAdd(begin, e_.I64(kernel_.tiles_per_block));
    end = ir_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, end, e_.I64(Tiles(kernel_)));
    Each({begin, end}, [&](llvm::Value* tile) { Tile(tile, panel, ir_.CreateSub(tile, begin)); });
  }

  // Coordinates of a tile's first row, then the call of its leaf, the panel's use number `turn`.
  void Tile(llvm::Value* tile, llvm::Value* panel, llvm::Value* turn) {
    const int64_t count = static_cast<int64_t>(kernel_.tiles.size());
    llvm::Value* segment = tile;
    llvm::Value* number = e_.SplitDigit(&segment, count);
    std::vector<llvm::Value*> arguments = {ir_.GetInsertBlock()->getParent()->getArg(0), scratch_};
    arguments.insert(arguments.end(), batch_.begin(), batch_.end());
    std::vector<llvm::Value*> coordinates(kernel_.m.size());
    for (int axis = kernel_.segment_axes - 1; axis >= 0; --axis) {
      coordinates[axis] = axis == 0 ? segment : e_.SplitDigit(&segment, Extent(kernel_.m[axis]));
    }
    llvm::Value* row = FirstRow(number);
    for (int axis = static_cast<int>(kernel_.m.size()) - 1; axis >= kernel_.segment_axes; --axis) {
      coordinates[axis] = axis == kernel_.segment_axes ? row : e_.SplitDigit(&row, Extent(kernel_.m[axis]));
    }
    arguments.insert(arguments.end(), coordinates.begin(), coordinates.end());
    arguments.push_back(panel);
    arguments.push_back(turn);
    for (const SymbolRef& variable : kernel_.around) arguments.push_back(e_.Index(DimExpr(variable)));
    CallPattern(number, panel, arguments);
  }

  // Near-equal tiles: the first `longer` have one row more. Those that skip taps begin anywhere.
  llvm::Value* FirstRow(llvm::Value* number) {
    if (kernel_.SkipsTaps()) return LookUp("_rows", &RowTile::first, number);
    const int64_t rows = Points({kernel_.m.begin() + kernel_.segment_axes, kernel_.m.end()});
    const int64_t count = static_cast<int64_t>(kernel_.tiles.size());
    const int64_t size = rows / count, longer = rows % count;
    llvm::Value* row = ir_.CreateMul(number, e_.I64(size));
    if (longer == 0) return row;
    return ir_.CreateAdd(row, ir_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, number, e_.I64(longer)));
  }

  void Switch(llvm::Value* value, int64_t cases, const std::function<void(int64_t)>& body) {
    if (cases == 1) return body(0);
    llvm::Function* function = ir_.GetInsertBlock()->getParent();
    llvm::BasicBlock* after = llvm::BasicBlock::Create(ir_.getContext(), "after", function);
    std::vector<llvm::BasicBlock*> blocks;
    for (int64_t i = 0; i < cases; ++i) {
      blocks.push_back(llvm::BasicBlock::Create(ir_.getContext(), "case", function));
    }
    llvm::SwitchInst* branch = ir_.CreateSwitch(value, blocks[0], static_cast<unsigned>(cases));
    for (int64_t i = 0; i < cases; ++i) {
      if (i > 0) branch->addCase(ir_.getInt64(static_cast<uint64_t>(i)), blocks[i]);
      ir_.SetInsertPoint(blocks[i]);
      body(i);
      ir_.CreateBr(after);
    }
    ir_.SetInsertPoint(after);
  }

  void CallPattern(llvm::Value* number, llvm::Value* panel, const std::vector<llvm::Value*>& arguments) {
    const int64_t patterns = static_cast<int64_t>(kernel_.patterns.size());
    llvm::Value* pattern = patterns == 1 ? e_.I64(0) : LookUp("_patterns", &RowTile::pattern, number);
    // The last panel may be narrower.
    const int64_t tail = Extent(kernel_.n) % PanelWidth(kernel_);
    const int64_t kinds = tail == 0 || Panels(kernel_) == 1 ? 1 : 2;
    llvm::Value* kind = ir_.CreateZExt(ir_.CreateICmpEQ(panel, e_.I64(Panels(kernel_) - 1)), ir_.getInt64Ty());
    Switch(pattern, patterns, [&](int64_t p) {
      Switch(kind, kinds, [&](int64_t k) {
        const bool narrow = tail != 0 && (k == 1 || kinds == 1);
        ir_.CreateCall(Leaf(static_cast<int>(p), narrow ? tail : PanelWidth(kernel_)), arguments);
      });
    });
  }

  // A field of tile `number`, from a table of all tiles'.
  template <typename Field>
  llvm::Value* LookUp(const char* name, Field RowTile::* field, llvm::Value* number) {
    llvm::Module* module = ir_.GetInsertBlock()->getModule();
    llvm::GlobalVariable* table = module->getNamedGlobal(prefix_ + name);
    if (table == nullptr) {
      std::vector<uint32_t> entries;
      for (const RowTile& tile : kernel_.tiles) entries.push_back(static_cast<uint32_t>(tile.*field));
      llvm::Constant* data = llvm::ConstantDataArray::get(ir_.getContext(), entries);
      table = new llvm::GlobalVariable(*module, data->getType(), true, llvm::GlobalValue::PrivateLinkage,
                                       data, prefix_ + name);
    }
    llvm::Value* address = ir_.CreateInBoundsGEP(ir_.getInt32Ty(), table, number);
    return ir_.CreateZExt(ir_.CreateLoad(ir_.getInt32Ty(), address), ir_.getInt64Ty());
  }

  llvm::Function* Leaf(int pattern, int64_t width) {
    const std::string name =
        absl::StrCat(prefix_, "_leaf_", pattern, "_", width, "_", pass_.k_begin, "_", pass_.k_count,
                     pass_.first_pass ? "" : "_adds", pass_.last_pass ? "_last" : "");
    llvm::Module* module = ir_.GetInsertBlock()->getModule();
    if (llvm::Function* known = module->getFunction(name)) return known;
    ContractLeaf leaf = pass_;
    leaf.pattern = pattern;
    leaf.vectors = static_cast<int>((width + kernel_.lanes - 1) / kernel_.lanes);
    leaf.active = static_cast<int>(width - int64_t{leaf.vectors - 1} * kernel_.lanes);
    return EmitContractLeaf(kernel_, e_.nest(), target_, leaf, name, module);
  }

  const ContractKernel& kernel_;
  const Target& target_;
  const std::string prefix_;
  Emitter& e_;
  llvm::IRBuilder<>& ir_;
  llvm::Value* scratch_;
  const PanelRange panels_;
  std::vector<llvm::Value*> batch_;
  ContractLeaf pass_;
};

}  // namespace

int64_t PanelsOf(const ContractKernel& kernel) { return Panels(kernel); }

int64_t UnitsOf(const ContractKernel& kernel) {
  int64_t units = Points(kernel.batch);
  if (kernel.parallel_m) units *= Blocks(kernel);
  if (kernel.parallel_n) units *= Panels(kernel);
  return units;
}

void EmitContractKernel(const ContractKernel& kernel, const Target& target, const std::string& prefix,
                        llvm::Value* begin, llvm::Value* end, Emitter* emitter, llvm::Value* scratch,
                        const PanelRange& panels) {
  ContractEmitter(kernel, target, prefix, emitter, scratch, panels).Run(begin, end);
}

}  // namespace hone
