#include "compiler/codegen/winograd_kernel.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "compiler/codegen/contract_kernel.h"
#include "compiler/codegen/linear_leaf.h"
#include "compiler/schedule/fused_stages.h"

namespace hone {
namespace {

using Values = Emitter::Values;

constexpr int64_t kFloatBytes = 4;

class WinogradEmitter {
 public:
  WinogradEmitter(const WinogradKernel& kernel, const Target& target, const std::string& prefix, llvm::Value* chunk,
                  Emitter* emitter)
      : kernel_(kernel), target_(target), prefix_(prefix), chunk_(chunk), e_(*emitter), ir_(emitter->ir()) {}

  void Run(llvm::Value* begin, llvm::Value* end) {
    ClearZeros();
    const int64_t tiles = kernel_.Tiles(), smallest = tiles / kernel_.blocks, larger = tiles % kernel_.blocks;
    Each(begin, end, [&](llvm::Value* unit) {
      llvm::Value* part = unit;
      llvm::Value* block = e_.SplitDigit(&part, kernel_.blocks);
      if (kernel_.Groups() > 1) e_.Bind(kernel_.group.variable, e_.SplitDigit(&part, kernel_.Groups()));
      const PanelRange panels = PanelsOfPart(kernel_.parts == 1 ? nullptr : part);
      llvm::Value* first = ir_.CreateMul(block, e_.I64(smallest));
      if (larger > 0)
        first = ir_.CreateAdd(first, ir_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, block, e_.I64(larger)));
      llvm::Value* is_larger = ir_.CreateICmpSLT(block, e_.I64(larger));
      llvm::Value* count = larger == 0 ? e_.I64(smallest) : ir_.CreateSelect(is_larger, e_.I64(smallest + 1), e_.I64(smallest));
      if (kernel_.interleaved >= 0) Interleave(first, count);
      Each(e_.I64(0), e_.I64(kernel_.Phases() / kernel_.PhasesInLanes()), [&](llvm::Value* phase) {
        EachInputBlock([&](llvm::Value* channels) {
          Each(e_.I64(0), count, [&](llvm::Value* tile) { TransformInput(phase, channels, first, tile); });
        });
      });
      if (kernel_.contracts.size() == 1) {
        Products(0, panels);
      } else {
        If(is_larger, [&] { Products(0, panels); }, [&] { Products(1, panels); });
      }
      EachChannelBlock(Extent(kernel_.out_channel), kernel_.lanes, panels, [&](llvm::Value* channels) {
        Each(e_.I64(0), count, [&](llvm::Value* tile) { TransformOutput(channels, first, tile); });
      });
    });
  }

 private:
  const WinogradDim& rows() const { return kernel_.dims[0]; }
  const WinogradDim& columns() const { return kernel_.dims[1]; }

  void Each(llvm::Value* begin, llvm::Value* end, const std::function<void(llvm::Value*)>& body) {
    e_.Loop(begin, end, 1, {}, [&](llvm::Value* i, const Values&) {
      body(i);
      return Values();
    });
  }

  void If(llvm::Value* condition, const std::function<void()>& then, const std::function<void()>& otherwise = nullptr) {
    llvm::Function* function = ir_.GetInsertBlock()->getParent();
    const auto block = [&](const char* name) { return llvm::BasicBlock::Create(ir_.getContext(), name, function); };
    llvm::BasicBlock* yes = block("then");
    llvm::BasicBlock* no = otherwise ? block("else") : nullptr;
    llvm::BasicBlock* after = block("after");
    ir_.CreateCondBr(condition, yes, no != nullptr ? no : after);
    ir_.SetInsertPoint(yes);
    then();
    ir_.CreateBr(after);
    if (no != nullptr) {
      ir_.SetInsertPoint(no);
      otherwise();
      ir_.CreateBr(after);
    }
    ir_.SetInsertPoint(after);
  }

