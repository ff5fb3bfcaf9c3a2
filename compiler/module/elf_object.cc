// Format: System V ABI, chapters 4 and 5 (gabi.xinuos.com); machine rows from the psABIs.
#include "compiler/module/elf_object.h"

#include <elf.h>

#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace hone {
namespace {

struct Machine {
  std::string_view arch;   // first component of the triple
  uint16_t machine;
  uint32_t flags;
  uint32_t absolute64;
};
constexpr Machine kMachines[] = {
    {"x86_64", EM_X86_64, 0, R_X86_64_64},
    {"aarch64", EM_AARCH64, 0, R_AARCH64_ABS64},
};

template <class T>
void AppendBytes(std::string* out, const T& value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

uint32_t AddName(std::string* names, const std::string& name) {
  const auto at = static_cast<uint32_t>(names->size());
  names->append(name).push_back('\0');
  return at;
}

void PadTo(std::string* out, uint64_t alignment) {
  out->resize((out->size() + alignment - 1) / alignment * alignment);
}

// Appends a table to the file and its header to `headers`.
void AppendSection(std::string* file, std::vector<Elf64_Shdr>* headers, Elf64_Shdr header, const std::string& bytes) {
  PadTo(file, header.sh_addralign);
  header.sh_offset = file->size();
  header.sh_size = bytes.size();
  file->append(bytes);
  headers->push_back(header);
}

}  // namespace

absl::StatusOr<ElfObject> ElfObject::Create(std::string_view triple) {
  const std::string_view arch = triple.substr(0, triple.find('-'));
  for (const Machine& row : kMachines) {
    if (row.arch == arch) return ElfObject(row.machine, row.flags, row.absolute64);
  }
  return absl::InvalidArgumentError(absl::StrCat("no modules for ", std::string(triple)));
}

ElfObject::Section ElfObject::AddSpace(std::string name, uint64_t alignment, uint64_t bytes) {
  sections_.push_back({std::move(name), SHT_PROGBITS, SHF_ALLOC, alignment, "", bytes, 0});
  return {static_cast<int>(sections_.size()) - 1};
}

ElfObject::Section ElfObject::AddNote(std::string name, std::string bytes) {
  sections_.push_back({std::move(name), SHT_NOTE, SHF_ALLOC, 4, std::move(bytes), 0, 0});
  return {static_cast<int>(sections_.size()) - 1};
}

ElfObject::Section ElfObject::AddRelocatedData(std::string name, uint64_t alignment, std::string bytes) {
  sections_.push_back({std::move(name), SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, alignment, std::move(bytes), 0, 0});
  return {static_cast<int>(sections_.size()) - 1};
}

void ElfObject::Define(std::string symbol, Section section, uint64_t offset, uint64_t bytes) {
  symbols_.push_back({std::move(symbol), section.index, offset, bytes});
}

void ElfObject::AddAddress(Section section, uint64_t offset, const std::string& symbol) {
  size_t i = 0;
  while (i < symbols_.size() && symbols_[i].name != symbol) ++i;
  if (i == symbols_.size()) symbols_.push_back({symbol});
  addresses_.push_back({section.index, offset, static_cast<int>(i), -1, 0});
}

void ElfObject::AddAddress(Section section, uint64_t offset, Section target, uint64_t target_offset) {
  addresses_.push_back({section.index, offset, -1, target.index, target_offset});
}

// The null symbol, one local symbol per section, then ours. Section i of ours is section i + 1 of the file.
std::string ElfObject::SymbolTable(std::string* names) const {
  std::string table;
  AppendBytes(&table, Elf64_Sym{});
  for (size_t i = 0; i < sections_.size(); ++i) {
    Elf64_Sym symbol{};
    symbol.st_info = ELF64_ST_INFO(STB_LOCAL, STT_SECTION);
    symbol.st_shndx = static_cast<uint16_t>(i + 1);
    AppendBytes(&table, symbol);
  }
  for (const SymbolData& s : symbols_) {
    Elf64_Sym symbol{};
    symbol.st_name = AddName(names, s.name);
    symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, s.section < 0 ? STT_NOTYPE : STT_OBJECT);
    symbol.st_other = STV_HIDDEN;
    symbol.st_shndx = s.section < 0 ? uint16_t{SHN_UNDEF} : static_cast<uint16_t>(s.section + 1);
    symbol.st_value = s.offset;
    symbol.st_size = s.bytes;
    AppendBytes(&table, symbol);
  }
  return table;
}

