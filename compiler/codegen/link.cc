// Linking in process by lld: no compiler driver, no temporary objects (inputs are memory files).
#include <fcntl.h>
#include <lld/Common/Driver.h>
#include <llvm/Support/raw_ostream.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/codegen/link.h"

LLD_HAS_DRIVER(elf)

namespace hone {
namespace {

// A file in memory, readable by path while this lives.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : fd_(memfd_create("hone-link", MFD_CLOEXEC)) {
    size_t done = 0;
    while (fd_ >= 0 && done < bytes.size()) {
      const ssize_t n = write(fd_, bytes.data() + done, bytes.size() - done);
      if (n <= 0) break;
      done += static_cast<size_t>(n);
    }
    complete_ = fd_ >= 0 && done == bytes.size();
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() {
    if (fd_ >= 0) close(fd_);
  }
  bool complete() const { return complete_; }
  std::string path() const { return absl::StrCat("/proc/self/fd/", fd_); }

 private:
  int fd_;
  bool complete_ = false;
};

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
  static std::mutex lld_is_global;   // lld 19 keeps its state in globals
  const std::lock_guard<std::mutex> lock(lld_is_global);
  TemporaryDirectory directory;
  if (directory.path().empty()) return absl::UnavailableError("cannot make a directory for the linker's output");
  const std::string output = directory.path() + "/linked";
  std::vector<std::unique_ptr<MemoryFile>> files;
  for (const ObjectRef& object : objects) {
    files.push_back(std::make_unique<MemoryFile>(*object));
    if (!files.back()->complete()) return absl::ResourceExhaustedError("no memory for the linker's input");
    arguments.push_back(files.back()->path());
  }
  arguments.insert(arguments.end(), {"-o", output, "--threads=1", "--build-id=none"});
  std::vector<const char*> argv = {"ld.lld"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());

  std::string messages;
  llvm::raw_string_ostream stream(messages);
  const lld::Result result = lld::lldMain(argv, stream, stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0) return absl::InternalError(absl::StrCat("linking failed: ", stream.str()));
  std::ifstream file(output, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file || bytes.empty()) return absl::InternalError("the linker's output cannot be read back");
  return bytes;
}

}  // namespace

absl::StatusOr<std::string> LinkShared(const std::vector<ObjectRef>& objects,
                                       const std::vector<std::string>& exported) {
  const MemoryFile script(absl::StrCat("{ global: ", absl::StrJoin(exported, "; "), "; local: *; };\n"));
  if (!script.complete()) return absl::ResourceExhaustedError("no memory for the linker's script");
  return Link(objects, {"-shared", "--hash-style=gnu", "-z", "noexecstack", "-z", "now", "-Bsymbolic", "--gc-sections",
                        "--version-script", script.path()});
}

absl::StatusOr<std::string> LinkRelocatable(const std::vector<ObjectRef>& objects) { return Link(objects, {"-r"}); }

}  // namespace hone
