#include "huge_pages.h"

#include "memory_map.h"

/* Few: until the last one every run is slower, several times so where a hypervisor gives out memory late. */
enum { kParts = 4 };
enum { kRead = 1, kMayMoveToFixed = 3, kCollapse = 25 /* MADV_COLLAPSE, Linux 6.1 */, kUnknownAdvice = -22 };

static long Call(long number, const void* memory, uint64_t bytes, long argument) {
  return HoneSystemCall6(number, (long)memory, (long)bytes, argument, 0, 0, 0);
}

/* Puts a copy in huge pages in the place of `memory`, a multiple of their size. */
static int MovePart(unsigned char* memory, uint64_t bytes) {
  unsigned char* room = HoneMapMemory(bytes + kHoneHugePage);
  if (room == NULL) return 0;
  unsigned char* copy = (unsigned char*)HoneAlignUp((uintptr_t)room, kHoneHugePage);
  HoneAdviseHugePages(copy, bytes);
  __builtin_memcpy(copy, memory, bytes);
  /* Says whether they are huge now; an older kernel does not, and is believed. */
  const long collapsed = Call(kHoneSysMadvise, copy, bytes, kCollapse);
  const int moved = (collapsed == 0 || collapsed == kUnknownAdvice) &&
                    Call(kHoneSysMprotect, copy, bytes, kRead) == 0 &&
                    HoneSystemCall6(kHoneSysMremap, (long)copy, (long)bytes, (long)bytes, kMayMoveToFixed, (long)memory,
                                    0) == (long)memory;
  if (!moved) {
    HoneUnmapMemory(room, bytes + kHoneHugePage);
    return 0;
  }
  const uint64_t before = (uint64_t)(copy - room);
  if (before > 0) HoneUnmapMemory(room, before);
  HoneUnmapMemory(copy + bytes, kHoneHugePage - before);
  return 1;
}

void HoneMoveToHugePages(HoneHugePages* pages, const unsigned char* memory, uint64_t bytes) {
  const uint64_t first = HoneAlignUp((uintptr_t)memory, kHoneHugePage);
  const uint64_t end = ((uintptr_t)memory + bytes) & ~(uint64_t)(kHoneHugePage - 1);
  if (end <= first || __atomic_load_n(&pages->moved, __ATOMIC_RELAXED) >= end - first) return;
  if (__atomic_exchange_n(&pages->moving, 1, __ATOMIC_ACQUIRE) != 0) return;
  const uint64_t all = end - first, left = all - pages->moved;
  if (pages->calls++ > 0 && left > 0) {
    const uint64_t part = HoneAlignUp(all / kParts, kHoneHugePage), now = part < left ? part : left;
    const int moved = MovePart((unsigned char*)(uintptr_t)(first + pages->moved), now);
    __atomic_store_n(&pages->moved, moved ? pages->moved + now : all, __ATOMIC_RELAXED);
  }
  __atomic_store_n(&pages->moving, 0, __ATOMIC_RELEASE);
}
