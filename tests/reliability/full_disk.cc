#include "tests/reliability/full_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hone {

std::unique_ptr<FullDisk> FullDisk::Mount(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0) return nullptr;
  if (mount("hone-test", path.c_str(), "tmpfs", 0, "size=8m") != 0) return nullptr;
  return std::unique_ptr<FullDisk>(new FullDisk(path));
}

FullDisk::~FullDisk() { umount2(path_.c_str(), MNT_DETACH); }

void FullDisk::Fill() {
  const int file = open((path_ + "/filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  static char page[4096];
  for (size_t size = sizeof(page); size > 0;) {
    if (write(file, page, size) <= 0) size /= 2;
  }
  close(file);
}

void FullDisk::Free() { unlink((path_ + "/filler").c_str()); }

}  // namespace hone
