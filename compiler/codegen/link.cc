// Linking in process by lld: no compiler driver, no temporary objects (inputs are memory files).
#include <lld/Common/Driver.h>
#include <llvm/Support/raw_ostream.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/codegen/link.h"
#include "compiler/codegen/llvm_globals.h"
#include "proto/values/file_descriptor.h"

LLD_HAS_DRIVER(elf)

namespace hone {
namespace {

// A file in memory that the linker opens by path while it lives.
absl::StatusOr<FileDescriptor> MemoryFile(std::string_view bytes) {
  absl::StatusOr<FileDescriptor> file = MakeMemfd("hone-link", 0);
  if (!file.ok()) return file;
  if (absl::Status status = WriteAll(file->get(), bytes); !status.ok()) return status;
  return file;
}
std::string PathOf(const FileDescriptor& file) { return absl::StrCat("/proc/self/fd/", file.get()); }

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    path_ = (std::filesystem::temp_directory_path() / "hone-link-XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;   // what is left in /tmp harms nobody
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

absl::StatusOr<std::string> Link(const std::vector<ObjectRef>& objects, std::vector<std::string> arguments) {
  const std::lock_guard<std::shared_mutex> lock(LlvmGlobals());   // lld's own state is global, too
  TemporaryDirectory directory;
  if (directory.path().empty()) return absl::UnavailableError("cannot make a directory for the linker's output");
  const std::string output = directory.path() + "/linked";
  std::vector<FileDescriptor> files;
  for (const ObjectRef& object : objects) {
    absl::StatusOr<FileDescriptor> file = MemoryFile(*object);
    if (!file.ok()) return file.status();
    arguments.push_back(PathOf(*file));
    files.push_back(*std::move(file));
  }
  arguments.insert(arguments.end(), {"-o", output, "--threads=1", "--build-id=none"});
  std::vector<const char*> argv = {"ld.lld"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());

  std::string messages;
  llvm::raw_string_ostream stream(messages);
  const lld::Result result = lld::lldMain(argv, stream, stream, {{lld::Gnu, &lld::elf::link}});
  SetLlvmOptions();
  if (result.retCode != 0) return absl::InternalError(absl::StrCat("linking failed: ", stream.str()));
  std::ifstream file(output, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file || bytes.empty()) return absl::InternalError("the linker's output cannot be read back");
  return bytes;
}

}  // namespace

absl::StatusOr<std::string> LinkShared(const std::vector<ObjectRef>& objects,
                                       const std::vector<std::string>& exported) {
  const absl::StatusOr<FileDescriptor> script = MemoryFile(absl::StrCat("{ global: ", absl::StrJoin(exported, "; "), "; local: *; };\n"));
  if (!script.ok()) return script.status();
  return Link(objects, {"-shared", "--hash-style=gnu", "-z", "noexecstack", "-z", "now", "-Bsymbolic", "--gc-sections",
                        "--version-script", PathOf(*script)});
}

absl::StatusOr<std::string> LinkRelocatable(const std::vector<ObjectRef>& objects) { return Link(objects, {"-r"}); }

}  // namespace hone
