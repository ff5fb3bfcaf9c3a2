/* Error texts without a C library: appends, truncating, to a buffer that always ends in NUL. Freestanding. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct HoneText {
  char* at;
  size_t left;   /* bytes from `at`, the NUL included; 0: no buffer */
} HoneText;

static inline HoneText HoneStartText(char* buffer, size_t bytes) {
  const HoneText text = {buffer, buffer == NULL ? 0 : bytes};
  if (text.left > 0) buffer[0] = '\0';
  return text;
}

static inline void HoneAppend(HoneText* text, const char* string) {
  for (; *string != '\0' && text->left > 1; ++string, --text->left) *text->at++ = *string;
  if (text->left > 0) *text->at = '\0';
}

static inline void HoneAppendNumber(HoneText* text, int64_t number) {
  char digits[24];
  char* at = digits + sizeof digits;
  uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
  *--at = '\0';
  do *--at = (char)('0' + left % 10);
  while ((left /= 10) != 0);
  if (number < 0) *--at = '-';
  HoneAppend(text, at);
}
