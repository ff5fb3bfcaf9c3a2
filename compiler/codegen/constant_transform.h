#pragma once

#include <llvm/IR/Module.h>

#include <string>

#include "compiler/layout/axis_transform.h"
#include "compiler/layout/layout.h"
#include "compiler/target/target.h"

namespace hone {

// void symbol(const float* dense, float* to): a constant of these dims transformed in double precision and laid out. The
// destination's padding is not touched.
llvm::Function* AddTransformFunction(const Target& target, const std::vector<int64_t>& dims,
                                     const AxisTransforms& transforms, const Layout& layout, const std::string& symbol,
                                     llvm::Module* module);

}  // namespace hone
