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
#include "compiler/module/shared_library.h"
#include "compiler/plan/build_plan.h"
#include "compiler/runtime/content_digest.h"

namespace hone {
namespace {

// Constants start on a page: loading maps them, and neither loader nor run copies.
constexpr uint64_t kPageBytes = 4096;

// An object with the packed constants under a hidden symbol.
absl::StatusOr<std::string> ConstantsObject(const std::string& triple, const std::string& symbol,
                                            std::string_view packed) {
  absl::StatusOr<ElfObject> object = ElfObject::Create(triple);
  if (!object.ok()) return object.status();
  const ElfObject::Section section = object->AddSpace(".rodata.hone_constants", kPageBytes, packed.size());
  object->Define(symbol, section, 0, packed.size());
  std::string file = object->Write();
  packed.copy(file.data() + object->SectionOffset(section), packed.size());
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

// `packed`: the constants; empty if they are not in the module.
absl::StatusOr<std::string> StaticLibrary(const std::vector<ObjectRef>& code, const ModuleTables& tables,
                                          std::string_view packed, const std::string& name, const std::string& entry) {
  absl::StatusOr<std::string> joined = LinkRelocatable(code);
  if (!joined.ok()) return joined.status();
  absl::StatusOr<std::string> closed = LocaliseAllBut(*joined, {entry});
  if (!closed.ok()) return closed.status();
  const std::string code_name = name + ".o", constants_name = name + "_constants.o";
  std::vector<ArchiveMember> members = {{code_name, &*closed}};
  absl::StatusOr<std::string> constants;
  if (!packed.empty()) {
    constants = ConstantsObject(tables.triple, tables.constants_symbol, packed);
    if (!constants.ok()) return constants.status();
    members.push_back({constants_name, &*constants});
  }
  return WriteArchive(members);
}

// Links the code and packs the constants straight into the file.
absl::StatusOr<SharedLibrary> LinkLibrary(std::vector<ObjectRef> objects, const CutGraph& cut, const Plan& plan,
                                          const ModuleTables& tables, const std::string& entry) {
  if (!tables.constants_symbol.empty()) {
    absl::StatusOr<std::string> place = PlaceOfConstants(tables.triple, tables.constants_symbol);
    if (!place.ok()) return place.status();
    objects.push_back(std::make_shared<const std::string>(*std::move(place)));
  }
  absl::StatusOr<std::string> linked = LinkShared(objects, {entry, "hone_module"});
  if (!linked.ok()) return linked.status();
  if (tables.constants_symbol.empty()) return SharedLibrary{*std::move(linked), 0};
  const auto bytes = static_cast<uint64_t>(plan.constant_bytes);
  absl::StatusOr<SharedLibrary> library = AppendConstants(*std::move(linked), bytes);
  if (!library.ok()) return library.status();
  auto* packed = reinterpret_cast<uint8_t*>(library->file.data() + library->constants_offset);
  if (absl::Status status = PackConstants(plan, cut.graph, tables.threads, packed); !status.ok()) return status;
  return library;
}

}  // namespace

absl::StatusOr<ModuleFiles> BuildModule(const CutGraph& cut, const std::vector<CompiledTask>& tasks,
                                        const ModuleOptions& options) {
  absl::StatusOr<Plan> plan = BuildPlan(cut, tasks);
  if (!plan.ok()) return plan.status();
  absl::StatusOr<uint64_t> features = RequiredCpuFeatures(options.target);
  if (!features.ok()) return features.status();
  const std::string name = ModuleIdentifier(options.name), entry = name + "_hone_module";
  const bool sidecar = plan->constant_bytes > options.sidecar_threshold;
  const bool embedded = plan->constant_bytes > 0 && !sidecar;

  ModuleFiles files;
  ModuleTables tables = {.plan = &*plan,
                         .graph = &cut.graph,
                         .tasks = &tasks,
                         .triple = std::string(options.target.row->triple),
                         .threads = options.threads,
                         .cpu_features = *features | options.additional_cpu_features,
                         .constants_symbol = embedded ? name + "_hone_constants" : ""};
  if (sidecar) {
    std::string& bytes = files[name + ".bin"];
    bytes.resize(plan->constant_bytes);
    absl::Status packed = PackConstants(*plan, cut.graph, options.threads, reinterpret_cast<uint8_t*>(bytes.data()));
    if (!packed.ok()) return packed;
    tables.sidecar_digest = HoneContentDigest(bytes.data(), bytes.size());
  }
  tables.describe = DescribeModule({.cut = &cut,
                                    .plan = &*plan,
                                    .options = &options,
                                    .cpu_features = *features,
                                    .sidecar = sidecar,
                                    .sidecar_digest = tables.sidecar_digest});

  absl::StatusOr<std::vector<ObjectRef>> code = CodeObjects(tasks, tables, entry);
  if (!code.ok()) return code.status();
  absl::StatusOr<SharedLibrary> shared = LinkLibrary(*code, cut, *plan, tables, entry);
  if (!shared.ok()) return shared.status();
  const auto packed = embedded ? std::string_view(shared->file).substr(shared->constants_offset) : std::string_view();
  absl::StatusOr<std::string> static_library = StaticLibrary(*code, tables, packed, name, entry);
  if (!static_library.ok()) return static_library.status();
  files[name + ".a"] = *std::move(static_library);
  files[name + ".so"] = std::move(shared->file);
  files.merge(PackageFiles(cut.graph, options, tables.describe, sidecar));
  return files;
}

}  // namespace hone
