// Format: System V ABI, chapter 5 (gabi.xinuos.com): segments are loaded by program header alone; loadable ones ascend
// by address, and linkers place the note's header after them.
#include "compiler/module/shared_library.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compiler/module/elf_object.h"

namespace hone {
namespace {

constexpr uint64_t kPage = 0x10000;   // a multiple of every page size that our targets' kernels use

absl::Status Unexpected(const char* what) {
  return absl::InternalError(absl::StrCat("the linked library has ", what));
}

// A table of the file, to be changed in place. Null if it does not lie in the file.
template <class T>
T* TableAt(std::string& file, uint64_t offset, uint64_t count) {
  if (offset > file.size() || count > (file.size() - offset) / sizeof(T) || offset % alignof(T) != 0) return nullptr;
  return reinterpret_cast<T*>(file.data() + offset);
}

// Addresses that the loader computes as base + addend: those equal to `from` become `to`. Returns how many.
int Repoint(std::string& file, const Elf64_Shdr& section, uint64_t from, uint64_t to) {
  const uint64_t count = section.sh_size / sizeof(Elf64_Rela);
  Elf64_Rela* relocations = TableAt<Elf64_Rela>(file, section.sh_offset, count);
  int found = 0;
  for (uint64_t i = 0; relocations != nullptr && i < count; ++i) {
    if (static_cast<uint64_t>(relocations[i].r_addend) != from) continue;
    relocations[i].r_addend = static_cast<int64_t>(to);
    ++found;
  }
  return found;
}

}  // namespace

absl::StatusOr<std::string> PlaceOfConstants(const std::string& triple, const std::string& symbol) {
  absl::StatusOr<ElfObject> object = ElfObject::Create(triple);
  if (!object.ok()) return object.status();
  object->Define(symbol, object->AddNote(".hone_constants", std::string(16, '\0')), 0, 16);
  return object->Write();
}

absl::StatusOr<SharedLibrary> AppendConstants(std::string linked, uint64_t bytes) {
  const auto* start = TableAt<Elf64_Ehdr>(linked, 0, 1);
  if (start == nullptr || start->e_type != ET_DYN) return Unexpected("no ELF header");
  const Elf64_Ehdr header = *start;
  auto* segments = TableAt<Elf64_Phdr>(linked, header.e_phoff, header.e_phnum);
  auto* sections = TableAt<Elf64_Shdr>(linked, header.e_shoff, header.e_shnum);
  if (segments == nullptr || sections == nullptr) return Unexpected("no headers");

  Elf64_Phdr* note = nullptr;
  uint64_t end = 0;
  for (Elf64_Phdr* segment = segments; segment != segments + header.e_phnum; ++segment) {
    if (segment->p_type == PT_NOTE) note = segment;
    if (segment->p_type != PT_LOAD) continue;
    if (note != nullptr) return Unexpected("its note before a loadable segment");
    end = std::max(end, segment->p_vaddr + segment->p_memsz);
  }
  if (note == nullptr || note->p_memsz != 16) return Unexpected("no note of its own for the constants");
  const uint64_t from = note->p_vaddr, to = (end + kPage - 1) / kPage * kPage;
  const uint64_t offset = (linked.size() + kPage - 1) / kPage * kPage;

  int pointers = 0;
  for (Elf64_Shdr* section = sections; section != sections + header.e_shnum; ++section) {
    if (section->sh_type == SHT_RELA) pointers += Repoint(linked, *section, from, to);
    if (section->sh_addr != from || section->sh_type != SHT_NOTE) continue;
    section->sh_type = SHT_PROGBITS;
    section->sh_addr = to;
    section->sh_offset = offset;
    section->sh_size = bytes;
    section->sh_addralign = kPage;
  }
  if (pointers != 1) return Unexpected("not exactly one pointer to its constants");
  *note = {.p_type = PT_LOAD, .p_flags = PF_R, .p_offset = offset, .p_vaddr = to, .p_paddr = to, .p_filesz = bytes,
           .p_memsz = bytes, .p_align = kPage};
  SharedLibrary library{std::move(linked), offset};
  library.file.resize(offset + bytes);
  return library;
}

}  // namespace hone
