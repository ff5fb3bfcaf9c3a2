#include "compiler/graph_passes/pass_table.h"

#include "absl/strings/str_cat.h"

namespace hone {

absl::Status RemoveDeadCode(Graph& graph, const PassOptions&) {
  graph.Compact();
  return absl::OkStatus();
}

std::span<const GraphPass> PassTable() {
  // Normalisation is recognised before affine folding would spread its scale; layouts come late, for they
  // stay valid only while no shapes change.
  static constexpr GraphPass kPasses[] = {
      {"remove_dead_code", "drops what no output needs", RemoveDeadCode},
      {"simplify", "cancels transposes, reshapes and neutral elements; merges constant factors",
       SimplifyGraph},
      {"drop_padded_taps", "convolutions lose the taps that read padding only", DropPaddedTaps},
      {"recognise_normalisation", "layer normalisation written out becomes one operator",
       RecogniseNormalisation},
      {"recognise_channel_shuffle", "channels taken in turn from groups become one operator",
       RecogniseChannelShuffle},
      {"move_maps", "what works element by element goes before concatenations of convolutions", MoveMaps},
      {"fold_affine", "constant factors per channel go into weights, constant terms together", FoldAffine},
      {"merge_convolutions", "a sum of convolutions of one image becomes one of their kernels' sum",
       MergeConvolutions},
      {"split_conv_transpose", "transposed convolutions without overlap become pointwise ones and a copy",
       SplitConvTranspose},
      {"move_pooling",
       "average pooling and pointwise convolutions change places where that takes fewer operations",
       MovePooling},
      {"scale_weights",
       "factors per channel known at run time go into the weights of the convolution that reads them",
       ScaleWeights},
      {"assign_layouts",
       "the cheapest layouts of images, plain or in blocks of channels, and conversions between",
       AssignLayouts},
      {"place_concats", "parts of a concatenation are written where its result lies", PlaceConcats},
      {"order_rows", "images that several threads share out by rows have these outermost", OrderRows},
  };
  return kPasses;
}

absl::Status RunPasses(Graph& graph, const PassOptions& options,
                       const std::function<void(const GraphPass&, const Graph&)>& observe) {
  for (const GraphPass& pass : PassTable()) {
    absl::Status status = pass.run(graph, options);
    if (status.ok()) {
      graph.Compact();
      status = graph.Verify();
    }
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat("pass ", std::string(pass.name), ": ", std::string(status.message())));
    }
    if (observe) observe(pass, graph);
  }
  return absl::OkStatus();
}

}  // namespace hone
