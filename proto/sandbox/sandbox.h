/* Keeps code that nobody trusts inside its process, in layers that hold each on its own. Linux, C; no
 * privileges needed.
 *
 *   namespaces   a user of its own (mapped to the caller, without its rights outside, and without any
 * inside), no network, no System V IPC; a caller that is root becomes nobody first files        no path can
 * be opened, listed, made or removed (Landlock, kernel 5.13); what is open stays open, and /proc/self/fd
 * reaches it; from kernel 6.7 no TCP, from 6.12 no signals or abstract sockets either calls        an
 * allow-list of system calls (seccomp)
 *
 * Sources: man 7 user_namespaces, landlock, seccomp; kernel Documentation/userspace-api/landlock.rst. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* errno of each layer that this machine refuses; 0 where it works. */
typedef struct HoneSandboxFaults {
  int namespaces, files, calls;
} HoneSandboxFaults;

/* Whom the layer of calls is cut to. Both may have threads, at most kHoneSandboxThreads, and their own memory. */
typedef enum HoneSandboxGuest {
  /* Loads code from open descriptors, and then calls HoneSandboxFinish. */
  kHoneSandboxCandidate,
  /* Reads, writes and makes pipes, waits, shares the host by locks and a timer. Never has executable memory. */
  kHoneSandboxJob,
} HoneSandboxGuest;

enum { kHoneSandboxThreads = 1024 };

/* The layers that keep a process from everything outside it; from a process with one thread. Messages go over
 * the socket `control` alone. It ends with the thread that started it, gains no privileges by executing,
 * leaves no core, cannot be attached to, and is the first to go where memory runs out. Layers that fail are
 * left out and told. */
HoneSandboxFaults HoneSandboxEnter(HoneSandboxGuest guest, int control);

/* Closes what a candidate's loading needed, for all threads: no new threads, no executable memory, nothing opened. What is
 * left is memory, waiting, clocks, ending, and messages on the socket `control`. 0 or an errno. */
int HoneSandboxFinish(int control);

/* What HoneSandboxEnter would meet here, found out in a child process. */
HoneSandboxFaults HoneSandboxProbe(void);

#ifdef __cplusplus
}
#endif
