#include "compiler/module/build_module.h"

#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "compiler/codegen/link.h"
#include "compiler/module/data_object.h"
#include "compiler/module/elf_object.h"
#include "compiler/module/embedded_files.h"
#include "compiler/module/object_symbols.h"
#include "compiler/module/pack_constants.h"
#include "compiler/module/package.h"
#include "compiler/module/required_features.h"
#include "compiler/plan/build_plan.h"
#include "compiler/runtime/content_digest.h"

namespace hone {
namespace {

// Constants start on a page: loading maps them, and neither loader nor run copies.
constexpr uint64_t kPageBytes = 4096;

// An object with the packed constants under a hidden symbol.
absl::StatusOr<std::string> ConstantsObject(const CutGraph& cut, const Plan& plan, const ModuleOptions& options,
                                            const std::string& symbol) {
  absl::StatusOr<ElfObject> object = ElfObject::Create(options.target.row->triple);
  if (!object.ok()) return object.status();
  const auto bytes = static_cast<uint64_t>(plan.constant_bytes);
  const ElfObject::Section section = object->AddSpace(".rodata.hone_constants", kPageBytes, bytes);
  object->Define(symbol, section, 0, bytes);
  std::string file = object->Write();
  auto* packed = reinterpret_cast<uint8_t*>(file.data() + object->SectionOffset(section));
  if (absl::Status status = PackConstants(plan, cut.graph, options.threads, packed); !status.ok()) return status;
  return file;
}

// What all forms of the module contain, constants apart. Objects that several tasks share come once.
absl::StatusOr<std::vector<ObjectRef>> CodeObjects(const std::vector<CompiledTask>& tasks, const ModuleTables& tables,
                                                   const std::string& entry) {
  absl::StatusOr<std::string_view> runtime = RuntimeObject(tables.triple);
  if (!runtime.ok()) return runtime.status();
  absl::StatusOr<std::string> named = RenameSymbols(std::string(*runtime), {{"hone_named_module", entry}});
  if (!named.ok()) return named.status();
  absl::StatusOr<std::string> data = WriteDataObject(tables);
  if (!data.ok()) return data.status();
  std::vector<ObjectRef> objects = {std::make_shared<const std::string>(*std::move(named)),
                                    std::make_shared<const std::string>(*std::move(data))};
  std::set<std::string_view> seen;
  for (const CompiledTask& task : tasks) {
    for (const ObjectRef& object : task.objects) {
      if (seen.insert(*object).second) objects.push_back(object);
    }
  }
  return objects;
}

absl::StatusOr<std::string> StaticLibrary(const std::vector<ObjectRef>& code, const ObjectRef& constants,
                                          const std::string& name, const std::string& entry) {
  absl::StatusOr<std::string> joined = LinkRelocatable(code);
  if (!joined.ok()) return joined.status();
  absl::StatusOr<std::string> closed = LocaliseAllBut(*joined, {entry});
  if (!closed.ok()) return closed.status();
  std::vector<ArchiveMember> members = {{name + ".o", &*closed}};
  if (constants != nullptr) members.push_back({name + "_constants.o", constants.get()});
  return WriteArchive(members);
}

}  // namespace

absl::StatusOr<ModuleFiles> BuildModule(const CutGraph& cut, const std::vector<CompiledTask>& tasks,
                                        const ModuleOptions& options) {
  absl::StatusOr<Plan> plan = BuildPlan(cut, tasks);
  if (!plan.ok()) return plan.status();
  absl::StatusOr<uint64_t> features = RequiredCpuFeatures(options.target);
  if (!features.ok()) return features.status();
  const std::string name = ModuleIdentifier(options.name), entry = name + "_hone_module";
  const std::string constants_symbol = name + "_hone_constants";
  const bool sidecar = plan->constant_bytes > options.sidecar_threshold;

  ModuleFiles files;
  ObjectRef constants;
  ModuleTables tables = {.plan = &*plan,
                         .graph = &cut.graph,
                         .tasks = &tasks,
                         .triple = std::string(options.target.row->triple),
                         .threads = options.threads,
                         .cpu_features = *features | options.additional_cpu_features};
  if (sidecar) {
    std::string& bytes = files[name + ".bin"];
    bytes.resize(plan->constant_bytes);
    absl::Status packed = PackConstants(*plan, cut.graph, options.threads, reinterpret_cast<uint8_t*>(bytes.data()));
    if (!packed.ok()) return packed;
    tables.sidecar_digest = HoneContentDigest(bytes.data(), bytes.size());
  } else if (plan->constant_bytes > 0) {
    absl::StatusOr<std::string> object = ConstantsObject(cut, *plan, options, constants_symbol);
    if (!object.ok()) return object.status();
    constants = std::make_shared<const std::string>(*std::move(object));
    tables.constants_symbol = constants_symbol;
  }
  tables.describe = DescribeModule({.cut = &cut,
                                    .plan = &*plan,
                                    .options = &options,
                                    .cpu_features = *features,
                                    .sidecar = sidecar,
                                    .sidecar_digest = tables.sidecar_digest});

  absl::StatusOr<std::vector<ObjectRef>> code = CodeObjects(tasks, tables, entry);
  if (!code.ok()) return code.status();
  absl::StatusOr<std::string> static_library = StaticLibrary(*code, constants, name, entry);
  if (!static_library.ok()) return static_library.status();
  files[name + ".a"] = *std::move(static_library);
  std::vector<ObjectRef> objects = *std::move(code);
  if (constants != nullptr) objects.push_back(std::move(constants));
  absl::StatusOr<std::string> shared = LinkShared(objects, {entry, "hone_module"});
  if (!shared.ok()) return shared.status();
  files[name + ".so"] = *std::move(shared);
  files.merge(PackageFiles(cut.graph, options, tables.describe, sidecar));
  return files;
}

}  // namespace hone
