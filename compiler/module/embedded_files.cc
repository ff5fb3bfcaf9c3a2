#include "compiler/module/embedded_files.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

// Each file becomes bytes of this object between two symbols. The paths come from CMakeLists.txt.
#define HONE_EMBED(symbol, path)                                         \
  __asm__(".pushsection .rodata\n.balign 16\n" #symbol ":\n.incbin \"" path \
          "\"\n" #symbol "_end:\n.byte 0\n.popsection\n");                   \
  extern "C" __attribute__((visibility("hidden"))) const char symbol[], symbol##_end[]

HONE_EMBED(hone_runtime_x86_64, HONE_RUNTIME_X86_64);
HONE_EMBED(hone_runtime_aarch64, HONE_RUNTIME_AARCH64);
HONE_EMBED(hone_file_header, HONE_SOURCE_DIR "/compiler/runtime/hone.h");
HONE_EMBED(hone_file_dlpack, HONE_SOURCE_DIR "/compiler/runtime/dlpack.h");
HONE_EMBED(hone_file_sample, HONE_SOURCE_DIR "/compiler/module/package/sample.c");
HONE_EMBED(hone_file_makefile, HONE_SOURCE_DIR "/compiler/module/package/Makefile");
HONE_EMBED(hone_file_readme, HONE_SOURCE_DIR "/compiler/module/package/README.txt");
HONE_EMBED(hone_file_python, HONE_SOURCE_DIR "/compiler/module/package/hone_module.py");

namespace hone {
namespace {

std::string_view Between(const char* begin, const char* end) { return {begin, static_cast<size_t>(end - begin)}; }

}  // namespace

absl::StatusOr<std::string_view> RuntimeObject(std::string_view triple) {
  const std::string_view arch = triple.substr(0, triple.find('-'));
  if (arch == "x86_64") return Between(hone_runtime_x86_64, hone_runtime_x86_64_end);
  if (arch == "aarch64") return Between(hone_runtime_aarch64, hone_runtime_aarch64_end);
  return absl::InvalidArgumentError(absl::StrCat("no module runtime for ", std::string(triple)));
}

std::string_view HoneHeader() { return Between(hone_file_header, hone_file_header_end); }
std::string_view DlpackHeader() { return Between(hone_file_dlpack, hone_file_dlpack_end); }
std::string_view SampleTemplate() { return Between(hone_file_sample, hone_file_sample_end); }
std::string_view MakefileTemplate() { return Between(hone_file_makefile, hone_file_makefile_end); }
std::string_view ReadmeTemplate() { return Between(hone_file_readme, hone_file_readme_end); }
std::string_view PythonLoader() { return Between(hone_file_python, hone_file_python_end); }

}  // namespace hone
