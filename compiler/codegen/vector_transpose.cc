#include "compiler/codegen/vector_transpose.h"

#include <functional>

namespace hone {
namespace {

constexpr int kQuad = 4;   // lanes of a 128-bit part: what interleaves stay within

// One shuffle of two vectors, part by part: of part p, lane l comes from `source(l)` (0..3: of a, 4..7: of b).
llvm::Value* WithinQuads(llvm::IRBuilder<>& ir, llvm::Value* a, llvm::Value* b, const int (&source)[kQuad]) {
  const int lanes = static_cast<int>(llvm::cast<llvm::FixedVectorType>(a->getType())->getNumElements());
  std::vector<int> mask;
  for (int lane = 0; lane < lanes; ++lane) {
    const int from = source[lane % kQuad], part = lane / kQuad * kQuad;
    mask.push_back(part + from % kQuad + (from < kQuad ? 0 : lanes));
  }
  return ir.CreateShuffleVector(a, b, mask);
}

// One shuffle of two vectors by whole parts: first those of a, then those of b, every second one from `first` on.
llvm::Value* AlternateQuads(llvm::IRBuilder<>& ir, llvm::Value* a, llvm::Value* b, int first) {
  const int lanes = static_cast<int>(llvm::cast<llvm::FixedVectorType>(a->getType())->getNumElements());
  std::vector<int> mask;
  for (const int vector : {0, lanes}) {
    for (int part = first; part < lanes / kQuad; part += 2) {
      for (int lane = 0; lane < kQuad; ++lane) mask.push_back(vector + part * kQuad + lane);
    }
  }
  return ir.CreateShuffleVector(a, b, mask);
}

}  // namespace

// Interleaves transpose the 4x4 blocks that lie in equal parts of four rows; then the parts themselves are transposed by
// halving: what is left of each pair of row groups are its even and its odd parts.
std::vector<llvm::Value*> TransposeBlock(llvm::IRBuilder<>& ir, const std::vector<llvm::Value*>& rows) {
  const size_t lanes = rows.size();
  std::vector<std::vector<llvm::Value*>> groups;   // by four rows: columns 0..3 of every part
  for (size_t first = 0; first < lanes; first += kQuad) {
    llvm::Value* const* r = &rows[first];
    llvm::Value* low01 = WithinQuads(ir, r[0], r[1], {0, 4, 1, 5});
    llvm::Value* high01 = WithinQuads(ir, r[0], r[1], {2, 6, 3, 7});
    llvm::Value* low23 = WithinQuads(ir, r[2], r[3], {0, 4, 1, 5});
    llvm::Value* high23 = WithinQuads(ir, r[2], r[3], {2, 6, 3, 7});
    groups.push_back({WithinQuads(ir, low01, low23, {0, 1, 4, 5}), WithinQuads(ir, low01, low23, {2, 3, 6, 7}),
                      WithinQuads(ir, high01, high23, {0, 1, 4, 5}), WithinQuads(ir, high01, high23, {2, 3, 6, 7})});
  }
  std::vector<llvm::Value*> columns(lanes);
  // Part p of the vectors in `parts` is part `first + p * step` of the groups.
  const std::function<void(size_t, std::vector<llvm::Value*>, size_t, size_t)> collect =
      [&](size_t column, std::vector<llvm::Value*> parts, size_t first, size_t step) {
        if (parts.size() == 1) {
          columns[first * kQuad + column] = parts[0];
          return;
        }
        for (int odd = 0; odd < 2; ++odd) {
          std::vector<llvm::Value*> half;
          for (size_t g = 0; g < parts.size(); g += 2) half.push_back(AlternateQuads(ir, parts[g], parts[g + 1], odd));
          collect(column, half, first + static_cast<size_t>(odd) * step, 2 * step);
        }
      };
  for (size_t column = 0; column < kQuad; ++column) {
    std::vector<llvm::Value*> parts;
    for (const auto& group : groups) parts.push_back(group[column]);
    collect(column, parts, 0, 1);
  }
  return columns;
}

}  // namespace hone
