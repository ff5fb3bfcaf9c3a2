// A wall clock that is wrong: linked into a program, these stand before the C library's for
// all of its libraries.
#define _GNU_SOURCE
#include "tests/reliability/false_clock.h"

#include <dlfcn.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

int64_t false_clock_seconds = 0;

int clock_gettime(clockid_t clock, struct timespec* now) {
  static int (*original)(clockid_t, struct timespec*);
  if (!original) original = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  const int status = original(clock, now);
  if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    now->tv_sec += false_clock_seconds;
  return status;
}

int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  (void)zone;
  struct timespec precise;
  const int status = clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return status;
}

time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}

// Abseil waits until a moment of the wall clock: the kernel is told it in the machine's time.
long syscall(long number, ...) {
  static long (*original)(long, ...);
  if (!original) original = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  va_list list;
  va_start(list, number);
  long argument[6];
  for (int i = 0; i < 6; ++i) argument[i] = va_arg(list, long);
  va_end(list);
  struct timespec until;
  if (number == SYS_futex && (argument[1] & FUTEX_CLOCK_REALTIME) && argument[3]) {
    until = *(const struct timespec*)argument[3];
    until.tv_sec -= false_clock_seconds;
    argument[3] = (long)&until;
  }
  return original(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}
