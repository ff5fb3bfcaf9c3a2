#include "compiler/module/object_symbols.h"

#include <llvm/ObjCopy/CommonConfig.h>
#include <llvm/ObjCopy/ELF/ELFConfig.h>
#include <llvm/ObjCopy/ELF/ELFObjcopy.h>
#include <llvm/Object/ArchiveWriter.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/raw_ostream.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace hone {
namespace {

absl::Status FromLlvm(llvm::Error error, const char* doing) {
  return absl::InternalError(absl::StrCat(doing, ": ", llvm::toString(std::move(error))));
}

absl::StatusOr<std::string> Rewrite(const std::string& object, const llvm::objcopy::CommonConfig& config) {
  auto file = llvm::object::ObjectFile::createELFObjectFile(llvm::MemoryBufferRef(object, "object"));
  if (!file) return FromLlvm(file.takeError(), "reading an object");
  std::string rewritten;
  llvm::raw_string_ostream stream(rewritten);
  auto& elf = *llvm::cast<llvm::object::ELFObjectFileBase>(file->get());
  if (llvm::Error error = llvm::objcopy::elf::executeObjcopyOnBinary(config, {}, elf, stream)) {
    return FromLlvm(std::move(error), "rewriting an object");
  }
  stream.flush();
  return rewritten;
}

}  // namespace

absl::StatusOr<std::string> RenameSymbols(const std::string& object, const std::map<std::string, std::string>& names) {
  llvm::objcopy::CommonConfig config;
  for (const auto& [from, to] : names) config.SymbolsToRename[from] = to;
  return Rewrite(object, config);
}

absl::StatusOr<std::string> LocaliseAllBut(const std::string& object, const std::vector<std::string>& kept) {
  llvm::objcopy::CommonConfig config;
  for (const std::string& name : kept) {
    auto matcher = llvm::objcopy::NameOrPattern::create(name, llvm::objcopy::MatchStyle::Literal,
                                                        [](llvm::Error error) { return error; });
    if (llvm::Error error = config.SymbolsToKeepGlobal.addMatcher(std::move(matcher))) {
      return FromLlvm(std::move(error), "naming a symbol");
    }
  }
  return Rewrite(object, config);
}

absl::StatusOr<std::string> WriteArchive(const std::vector<ArchiveMember>& members) {
  std::vector<llvm::NewArchiveMember> files;
  for (const ArchiveMember& member : members) {
    files.emplace_back(llvm::MemoryBufferRef(*member.bytes, member.name));
  }
  std::string archive;
  size_t bytes = 65536;
  for (const ArchiveMember& member : members) bytes += member.bytes->size();
  archive.reserve(bytes);   // members may be hundreds of megabytes
  llvm::raw_string_ostream stream(archive);
  if (llvm::Error error =
          llvm::writeArchiveToStream(stream, files, llvm::SymtabWritingMode::NormalSymtab,
                                     llvm::object::Archive::K_GNU, /*Deterministic=*/true, /*Thin=*/false)) {
    return FromLlvm(std::move(error), "writing a static library");
  }
  stream.flush();
  return archive;
}

}  // namespace hone
