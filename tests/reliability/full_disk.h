#pragma once

#include <memory>
#include <string>

namespace hone {

// A file system of a few MiB of its own, in memory, that can be filled to the last byte.
class FullDisk {
 public:
  // Lets Mount work without privileges, where user namespaces are permitted. Before any thread is started.
  static void Prepare();
  static std::unique_ptr<FullDisk> Mount(const std::string& path);  // null where it is not permitted
  ~FullDisk();                                                      // unmounts
  void Fill();                                                      // goes on until nothing fits for a while
  void Free();

 private:
  explicit FullDisk(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

}  // namespace hone
