/* What hone-worker and hone-runner say to each other: fixed-size records over one SOCK_SEQPACKET socket,
 * tensors in two shared files. C, and the only thing the two programs share. Both come from one build, so
 * there are no versions.
 *
 *   worker                                   runner
 *   RunnerSetup                   ->
 *                                 <-   kReplyEntering      about to touch the object: what dies later is its
 * doing
 *                                 <-   kReplyDone          loaded and packed
 *   RunnerCommand (the token)     ->
 *                                 <-   kReplyDone          ...and so on until the socket closes
 */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Descriptors of a runner; it closes all others. */
enum {
  kRunnerControlFd = 3,
  kRunnerObjectFd = 4,  /* the shared object, a sealed memfd */
  kRunnerInputsFd = 5,  /* logical inputs and constants, sealed against writing */
  kRunnerOutputsFd = 6, /* logical outputs, sealed in size */
  kRunnerFirstFreeFd = 7
};

enum { kRunnerMaxTensors = 256, kRunnerMaxRank = 8, kRunnerMessageBytes = 192 };

typedef enum RunnerSubjectKind { kRunnerCandidate = 1, kRunnerModule = 2 } RunnerSubjectKind;

typedef struct RunnerTensor {
  uint64_t offset; /* in its file, of input set 0 */
  int64_t dims[kRunnerMaxRank];
  int32_t rank;
  uint8_t dl_code, dl_bits; /* DLDataType */
  uint8_t padding[2];
} RunnerTensor;

typedef struct RunnerSetup {
  uint32_t subject; /* RunnerSubjectKind */
  uint32_t threads;
  uint32_t inputs, constants, outputs; /* tensors in that order */
  uint32_t input_sets;                 /* >= 1; set s of an input lies s * input_set_stride further on */
  uint64_t input_set_stride;
  uint64_t inputs_file_bytes, outputs_file_bytes;
  uint64_t rotation_bytes;     /* > 0: constants rotate through copies of at least this many bytes together */
  uint64_t rotation_is_cached; /* 1: a run of the whole model finds them in the last-level cache; 0: in memory */
  uint64_t address_space_bytes, cpu_seconds; /* rlimits */
  uint64_t allow_unsandboxed; /* 1: goes on where a layer of the sandbox cannot be had */
  RunnerTensor tensors[kRunnerMaxTensors];
} RunnerSetup;

typedef enum RunnerCommandKind {
  kCommandCheck = 1,  /* run once on input_set over poisoned buffers and write the logical outputs */
  kCommandWindow = 2, /* constants where a model finds them, one untimed call, then `calls` timed ones, more until min_nanoseconds have passed */
} RunnerCommandKind;

typedef struct RunnerCommand {
  uint32_t sequence;
  uint32_t kind;
  uint32_t input_set;
  uint32_t calls;
  uint64_t min_nanoseconds;
} RunnerCommand;

typedef enum RunnerReplyKind {
  kReplyDone = 1,
  kReplyEntering = 2,
  kReplySetupFailed = 3, /* the machine's doing */
  kReplyFailed = 4,      /* the object's doing: message */
} RunnerReplyKind;

typedef struct RunnerReply {
  uint32_t sequence; /* of the command; 0 before the first */
  uint32_t kind;
  int32_t pid;                                /* a forked copy of the runner gives itself away */
  uint32_t calls;                             /* timed */
  uint64_t wall_nanoseconds, cpu_nanoseconds; /* of the timed calls; cpu: of the calling thread */
  uint64_t involuntary_switches;
  char message[kRunnerMessageBytes];
} RunnerReply;

#ifdef __cplusplus
}
#endif