  // Near-equal parts of the panels; none given: all of them.
  PanelRange PanelsOfPart(llvm::Value* part) {
    if (part == nullptr) return {};
    const int64_t panels = PanelsOf(kernel_.contracts.front());
    const auto bound = [&](llvm::Value* i) {
      return ir_.CreateUDiv(ir_.CreateMul(i, e_.I64(panels)), e_.I64(kernel_.parts));
    };
    return {bound(part), bound(ir_.CreateAdd(part, e_.I64(1)))};
  }

  // The blocks of `lanes` channels, those of some panels of the products or all; the last one may be
  // narrower.
  void EachChannelBlock(int64_t channels, int lanes, const PanelRange& panels,
                        const std::function<void(llvm::Value*)>& body) {
    const int64_t whole = channels / lanes, rest = channels % lanes;
    const auto run = [&](int active, llvm::Value* block) {
      lane_ = MakeSymbol("lane", 0, active - 1);
      e_.SetLanes({lane_, lanes, active});
      body(block);
      e_.SetLanes({});
    };
    if (panels.begin == nullptr) {
      if (whole > 0) Each(e_.I64(0), e_.I64(whole), [&](llvm::Value* block) { run(lanes, block); });
      if (rest > 0) run(static_cast<int>(rest), e_.I64(whole));
      return;
    }
    const ContractKernel& products = kernel_.contracts.front();
    llvm::Value* blocks = e_.I64(products.panel_vectors * products.lanes / lanes);  // of a panel
    llvm::Value* begin = ir_.CreateMul(panels.begin, blocks);
    llvm::Value* end = ir_.CreateMul(panels.end, blocks);
    llvm::Value* last = ir_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, end, e_.I64(whole));
    If(ir_.CreateICmpSLT(begin, last),
       [&] { Each(begin, last, [&](llvm::Value* block) { run(lanes, block); }); });
    if (rest > 0) If(ir_.CreateICmpSGT(end, e_.I64(whole)), [&] { run(static_cast<int>(rest), e_.I64(whole)); });
  }

  // Vectors along interleaved channels are whole: what they write too much is overwritten by the next phase, or padding.
  void EachInputBlock(const std::function<void(llvm::Value*)>& body) {
    if (kernel_.interleaved < 0)
      return EachChannelBlock(Extent(kernel_.channel), kernel_.input_lanes, {}, body);
    WithVectorsOf(kernel_.input_lanes, [&] {
      Each(e_.I64(0), e_.I64((kernel_.InputChannels() + kernel_.input_lanes - 1) / kernel_.input_lanes), body);
    });
  }
  void WithVectorsOf(int lanes, const std::function<void()>& body) {
    e_.SetLanes({MakeSymbol("lane", 0, lanes - 1), lanes, lanes});
    body();
    e_.SetLanes({});
  }

  llvm::Value* Step(llvm::Value* pointer, int64_t elements) {
    if (elements == 0) return pointer;
    return ir_.CreateConstInBoundsGEP1_64(ir_.getInt8Ty(), pointer, static_cast<uint64_t>(elements * kFloatBytes));
  }
  llvm::Value* Element(llvm::Value* pointer, llvm::Value* index) {
    return ir_.CreateInBoundsGEP(ir_.getFloatTy(), pointer, index);
  }
  llvm::Value* EdgeZeros() {
    return Step(e_.Base(kernel_.edge), int64_t{rows().points} * columns().points * kernel_.input_lanes);
  }
  void ClearZeros() {
    WithVectorsOf(kernel_.input_lanes, [&] {
      llvm::Type* type = e_.VectorOf(ir_.getFloatTy(), kernel_.input_lanes);
      e_.StoreVector(llvm::Constant::getNullValue(type), EdgeZeros(), DType::kF32);
    });
  }

