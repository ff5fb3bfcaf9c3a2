#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

extern "C" {
#include "compiler/runtime/huge_pages.h"
}

namespace hone {
namespace {

constexpr uint64_t kHuge = 2 << 20, kPage = 4096;

uint64_t ValueAt(uint64_t position) { return position * 0x9e3779b97f4a7c15u ^ 0x5851f42d4c957f2du; }

// A file of `bytes`, mapped as a module's constants are: private, read only.
class MappedFile {
 public:
  explicit MappedFile(uint64_t bytes) : bytes_(bytes) {
    std::FILE* file = std::tmpfile();
    for (uint64_t i = 0; i < bytes / sizeof(uint64_t); ++i) {
      const uint64_t value = ValueAt(i);
      std::fwrite(&value, sizeof value, 1, file);
    }
    std::fflush(file);
    memory_ = static_cast<unsigned char*>(mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fileno(file), 0));
    std::fclose(file);
  }
  ~MappedFile() { munmap(memory_, bytes_); }
  const unsigned char* memory() const { return memory_; }

  bool IsRight() const {
    const auto* values = reinterpret_cast<const uint64_t*>(memory_);
    for (uint64_t i = 0; i < bytes_ / sizeof(uint64_t); i += 7) {
      if (values[i] != ValueAt(i)) return false;
    }
    return true;
  }
  // Bytes of the mapping's range that are in anonymous memory, and in huge pages of it, by /proc/self/smaps.
  struct Pages {
    uint64_t anonymous = 0, huge = 0;
  };
  Pages Count() const {
    Pages pages;
    bool inside = false;
    std::ifstream file("/proc/self/smaps");
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string name;
      uint64_t kilobytes = 0, low = 0, high = 0;
      if (std::sscanf(line.c_str(), "%lx-%lx ", &low, &high) == 2) {
        inside = low >= Address(0) && high <= Address(bytes_);
      } else if (words >> name >> kilobytes && inside) {
        if (name == "Anonymous:") pages.anonymous += kilobytes << 10;
        if (name == "AnonHugePages:") pages.huge += kilobytes << 10;
      }
    }
    return pages;
  }
  // Whole huge pages of the range.
  uint64_t Movable() const {
    const uint64_t first = (Address(0) + kHuge - 1) / kHuge * kHuge, end = Address(bytes_) / kHuge * kHuge;
    return end > first ? end - first : 0;
  }

 private:
  uint64_t Address(uint64_t offset) const { return reinterpret_cast<uintptr_t>(memory_) + offset; }

  uint64_t bytes_;
  unsigned char* memory_;
};

// Whether the kernel gives huge pages to who asks.
bool HasHugePages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string modes((std::istreambuf_iterator<char>(file)), {});
  return modes.find("[madvise]") != std::string::npos || modes.find("[always]") != std::string::npos;
}

TEST(HugePages, MoveWhileOthersRead) {
  constexpr uint64_t kBytes = 35 * kHuge + 3 * kPage;
  const MappedFile file(kBytes);
  std::atomic<bool> end = false;
  std::atomic<int> wrong = 0, rounds = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      for (; !end; ++rounds) wrong += !file.IsRight();
    });
  }
  HoneHugePages pages = {};
  HoneMoveToHugePages(&pages, file.memory(), kBytes);
  EXPECT_EQ(file.Count().anonymous, 0u) << "the first use moves nothing";
  HoneMoveToHugePages(&pages, file.memory(), kBytes);
  const uint64_t part = pages.moved;
  EXPECT_GT(part, 0u);
  EXPECT_LE(part, file.Movable() / 4 + kHuge);
  int calls = 0;
  for (; pages.moved < file.Movable(); ++calls) HoneMoveToHugePages(&pages, file.memory(), kBytes);
  EXPECT_LE(calls, 4) << "few runs are slowed down";
  for (const int seen = rounds; rounds < seen + 4;) std::this_thread::yield();
  end = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
  if (!HasHugePages()) GTEST_SKIP() << "transparent huge pages are off";
  EXPECT_GE(file.Count().anonymous, part) << "all, but in fragmented memory";
  EXPECT_GE(file.Count().huge, file.Count().anonymous / 2);
  EXPECT_DEATH(*const_cast<volatile unsigned char*>(file.memory() + 2 * kHuge) = 1, "")
      << "it stays read only";
}

TEST(HugePages, LessThanOneStaysInTheFile) {
  const MappedFile file(kHuge - kPage);
  HoneHugePages pages = {};
  for (int i = 0; i < 5; ++i) HoneMoveToHugePages(&pages, file.memory(), kHuge - kPage);
  EXPECT_EQ(file.Count().anonymous, 0u);
  EXPECT_TRUE(file.IsRight());
}

}  // namespace
}  // namespace hone
