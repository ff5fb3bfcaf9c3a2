/* Keeps code that nobody trusts inside its process, in layers that hold each on its own. Linux, C; no privileges needed.
 *
 *   namespaces   a user of its own (mapped to the caller, without its rights outside), no network, no System V IPC
 *   files        no path can be opened, listed, made or removed (Landlock, kernel 5.13); what is open stays open, and
 *                /proc/self/fd reaches it; from kernel 6.7 no TCP, from 6.12 no signals or abstract sockets either
 *   calls        an allow-list of system calls (seccomp)
 *
 * Sources: man 7 user_namespaces, landlock, seccomp; kernel Documentation/userspace-api/landlock.rst. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum HoneSandboxLayer {
  kHoneSandboxNamespaces = 1,
  kHoneSandboxFiles = 2,
  kHoneSandboxCalls = 4,
  kHoneSandboxAll = 7,
} HoneSandboxLayer;

/* errno of each layer that this machine refuses; 0 where it works. */
typedef struct HoneSandboxFaults {
  int namespaces, files, calls;
} HoneSandboxFaults;

/* The layers that keep a process from everything outside it; from a process with one thread. Further threads may be
 * started; libraries may be loaded from open descriptors. Gains no privileges by executing, leaves no core, cannot be
 * attached to. Layers that fail are left out and told. */
HoneSandboxFaults HoneSandboxEnter(void);

/* Closes what loading needed, for all threads: no new threads, no executable memory, nothing opened. What is left is
 * memory, waiting, clocks, ending, and messages on the socket `control`. 0 or an errno. */
int HoneSandboxFinish(int control);

/* What HoneSandboxEnter would meet here, found out in a child process. */
HoneSandboxFaults HoneSandboxProbe(void);

#ifdef __cplusplus
}
#endif