  int64_t PitchOf(ProgramTensorId temporary) {
    const NestTensor& tensor = e_.nest().tensors[temporary];
    return tensor.layout.PhysicalShape(tensor.dims).back().Constant();
  }
  llvm::Value* InterleavedRow(llvm::Value* tile_row, llvm::Value* row) {
    llvm::Value* number = ir_.CreateAdd(ir_.CreateMul(tile_row, e_.I64(rows().Span())), row);
    return Element(e_.Base(kernel_.interleaved), ir_.CreateMul(number, e_.I64(PitchOf(kernel_.interleaved))));
  }

  void Interleave(llvm::Value* first, llvm::Value* count) {
    first_row_ = ir_.CreateUDiv(first, e_.I64(columns().tiles));
    llvm::Value* last_tile = ir_.CreateSub(ir_.CreateAdd(first, count), e_.I64(1));
    llvm::Value* end = ir_.CreateAdd(ir_.CreateUDiv(last_tile, e_.I64(columns().tiles)), e_.I64(1));
    Each(first_row_, end, [&](llvm::Value* number) {
      llvm::Value* image = ir_.CreateUDiv(number, e_.I64(rows().tiles));
      llvm::Value* start = Start(rows(), ir_.CreateURem(number, e_.I64(rows().tiles)), e_.I64(0));
      Each(e_.I64(0), e_.I64(rows().Span()), [&](llvm::Value* i) {
        llvm::Value* to = InterleavedRow(ir_.CreateSub(number, first_row_), i);
        llvm::Value* row = ir_.CreateAdd(start, i);
        If(ir_.CreateICmpULT(row, e_.I64(rows().source_extent)), [&] { InterleaveRow(image, row, to); },
           [&] { Clear(to, columns().Reach() * Extent(kernel_.channel)); });
      });
    });
  }
  void Clear(llvm::Value* to, int64_t elements) {
    if (elements > 0) ir_.CreateMemSet(to, ir_.getInt8(0), static_cast<uint64_t>(elements * kFloatBytes), llvm::MaybeAlign(4));
  }

