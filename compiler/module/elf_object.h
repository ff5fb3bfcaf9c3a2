#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace hone {

// Writes a relocatable ELF object (64-bit, little-endian) of data: sections, symbols and absolute 64-bit addresses.
// For what is too large or too simple for LLVM. Not thread-safe.
class ElfObject {
 public:
  struct Section {
    int index = -1;
  };
  // InvalidArgument if the triple's architecture is not in the table.
  static absl::StatusOr<ElfObject> Create(std::string_view triple);

  // A read-only section. `bytes` zero bytes; fill them in the written file, at SectionOffset.
  Section AddSpace(std::string name, uint64_t alignment, uint64_t bytes);
  // Read-only bytes of type SHT_NOTE: a linker gives them a program header of their own.
  Section AddNote(std::string name, std::string bytes);
  // A section whose addresses the loader fills in, read-only afterwards.
  Section AddRelocatedData(std::string name, uint64_t alignment, std::string bytes);
  // A hidden symbol.
  void Define(std::string symbol, Section section, uint64_t offset, uint64_t bytes);
  // The 8 bytes at `offset` become an address: of a symbol (defined elsewhere), or of a place in a section.
  void AddAddress(Section section, uint64_t offset, const std::string& symbol);
  void AddAddress(Section section, uint64_t offset, Section target, uint64_t target_offset);

  std::string Write();
  // Where a section's bytes are in what Write returned.
  uint64_t SectionOffset(Section section) const { return sections_[section.index].file_offset; }

 private:
  struct SectionData {
    std::string name;
    uint32_t type = 0;
    uint64_t flags = 0, alignment = 1;
    std::string bytes;
    uint64_t space = 0;          // instead of bytes
    uint64_t file_offset = 0;
    uint64_t size() const { return space != 0 ? space : bytes.size(); }
  };
  struct SymbolData {
    std::string name;
    int section = -1;            // -1: undefined
    uint64_t offset = 0, bytes = 0;
  };
  struct Address {
    int section = 0;
    uint64_t offset = 0;
    int symbol = -1;             // index into symbols_; -1: target_section
    int target_section = -1;
    uint64_t addend = 0;
  };
  ElfObject(uint16_t machine, uint32_t flags, uint32_t absolute64)
      : machine_(machine), flags_(flags), absolute64_(absolute64) {}
  std::string SymbolTable(std::string* names) const;
  std::string Relocations(int section) const;

  uint16_t machine_;
  uint32_t flags_;               // e_flags
  uint32_t absolute64_;          // relocation type
  std::vector<SectionData> sections_;
  std::vector<SymbolData> symbols_;
  std::vector<Address> addresses_;
};

}  // namespace hone
