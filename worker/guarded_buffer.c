#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/runner_subject.h"

static const unsigned char kPattern = 0xa5;
static const uint64_t kHugePage = UINT64_C(2) << 20; /* multiples of it are multiples of any other we meet */
static const uint64_t kWorthHugePages = UINT64_C(128) << 10;

/* Huge pages as in a module's arena: which small pages a buffer gets decides which of its lines share cache sets, and
 * the same code would be 30 % faster in one process than in the next. */
int GuardedAllocate(GuardedBuffer* buffer, uint64_t bytes) {
  const uint64_t guard = (uint64_t)sysconf(_SC_PAGESIZE);
  if (bytes > (UINT64_C(1) << 46)) return -1;
  const uint64_t aligned = (bytes + 63) / 64 * 64;
  const uint64_t page = aligned >= kWorthHugePages ? kHugePage : guard;
  buffer->bytes = bytes;
  buffer->page_bytes = (aligned + page - 1) / page * page;
  char* area = mmap(NULL, buffer->page_bytes + page + guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) return -1;
  buffer->pages = (char*)(((uintptr_t)area + page) / page * page); /* at least the guard before and after */
  if (page == kHugePage) madvise(buffer->pages, buffer->page_bytes, MADV_HUGEPAGE); /* a kernel without is slower */
  buffer->data = buffer->pages + buffer->page_bytes - aligned;
  if (GuardedProtect(buffer, 1) != 0) return -1;
  memset(buffer->pages, kPattern, (size_t)(buffer->data - buffer->pages));
  memset(buffer->data + bytes, kPattern, aligned - bytes);
  return 0;
}

int GuardedProtect(const GuardedBuffer* buffer, int writable) {
  return mprotect(buffer->pages, buffer->page_bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ);
}

static int IsPattern(const char* begin, const char* end) {
  /* Every byte is the pattern if the first one is and each equals the next: libc compares whole vectors. */
  return begin == end || ((unsigned char)*begin == kPattern && memcmp(begin, begin + 1, (size_t)(end - begin) - 1) == 0);
}

int GuardedIsIntact(const GuardedBuffer* buffer) {
  return IsPattern(buffer->pages, buffer->data) &&
         IsPattern(buffer->data + buffer->bytes, buffer->pages + buffer->page_bytes);
}
