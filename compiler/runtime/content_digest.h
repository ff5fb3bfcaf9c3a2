/* XXH64 (Collet, xxHash specification 0.1.1, seed 0): the check of a sidecar file at memory speed. Guards against a
 * mixed-up or damaged file, not against an attacker. */
#pragma once

#include <stdint.h>

static inline uint64_t HoneRotate64(uint64_t x, int bits) { return (x << bits) | (x >> (64 - bits)); }
static inline uint64_t HoneDigestRound(uint64_t lane, uint64_t word) {
  return HoneRotate64(lane + word * 0xc2b2ae3d27d4eb4full, 31) * 0x9e3779b185ebca87ull;
}

static inline uint64_t HoneContentDigest(const void* data, uint64_t bytes) {
  const uint64_t p1 = 0x9e3779b185ebca87ull, p2 = 0xc2b2ae3d27d4eb4full, p3 = 0x165667b19e3779f9ull,
                 p4 = 0x85ebca77c2b2ae63ull, p5 = 0x27d4eb2f165667c5ull;
  const unsigned char* at = (const unsigned char*)data;
  const unsigned char* end = at + bytes;
  uint64_t hash = p5, word;
  if (bytes >= 32) {
    uint64_t lanes[4] = {p1 + p2, p2, 0, 0 - p1};
    for (; end - at >= 32; at += 32) {
      for (int i = 0; i < 4; ++i) {
        __builtin_memcpy(&word, at + 8 * i, 8);
        lanes[i] = HoneDigestRound(lanes[i], word);
      }
    }
    hash = HoneRotate64(lanes[0], 1) + HoneRotate64(lanes[1], 7) + HoneRotate64(lanes[2], 12) +
           HoneRotate64(lanes[3], 18);
    for (int i = 0; i < 4; ++i) hash = (hash ^ HoneDigestRound(0, lanes[i])) * p1 + p4;
  }
  hash += bytes;
  for (; end - at >= 8; at += 8) {
    __builtin_memcpy(&word, at, 8);
    hash = HoneRotate64(hash ^ HoneDigestRound(0, word), 27) * p1 + p4;
  }
  if (end - at >= 4) {
    uint32_t half;
    __builtin_memcpy(&half, at, 4);
    hash = HoneRotate64(hash ^ (half * p1), 23) * p2 + p3;
    at += 4;
  }
  for (; at < end; ++at) hash = HoneRotate64(hash ^ (*at * p5), 11) * p1;
  hash = (hash ^ (hash >> 33)) * p2;
  hash = (hash ^ (hash >> 29)) * p3;
  return hash ^ (hash >> 32);
}
