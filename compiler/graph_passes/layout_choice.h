#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "compiler/graph/graph.h"
#include "compiler/target/target.h"

namespace hone {

// The layouts of a graph. Images [n, c, h, w] are stored in blocks of channels of some vector width, or
// row-major (0), as all else is. Where an operand is read as another layout than it is written as, it is
// converted, once for all its readers.
struct LayoutChoice {
  std::vector<int64_t> written;            // by tensor: channels in a block
  std::vector<std::vector<int64_t>> read;  // by node, operand
};

// Channels in a block that are worth a look for each tensor: 0, and widths of the target's vectors that the
// channels fill by half or more, a narrower one where it leaves less empty or a tensor beside it in a
// concatenation has it. Images that fill the widest by three quarters have 0 only where what is beside them
// does: the interface, views, rows. What is no image around convolutions, pooling and what is elementwise
// between them has 0 alone; so have single pixels, of which either layout has the same bytes.
std::vector<std::vector<int64_t>> BlockAlternatives(const Graph& graph, const Target& target);

// Whether a node's operands may be in blocks: all but views, rows and matrix products.
bool ReadsBlocks(const Node& node);

// The widest blocks that the channels fill by three quarters, else narrower ones that divide them, wherever
// they may be.
LayoutChoice LayoutsByRule(const Graph& graph, const Target& target);

// Gives the tensors their layouts and inserts `identity` nodes as conversions. Inputs and outputs of the
// graph are row-major.
absl::Status ApplyLayouts(const LayoutChoice& choice, Graph* graph);

// `block` of 0 is row-major.
Layout LayoutOf(const Tensor& tensor, int64_t block);

}  // namespace hone
