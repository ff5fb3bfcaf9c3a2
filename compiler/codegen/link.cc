// Linking in process by lld: no compiler driver and no files. lld knows paths only, so what it reads and writes are pipes
// of this process, opened through /proc/self/fd: they need no folder and no permission to open anything.
#include <fcntl.h>
#include <lld/Common/Driver.h>
#include <llvm/Object/ArchiveWriter.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/raw_ostream.h>
#include <limits.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/codegen/link.h"
#include "compiler/codegen/llvm_globals.h"
#include "proto/values/file_descriptor.h"

LLD_HAS_DRIVER(elf)

namespace hone {
namespace {

struct Pipe {
  FileDescriptor reader, writer;
};
absl::StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus("making a pipe to the linker");
  return Pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}
std::string PathOf(const FileDescriptor& file) { return absl::StrCat("/proc/self/fd/", file.get()); }

absl::StatusOr<std::string> ReadToEnd(int file) {
  std::string bytes;
  for (size_t size = 0;;) {
    bytes.resize(std::max<size_t>(65536, 2 * size));
    const ssize_t got = read(file, bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus("reading from the linker");
    size += static_cast<size_t>(got);
    if (got == 0) return bytes.resize(size), bytes;
  }
}

// One input for the linker, however many objects: a path for each would be an open pipe and a thread for each.
absl::StatusOr<std::string> ArchiveOf(const std::vector<ObjectRef>& objects) {
  std::vector<llvm::NewArchiveMember> members;
  for (const ObjectRef& object : objects) {
    // In an archive lld takes this for its caller's bug and ends the process.
    if (!object->starts_with("\x7f" "ELF")) return absl::InternalError("linking failed: not an object");
    members.emplace_back(llvm::MemoryBufferRef(*object, "object"));
  }
  std::string archive;
  llvm::raw_string_ostream stream(archive);
  llvm::Error error = llvm::writeArchiveToStream(stream, members, llvm::SymtabWritingMode::NoSymtab,
                                                 llvm::object::Archive::K_GNU, /*Deterministic=*/true, /*Thin=*/false);
  if (error) return absl::InternalError(absl::StrCat("linking failed: ", llvm::toString(std::move(error))));
  return archive;
}

// At the far ends of the linker's pipes. It reads all of its input before it writes.
class Courier {
 public:
  Courier(std::string input, Pipe in, Pipe out)
      : in_(std::move(in)), out_(std::move(out)), thread_([this, input = std::move(input)] { Run(input); }) {}

  std::string input_path() const { return PathOf(in_.reader); }
  std::string output_path() const { return PathOf(out_.writer); }
  // What the linker wrote, once it has ended.
  absl::StatusOr<std::string> Collect() {
    out_.writer.Close();
    ReadToEnd(in_.reader.get()).IgnoreError();   // of a linker that gave up, so that the thread does not wait for ever
    thread_.join();
    return std::move(output_);
  }

 private:
  void Run(const std::string& input) {
    const absl::Status fed = WriteAll(in_.writer.get(), input);
    in_.writer.Close();
    output_ = ReadToEnd(out_.reader.get());
    if (!fed.ok()) output_ = fed;
  }

  Pipe in_, out_;
  absl::StatusOr<std::string> output_;
  std::thread thread_;
};

absl::StatusOr<std::string> Link(const std::vector<ObjectRef>& objects, std::vector<std::string> arguments) {
  absl::StatusOr<std::string> archive = ArchiveOf(objects);
  if (!archive.ok()) return archive.status();
  absl::StatusOr<Pipe> in = MakePipe(), out = MakePipe();
  if (!in.ok() || !out.ok()) return in.ok() ? out.status() : in.status();
  const std::lock_guard<std::shared_mutex> lock(LlvmGlobals());   // lld's own state is global, too
  Courier courier(*std::move(archive), *std::move(in), *std::move(out));
  arguments.insert(arguments.end(), {"--whole-archive", courier.input_path(), "-o", courier.output_path(), "--threads=1",
                                     "--build-id=none"});
  std::vector<const char*> argv = {"ld.lld"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());

  std::string messages;
  llvm::raw_string_ostream stream(messages);
  const lld::Result result = lld::lldMain(argv, stream, stream, {{lld::Gnu, &lld::elf::link}});
  SetLlvmOptions();
  absl::StatusOr<std::string> linked = courier.Collect();
  if (result.retCode != 0) return absl::InternalError(absl::StrCat("linking failed: ", stream.str()));
  if (linked.ok() && linked->empty()) return absl::InternalError("the linker wrote nothing");
  return linked;
}

}  // namespace

absl::StatusOr<std::string> LinkShared(const std::vector<ObjectRef>& objects,
                                       const std::vector<std::string>& exported) {
  const std::string script = absl::StrCat("{ global: ", absl::StrJoin(exported, "; "), "; local: *; };\n");
  if (script.size() > PIPE_BUF) return absl::InvalidArgumentError("the names to export are too long");
  absl::StatusOr<Pipe> pipe = MakePipe();
  if (!pipe.ok()) return pipe.status();
  if (absl::Status status = WriteAll(pipe->writer.get(), script); !status.ok()) return status;   // fits: nobody reads yet
  pipe->writer.Close();
  return Link(objects, {"-shared", "--hash-style=gnu", "-z", "noexecstack", "-z", "now", "-Bsymbolic", "--gc-sections",
                        "--version-script", PathOf(pipe->reader)});
}

absl::StatusOr<std::string> LinkRelocatable(const std::vector<ObjectRef>& objects) { return Link(objects, {"-r"}); }

}  // namespace hone
