/* A file's pages are small: a model with many constants then waits for address translation as much as for
 * memory (4-6 % of VGG-16, ResNet-18 or DenseNet-121, 1 thread, Xeon). Freestanding. */
#pragma once

#include <stdint.h>

/* How far a mapping has moved; zero is the beginning. Shared by all threads that read the mapping. */
typedef struct HoneHugePages {
  uint32_t moving; /* whether somebody is at it */
  uint32_t calls;
  uint64_t moved; /* bytes, or all that there is to move if the kernel refused */
} HoneHugePages;

/* Moves the next quarter of a private read-only mapping to huge pages of this process, which others do not
 * share. To be called after each use; the first call does nothing, as a single use would not pay for it.
 * Addresses and contents stay, and whoever reads meanwhile waits (mremap(2) replaces the pages under the
 * kernel's lock). Without huge pages all stays as it was. */
void HoneMoveToHugePages(HoneHugePages* pages, const unsigned char* memory, uint64_t bytes);
