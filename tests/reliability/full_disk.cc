#include "tests/reliability/full_disk.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace hone {

void FullDisk::Prepare() {
  const unsigned user = geteuid(), group = getegid();
  if (user == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return;
  const auto write_line = [](const char* path, const std::string& line) {
    const int file = open(path, O_WRONLY | O_CLOEXEC);
    const bool written = write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
    close(file);
    if (!written) perror(path);
  };
  write_line("/proc/self/setgroups", "deny");
  write_line("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
  write_line("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
}

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