  // Zeros, the row's columns with the channels of each side by side, zeros. The last vectors overlap those before.
  void InterleaveRow(llvm::Value* image, llvm::Value* row, llvm::Value* to) {
    const int lanes = kernel_.contracts.front().lanes, channels = static_cast<int>(Extent(kernel_.channel));
    const int64_t room = columns().Reach() - columns().before, width = std::min(columns().source_extent, room);
    Clear(to, columns().before * channels);
    Clear(Step(to, (columns().before + width) * channels), (room - width) * channels);
    to = Step(to, columns().before * channels);
    e_.Bind(kernel_.image.variable, image);
    e_.Bind(kernel_.row, row);
    const DimExpr offset = e_.nest().tensors[kernel_.source].Offset(kernel_.source_indices);
    const int64_t plane = LaneStride(offset, kernel_.channel.variable).value_or(0);
    const DimExpr start = offset.Substitute({{kernel_.channel.variable, DimExpr(0)}, {kernel_.column, DimExpr(0)}});
    llvm::Value* from = Element(e_.Base(kernel_.source), e_.Index(start));
    WithVectorsOf(lanes, [&] {
      Each(e_.I64(0), e_.I64((width + lanes - 1) / lanes), [&](llvm::Value* block) {
        llvm::Value* column = ir_.CreateMul(block, e_.I64(lanes));
        column = ir_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, column, e_.I64(width - lanes));
        Values planes;
        for (int c = 0; c < channels; ++c) {
          planes.push_back(e_.LoadVector(Step(Element(from, column), c * plane), DType::kF32));
        }
        llvm::Value* at = Element(to, ir_.CreateMul(column, e_.I64(channels)));
        for (int v = 0; v < channels; ++v) e_.StoreVector(Interleaved(planes, v), Step(at, int64_t{v} * lanes), DType::kF32);
      });
    });
  }

  // Vector v of the planes' elements in turn.
  llvm::Value* Interleaved(const Values& planes, int v) {
    const int lanes = kernel_.contracts.front().lanes, count = static_cast<int>(planes.size());
    llvm::Value* result = planes[0];
    for (int plane = 0; plane < count; ++plane) {
      std::vector<int> mask;
      for (int lane = 0; lane < lanes; ++lane) {
        const int element = v * lanes + lane, from = element / count;
        mask.push_back(element % count == plane ? from + (plane > 0 ? lanes : 0) : lane);
      }
      result = ir_.CreateShuffleVector(result, planes[plane], mask);
    }
    return result;
  }

  struct Place {
    llvm::Value* image;
    llvm::Value* row;      // number of the tile in either dimension
    llvm::Value* column;
  };
  Place PlaceOf(llvm::Value* first, llvm::Value* tile) {
    llvm::Value* number = ir_.CreateAdd(first, tile);
    llvm::Value* column = e_.SplitDigit(&number, columns().tiles);
    llvm::Value* row = e_.SplitDigit(&number, rows().tiles);
    return {number, row, column};
  }

  // Where a tile's column of points begins in a temporary, and the strides between its points.
  struct Points {
    llvm::Value* base;
    int64_t row_stride, column_stride;
  };
  Points PointsOf(ProgramTensorId temporary, llvm::Value* first_channel, llvm::Value* tile) {
    const std::vector<DimExpr> shape = e_.nest().tensors[temporary].layout.PhysicalShape(e_.nest().tensors[temporary].dims);
    const int64_t pitch = shape[3].Constant(), plane = pitch * shape[2].Constant();
    llvm::Value* offset = ir_.CreateAdd(ir_.CreateMul(tile, e_.I64(pitch)), first_channel);
    return {Element(e_.Base(temporary), offset), plane * columns().points, plane};
  }

  // WinogradDim::First().
  llvm::Value* First(const WinogradDim& dim, llvm::Value* tile) {
    if (dim.dilation == 1) return ir_.CreateMul(tile, e_.I64(dim.outputs));
    llvm::Value* number = ir_.CreateUDiv(tile, e_.I64(dim.dilation));
    return ir_.CreateAdd(ir_.CreateMul(number, e_.I64(int64_t{dim.outputs} * dim.dilation)),
                         ir_.CreateURem(tile, e_.I64(dim.dilation)));
  }
  // Source positions of a tile's first point; negative, or beyond the end with the others, at a border.
  llvm::Value* Start(const WinogradDim& dim, llvm::Value* tile, llvm::Value* phase) {
    llvm::Value* first = ir_.CreateMul(First(dim, tile), e_.I64(dim.stride));
    return ir_.CreateAdd(first, ir_.CreateSub(phase, e_.I64(dim.before)));
  }
  llvm::Value* Inside(const WinogradDim& dim, llvm::Value* start) {
    const int64_t span = dim.Step() * (dim.points - 1) + 1;
    if (dim.before == 0 && dim.Reach() <= dim.source_extent) return ir_.getTrue();
    if (dim.source_extent < span) return ir_.getFalse();
    return ir_.CreateICmpULE(start, e_.I64(dim.source_extent - span));
  }

  void TransformInput(llvm::Value* phase, llvm::Value* channels, llvm::Value* first, llvm::Value* tile) {
    const Place place = PlaceOf(first, tile);
    llvm::Value* before = ir_.CreateMul(phase, e_.I64(kernel_.InputChannels()));   // channels of other phases
    llvm::Value* channel = ir_.CreateMul(channels, e_.I64(kernel_.input_lanes));
    const Points to = PointsOf(kernel_.transformed, ir_.CreateAdd(before, channel), tile);
    const auto transform = [&](llvm::Value* from, int64_t between_rows, int64_t between_columns) {
      EmitGridTransform(
          {rows().input, columns().input,
           [&](int r, int c) { return e_.LoadVector(Step(from, r * between_rows + c * between_columns), DType::kF32); },
           [&](int r, const std::function<Values()>& values) {
             const Values line = values();
             for (size_t c = 0; c < line.size(); ++c) {
               e_.StoreVector(line[c], Step(to.base, r * to.row_stride + static_cast<int64_t>(c) * to.column_stride), DType::kF32);
             }
           }},
          &e_);
    };
    if (kernel_.interleaved >= 0) {
      llvm::Value* number = ir_.CreateUDiv(ir_.CreateAdd(first, tile), e_.I64(columns().tiles));
      const int64_t step = columns().stride * Extent(kernel_.channel);
      llvm::Value* column = ir_.CreateMul(place.column, e_.I64(step * columns().outputs));
      llvm::Value* from = InterleavedRow(ir_.CreateSub(number, first_row_), phase);
      return transform(Element(from, ir_.CreateAdd(column, channel)), rows().stride * PitchOf(kernel_.interleaved), step);
    }
    llvm::Value* row = Start(rows(), place.row, ir_.CreateUDiv(phase, e_.I64(columns().Phases())));
    llvm::Value* column = Start(columns(), place.column, ir_.CreateURem(phase, e_.I64(columns().Phases())));
    const DimExpr offset = SourceOffset(channels, place.image, row, column);
    const int64_t row_stride = rows().Step() * LaneStride(offset, kernel_.row).value_or(0);
    const int64_t column_stride = columns().Step() * LaneStride(offset, kernel_.column).value_or(0);
    DimExpr start;
    offset.AffineCoefficient(lane_, &start);
    llvm::Value* origin = Element(e_.Base(kernel_.source), e_.Index(start));
    llvm::Value* inside = ir_.CreateAnd(Inside(rows(), row), Inside(columns(), column));
    // A tile over the border is first copied, with its zeros.
    llvm::Value* edge = e_.Base(kernel_.edge);
    If(inside, [&] { transform(origin, row_stride, column_stride); },
       [&] {
         CopyEdge(origin, row_stride, column_stride, row, column, edge);
         transform(edge, int64_t{columns().points} * kernel_.input_lanes, kernel_.input_lanes);
       });
  }

  DimExpr SourceOffset(llvm::Value* channels, llvm::Value* image, llvm::Value* row, llvm::Value* column) {
    const int64_t blocks = Extent(kernel_.channel) / kernel_.input_lanes;
    const SymbolRef block = MakeSymbol("block", 0, std::max<int64_t>(1, blocks));
    e_.Bind(block, channels);
    e_.Bind(kernel_.image.variable, image);
    e_.Bind(kernel_.row, row);
    e_.Bind(kernel_.column, column);
    std::vector<DimExpr> indices = kernel_.source_indices;
    for (DimExpr& index : indices) {
      index = index.Substitute(
          {{kernel_.channel.variable, DimExpr(kernel_.input_lanes) * DimExpr(block) + DimExpr(lane_)}});
    }
    return e_.nest().tensors[kernel_.source].Offset(std::move(indices));
  }

  // Without branches: what lies outside is read from a vector of zeros.
  void CopyEdge(llvm::Value* origin, int64_t row_stride, int64_t column_stride, llvm::Value* row, llvm::Value* column,
                llvm::Value* edge) {
    llvm::Value* zeros = EdgeZeros();
    const auto valid = [&](const WinogradDim& dim, llvm::Value* start) {
      Values checks;
      for (int i = 0; i < dim.points; ++i) {
        checks.push_back(
            ir_.CreateICmpULT(ir_.CreateAdd(start, e_.I64(dim.Step() * i)), e_.I64(dim.source_extent)));
      }
      return checks;
    };
    const Values valid_rows = valid(rows(), row), valid_columns = valid(columns(), column);
    for (int r = 0; r < rows().points; ++r) {
      for (int c = 0; c < columns().points; ++c) {
        llvm::Value* address = ir_.CreateConstGEP1_64(
            ir_.getInt8Ty(), origin, static_cast<uint64_t>((r * row_stride + c * column_stride) * kFloatBytes));
        address = ir_.CreateSelect(ir_.CreateAnd(valid_rows[r], valid_columns[c]), address, zeros);
        e_.StoreVector(e_.LoadVector(address, DType::kF32),
                       Step(edge, (int64_t{r} * columns().points + c) * kernel_.input_lanes), DType::kF32);
      }
    }
  }

  void Products(size_t number, const PanelRange& panels) {
    if (kernel_.given < 0) return Contract(number, panels);
    llvm::Value* begin = panels.begin == nullptr ? e_.I64(0) : panels.begin;
    llvm::Value* end = panels.begin == nullptr ? e_.I64(PanelsOf(kernel_.contracts.front())) : panels.end;
    Each(begin, end, [&](llvm::Value* panel) {
      const auto pass = [&](llvm::Value* i, bool adds) {
        TransformKernels(panel, i);
        e_.Bind(kernel_.pass.variable, i);
        Contract(number, {panel, ir_.CreateAdd(panel, e_.I64(1)), adds});
      };
      pass(e_.I64(0), false);
      e_.Loop(Extent(kernel_.pass) - 1, {}, [&](llvm::Value* i, const Values&) {
        pass(ir_.CreateAdd(i, e_.I64(1)), true);
        return Values();
      });
    });
  }

  // Those of a panel, for the channels of a pass.
  void TransformKernels(llvm::Value* panel, llvm::Value* pass) {
    const ContractKernel& products = kernel_.contracts.front();
    const int lanes = products.lanes;
    const int64_t width = int64_t{products.panel_vectors} * lanes,
                  channels = Extent(kernel_.channel) / Extent(kernel_.pass);
    const int64_t taps = int64_t{rows().taps} * columns().taps;
    const NestTensor& kept = e_.nest().tensors[kernel_.kernels];
    const int64_t plane =
        kept.layout.Elements(kept.dims).Constant() / (int64_t{rows().points} * columns().points);
    if (kernel_.Groups() > 1) {
      llvm::Value* group = e_.Index(DimExpr(kernel_.group.variable));
      panel = ir_.CreateAdd(ir_.CreateMul(group, e_.I64(PanelsOf(products))), panel);
    }
    llvm::Value* first = ir_.CreateAdd(ir_.CreateMul(panel, e_.I64(Extent(kernel_.channel))),
                                       ir_.CreateMul(pass, e_.I64(channels)));
    const auto transform = [&](llvm::Value* from, llvm::Value* to) {
      EmitGridTransform(
          {rows().kernel, columns().kernel,
           [&](int r, int c) {
             return e_.LoadVector(Step(from, (int64_t{r} * columns().taps + c) * width), DType::kF32);
           },
           [&](int r, const std::function<Values()>& values) {
             const Values line = values();
             for (int c = 0; c < static_cast<int>(line.size()); ++c) {
               const int64_t point = int64_t{r / rows().Phases()} * columns().points + c / columns().Phases();
               const int64_t phase =
                   int64_t{r % rows().Phases()} * columns().Phases() + c % columns().Phases();
               e_.StoreVector(line[static_cast<size_t>(c)],
                              Step(to, point * plane + phase * channels * width), DType::kF32);
             }
           }},
          &e_);
    };
    WithVectorsOf(lanes, [&] {
      Each(e_.I64(0), e_.I64(channels), [&](llvm::Value* channel) {
        Each(e_.I64(0), e_.I64(products.panel_vectors), [&](llvm::Value* vector) {
          llvm::Value* lane = ir_.CreateMul(vector, e_.I64(lanes));
          llvm::Value* from = ir_.CreateMul(ir_.CreateAdd(first, channel), e_.I64(taps * width));
          llvm::Value* to = ir_.CreateMul(channel, e_.I64(width));
          transform(Element(e_.Base(kernel_.given), ir_.CreateAdd(from, lane)),
                    Element(e_.Base(kernel_.kernels), ir_.CreateAdd(to, lane)));
        });
      });
    });
  }

  void Contract(size_t number, const PanelRange& panels) {
    const ContractKernel& contract = kernel_.contracts[number];
    EmitContractKernel(contract, target_, absl::StrCat(prefix_, "_products_", number), e_.I64(0),
                       e_.I64(UnitsOf(contract)), &e_, chunk_, panels);
  }

  void TransformOutput(llvm::Value* channels, llvm::Value* first, llvm::Value* tile) {
    const Place place = PlaceOf(first, tile);
    const Points from = PointsOf(kernel_.products, ir_.CreateMul(channels, e_.I64(kernel_.lanes)), tile);
    BindTile(channels, place);
    EmitGridTransform(
        {rows().output, columns().output,
         [&](int r, int c) {
           return e_.LoadVector(Step(from.base, r * from.row_stride + c * from.column_stride), DType::kF32);
         },
         [&](int r, const std::function<Values()>& values) {
           IfThere(rows(), place.row, r, [&] { StoreRow(place, r, values()); });
         }},
        &e_);
  }

  // Outputs past the end are not stored.
  void IfThere(const WinogradDim& dim, llvm::Value* tile, int number, const std::function<void()>& body) {
    const int64_t position = int64_t{number} * dim.dilation;
    if (dim.First(dim.tiles - 1) + position < Extent(dim.out)) return body();
    If(ir_.CreateICmpULT(First(dim, tile), e_.I64(std::max<int64_t>(0, Extent(dim.out) - position))), body);
  }

  void BindTile(llvm::Value* channels, const Place& place) {
    const auto bounded = [&](const char* name, int64_t most, llvm::Value* value) {
      const SymbolRef symbol = MakeSymbol(name, 0, std::max<int64_t>(1, most));
      e_.Bind(symbol, value);
      return symbol;
    };
    const SymbolRef block = bounded("block", Extent(kernel_.out_channel) / kernel_.lanes, channels);
    e_.Substitute(kernel_.out_channel.variable, DimExpr(kernel_.lanes) * DimExpr(block) + DimExpr(lane_));
    e_.Bind(kernel_.image.variable, place.image);
    first_output_[0] = bounded("first_row", rows().First(rows().tiles - 1), First(rows(), place.row));
    first_output_[1] =
        bounded("first_column", columns().First(columns().tiles - 1), First(columns(), place.column));
  }

  void StoreRow(const Place& place, int row, const Values& values) {
    for (size_t c = 0; c < values.size(); ++c) {
      const int column = static_cast<int>(c);
      IfThere(columns(), place.column, column, [&] {
        const int positions[] = {row, column};
        for (int d = 0; d < 2; ++d) {
          const WinogradDim& dim = kernel_.dims[d];
          e_.Substitute(dim.out.variable,
                        DimExpr(first_output_[d]) + DimExpr(int64_t{positions[d]} * dim.dilation));
        }
        e_.Forget();
        e_.SetParameters({values[c]});
        for (const Store& store : kernel_.stores) e_.StoreTo(store, e_.Widen(e_.Evaluate(store.value)));
        e_.Forget();
      });
    }
  }

  const WinogradKernel& kernel_;
  const Target& target_;
  const std::string prefix_;
  llvm::Value* chunk_;
  Emitter& e_;
  llvm::IRBuilder<>& ir_;
  SymbolRef lane_;
  llvm::Value* first_row_ = nullptr;   // of tiles in the block; of all images
  SymbolRef first_output_[2];          // output positions of a tile
};

}  // namespace

void EmitWinogradKernel(const WinogradKernel& kernel, const Target& target, const std::string& prefix,
                        llvm::Value* begin, llvm::Value* end, llvm::Value* chunk, Emitter* emitter) {
  WinogradEmitter(kernel, target, prefix, chunk, emitter).Run(begin, end);
}

}  // namespace hone