std::string ElfObject::Relocations(int section) const {
  std::string table;
  for (const Address& a : addresses_) {
    if (a.section != section) continue;
    const uint64_t symbol = a.symbol >= 0 ? 1 + sections_.size() + a.symbol : 1 + a.target_section;
    Elf64_Rela relocation{};
    relocation.r_offset = a.offset;
    relocation.r_info = ELF64_R_INFO(symbol, absolute64_);
    relocation.r_addend = static_cast<int64_t>(a.addend);
    AppendBytes(&table, relocation);
  }
  return table;
}

std::string ElfObject::Write() {
  std::string file(sizeof(Elf64_Ehdr), '\0'), section_names(1, '\0'), symbol_names(1, '\0');
  std::vector<Elf64_Shdr> headers(1);
  uint64_t total = file.size();
  for (const SectionData& s : sections_) total += s.size() + s.alignment;
  file.reserve(total + 65536);   // one allocation: sections may be hundreds of megabytes
  for (SectionData& s : sections_) {
    PadTo(&file, s.alignment);
    Elf64_Shdr header{};
    header.sh_name = AddName(&section_names, s.name);
    header.sh_type = s.type;
    header.sh_flags = s.flags;
    header.sh_addralign = s.alignment;
    header.sh_offset = s.file_offset = file.size();
    header.sh_size = s.size();
    headers.push_back(header);
    file.append(s.bytes).append(s.space, '\0');
  }
  const auto symbol_section = static_cast<uint32_t>(headers.size());
  const std::string symbols = SymbolTable(&symbol_names);
  AppendSection(&file, &headers,
                {.sh_name = AddName(&section_names, ".symtab"), .sh_type = SHT_SYMTAB, .sh_link = symbol_section + 1,
                 .sh_info = static_cast<uint32_t>(1 + sections_.size()), .sh_addralign = 8,
                 .sh_entsize = sizeof(Elf64_Sym)},
                symbols);
  AppendSection(&file, &headers,
                {.sh_name = AddName(&section_names, ".strtab"), .sh_type = SHT_STRTAB, .sh_addralign = 1},
                symbol_names);
  for (size_t i = 0; i < sections_.size(); ++i) {
    const std::string relocations = Relocations(static_cast<int>(i));
    if (relocations.empty()) continue;
    AppendSection(&file, &headers,
                  {.sh_name = AddName(&section_names, ".rela" + sections_[i].name), .sh_type = SHT_RELA,
                   .sh_flags = SHF_INFO_LINK, .sh_link = symbol_section, .sh_info = static_cast<uint32_t>(i + 1),
                   .sh_addralign = 8, .sh_entsize = sizeof(Elf64_Rela)},
                  relocations);
  }
  // States that nothing here needs an executable stack; without it GNU ld assumes that it does.
  AppendSection(&file, &headers,
                {.sh_name = AddName(&section_names, ".note.GNU-stack"), .sh_type = SHT_PROGBITS, .sh_addralign = 1},
                "");
  const uint32_t names = AddName(&section_names, ".shstrtab");
  AppendSection(&file, &headers, {.sh_name = names, .sh_type = SHT_STRTAB, .sh_addralign = 1}, section_names);
  PadTo(&file, 8);

  Elf64_Ehdr start{};
  std::memcpy(start.e_ident, ELFMAG, SELFMAG);
  start.e_ident[EI_CLASS] = ELFCLASS64;
  start.e_ident[EI_DATA] = ELFDATA2LSB;
  start.e_ident[EI_VERSION] = EV_CURRENT;
  start.e_type = ET_REL;
  start.e_machine = machine_;
  start.e_version = EV_CURRENT;
  start.e_flags = flags_;
  start.e_shoff = file.size();
  start.e_ehsize = sizeof(Elf64_Ehdr);
  start.e_shentsize = sizeof(Elf64_Shdr);
  start.e_shnum = static_cast<uint16_t>(headers.size());
  start.e_shstrndx = static_cast<uint16_t>(headers.size() - 1);
  std::memcpy(file.data(), &start, sizeof start);
  for (const Elf64_Shdr& header : headers) AppendBytes(&file, header);
  return file;
}

}  // namespace hone
