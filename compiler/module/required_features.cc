#include "compiler/module/required_features.h"

#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/TargetParser/Triple.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compiler/runtime/cpu_features.h"

namespace hone {
namespace {

struct FeatureRow {
  int bit;
  const char* name;
};
#define HONE_ROW(bit, name, leaf, subleaf, reg, position, state) {bit, name},
constexpr FeatureRow kX86Features[] = {HONE_X86_FEATURES(HONE_ROW)};
#undef HONE_ROW

}  // namespace

absl::StatusOr<uint64_t> RequiredCpuFeatures(const Target& target) {
  [[maybe_unused]] static const bool initialised = [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargetMCs();
    return true;
  }();
  const std::string triple(target.row->triple), cpu(target.row->cpu), features(target.row->features);
  if (!llvm::Triple(triple).isX86()) return 0;   // elsewhere the baseline of the architecture is what there is
  std::string error;
  const llvm::Target* backend = llvm::TargetRegistry::lookupTarget(triple, error);
  if (backend == nullptr) return absl::InternalError(absl::StrCat("LLVM does not know ", triple, ": ", error));
  const std::unique_ptr<llvm::MCSubtargetInfo> subtarget(backend->createMCSubtargetInfo(triple, cpu, features));
  if (subtarget == nullptr) return absl::InternalError(absl::StrCat("LLVM has no subtarget for ", cpu));
  uint64_t bits = 0;
  for (const FeatureRow& row : kX86Features) {
    if (subtarget->checkFeatures(std::string("+") + row.name)) bits |= uint64_t{1} << row.bit;
  }
  return bits;
}

std::vector<std::string> CpuFeatureNames(uint64_t features) {
  std::vector<std::string> names;
  for (const FeatureRow& row : kX86Features) {
    if ((features >> row.bit) & 1) names.push_back(row.name);
  }
  return names;
}

}  // namespace hone
