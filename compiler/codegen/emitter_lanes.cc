// Lanes that are no plain vector of memory: permuted in registers, transposed in blocks, or one by one.
#include <algorithm>
#include <set>
#include <utility>

#include "compiler/codegen/emitter.h"
#include "compiler/codegen/vector_transpose.h"

namespace hone {

llvm::Value* Emitter::PerLane(const ScalarRef& scalar) {
  if (llvm::Value* permuted = PermutedLanes(scalar)) return permuted;
  llvm::Value* vector = llvm::PoisonValue::get(VectorOf(TypeOf(scalar->dtype), lanes_.lanes));
  const std::map<const Scalar*, llvm::Value*> known = std::move(known_);
  const Values parameters = parameters_;
  for (int lane = 0; lane < lanes_.active; ++lane) {
    known_.clear();
    only_lane_ = lane;
    for (size_t p = 0; p < parameters.size(); ++p) {
      if (parameters[p]->getType()->isVectorTy()) parameters_[p] = ir_.CreateExtractElement(parameters[p], lane);
    }
    llvm::Value* value = Evaluate(scalar);
    vector = ir_.CreateInsertElement(vector, value, static_cast<uint64_t>(lane));
  }
  only_lane_.reset();
  parameters_ = parameters;
  known_ = known;
  return vector;
}

std::optional<Emitter::Element> Emitter::ElementOf(const ScalarRef& scalar, int lane) {
  const std::optional<int> before = std::exchange(only_lane_, lane);
  ScalarRef chosen = scalar;
  std::optional<bool> decided = true;
  while (decided && chosen->kind == Scalar::Kind::kSelect) {
    decided = Decide(chosen->operands[0]);
    if (decided) chosen = chosen->operands[*decided ? 1 : 2];
  }
  std::optional<Element> element;
  const bool affine = std::all_of(chosen->indices.begin(), chosen->indices.end(),
                                  [](const LoadIndex& index) { return std::holds_alternative<DimExpr>(index); });
  if (chosen->kind == Scalar::Kind::kLoad && affine && chosen->dtype != DType::kBool) {
    element = Element{chosen->tensor, OffsetOf(chosen->tensor, chosen->indices)};
  }
  only_lane_ = before;
  return element;
}

llvm::Value* Emitter::PermutedLanes(const ScalarRef& scalar) {
  struct Source {
    DimExpr first;
    std::set<int64_t> distances;
  };
  std::map<ProgramTensorId, Source> sources;
  std::vector<std::pair<ProgramTensorId, int64_t>> at;   // by lane: distance from the tensor's first element here
  for (int lane = 0; lane < lanes_.active; ++lane) {
    const std::optional<Element> element = ElementOf(scalar, lane);
    if (!element) return nullptr;
    Source& source = sources.try_emplace(element->tensor, Source{element->offset, {}}).first->second;
    const std::optional<int64_t> distance = (element->offset - source.first).AsConstant();
    if (!distance) return nullptr;
    source.distances.insert(*distance);
    at.emplace_back(element->tensor, *distance);
  }
  int vectors = 0;
  for (const auto& [tensor, source] : sources) vectors += VectorsOver(source.distances, lanes_.lanes);
  if (vectors > kMostPermutedVectors) return nullptr;
  llvm::Value* result = nullptr;
  std::vector<int> placed(static_cast<size_t>(lanes_.lanes), llvm::PoisonMaskElem);
  for (const auto& [tensor, source] : sources) {
    for (auto first = source.distances.begin(); first != source.distances.end();) {
      const int64_t begin = *first;
      first = source.distances.lower_bound(begin + lanes_.lanes);
      llvm::Value* vector = LoadElements(tensor, Index(source.first + DimExpr(begin)), source.distances, begin);
      std::vector<int> mask = placed;
      for (int lane = 0; lane < lanes_.active; ++lane) {
        const int64_t position = at[lane].second - begin;
        if (at[lane].first != tensor || position < 0 || position >= lanes_.lanes) continue;
        mask[lane] = static_cast<int>(position) + (result == nullptr ? 0 : lanes_.lanes);
        placed[lane] = lane;
      }
      result = result == nullptr ? ir_.CreateShuffleVector(vector, mask) : ir_.CreateShuffleVector(result, vector, mask);
    }
  }
  return result;
}

llvm::Value* Emitter::LoadElements(ProgramTensorId tensor, llvm::Value* element, const std::set<int64_t>& distances,
                                   int64_t begin) {
  const DType dtype = nest_.tensors[tensor].dtype;
  llvm::Type* type = VectorOf(MemoryType(dtype), lanes_.lanes);
  std::vector<llvm::Constant*> wanted;
  for (int lane = 0; lane < lanes_.lanes; ++lane) wanted.push_back(ir_.getInt1(distances.contains(begin + lane)));
  return ir_.CreateMaskedLoad(type, Address(tensor, element), llvm::Align(static_cast<uint64_t>(DTypeBytes(dtype))),
                              llvm::ConstantVector::get(wanted), llvm::PoisonValue::get(type));
}

Emitter::Values Emitter::LoadBlock(const Scalar& load, const SymbolRef& point, int points) {
  const bool affine = std::all_of(load.indices.begin(), load.indices.end(),
                                  [](const LoadIndex& index) { return std::holds_alternative<DimExpr>(index); });
  if (!affine || lanes_.lanes < 4 || points > lanes_.lanes || load.dtype == DType::kBool) return {};
  const DimExpr offset = OffsetOf(load.tensor, load.indices);
  const std::optional<int64_t> stride = LaneStride(offset, lanes_.lane);
  if (!stride || *stride == 0 || *stride == 1 || LaneStride(offset, point) != 1) return {};
  DimExpr rest, base;
  offset.AffineCoefficient(lanes_.lane, &rest);
  rest.AffineCoefficient(point, &base);
  llvm::Value* element = Index(base);
  llvm::Type* type = VectorOf(MemoryType(load.dtype), lanes_.lanes);
  const llvm::Align align(static_cast<uint64_t>(DTypeBytes(load.dtype)));
  Values rows(static_cast<size_t>(lanes_.lanes), llvm::PoisonValue::get(type));
  for (int lane = 0; lane < lanes_.active; ++lane) {
    llvm::Value* address = Address(load.tensor, ir_.CreateAdd(element, I64(lane * *stride)));
    rows[lane] = points < lanes_.lanes
                     ? static_cast<llvm::Value*>(ir_.CreateMaskedLoad(type, address, align, Mask(points), llvm::PoisonValue::get(type)))
                     : ir_.CreateAlignedLoad(type, address, align);
  }
  rows = TransposeBlock(ir_, rows);
  rows.resize(static_cast<size_t>(points));
  return rows;
}

llvm::Constant* Emitter::Mask(int active) {
  std::vector<llvm::Constant*> bits;
  for (int lane = 0; lane < lanes_.lanes; ++lane) bits.push_back(ir_.getInt1(lane < active));
  return llvm::ConstantVector::get(bits);
}

llvm::Value* Emitter::LoadVector(llvm::Value* address, DType dtype) {
  llvm::Type* type = VectorOf(MemoryType(dtype), lanes_.lanes);
  const llvm::Align align(static_cast<uint64_t>(DTypeBytes(dtype)));
  llvm::Value* value = nullptr;
  if (lanes_.active < lanes_.lanes) {
    value = ir_.CreateMaskedLoad(type, address, align, Mask(lanes_.active), llvm::Constant::getNullValue(type));
  } else {
    value = ir_.CreateAlignedLoad(type, address, align);
  }
  if (dtype != DType::kBool) return value;
  return ir_.CreateICmpNE(value, llvm::Constant::getNullValue(type));
}

void Emitter::StoreVector(llvm::Value* value, llvm::Value* address, DType dtype) {
  const llvm::Align align(static_cast<uint64_t>(DTypeBytes(dtype)));
  if (dtype == DType::kBool) value = ir_.CreateZExt(value, VectorOf(ir_.getInt8Ty(), lanes_.lanes));
  if (lanes_.active < lanes_.lanes) {
    ir_.CreateMaskedStore(value, address, align, Mask(lanes_.active));
  } else {
    ir_.CreateAlignedStore(value, address, align);
  }
}

}  // namespace hone
