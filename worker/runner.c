/* hone-runner: runs one candidate or module in this process and reports times. libc only. It is started by
 * hone-worker (runner_process.cc) with the descriptors of runner_protocol.h, and trusts nothing it loads:
 * limits come first. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proto/sandbox/sandbox.h"
#include "worker/runner_subject.h"

int RunnerFail(RunnerContext* context, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(context->error, sizeof(context->error), format, arguments);
  va_end(arguments);
  return -1;
}

static uint64_t Nanoseconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static void Send(RunnerReply* reply) {
  reply->pid = getpid();
  if (send(kRunnerControlFd, reply, sizeof(*reply), MSG_NOSIGNAL) != (ssize_t)sizeof(*reply)) _exit(0);
}

static void SendFailure(uint32_t sequence, RunnerReplyKind kind, const char* message) {
  RunnerReply reply = {.sequence = sequence, .kind = kind};
  snprintf(reply.message, sizeof(reply.message), "%s", message);
  Send(&reply);
}

/* Reads one record of exactly `size` bytes. The worker's end closing is the normal end. */
static void Receive(void* record, size_t size) {
  ssize_t n;
  do {
    n = recv(kRunnerControlFd, record, size, 0);
  } while (n < 0 && errno == EINTR);
  if (n != (ssize_t)size) _exit(0);
}

static int Limit(int resource, uint64_t value) {
  const struct rlimit limit = {value, value};
  return setrlimit(resource, &limit);
}

/* Shuts the process in, before it has threads: its own limits, then the sandbox. */
static int Confine(RunnerContext* context) {
  const RunnerSetup* setup = &context->setup;
  if (Limit(RLIMIT_AS, setup->address_space_bytes) || Limit(RLIMIT_CPU, setup->cpu_seconds) ||
      Limit(RLIMIT_CORE, 0) || Limit(RLIMIT_NOFILE, 16) || Limit(RLIMIT_FSIZE, 0)) {
    return RunnerFail(context, "setrlimit: %s", strerror(errno));
  }
  const HoneSandboxFaults faults = HoneSandboxEnter(kHoneSandboxCandidate, kRunnerControlFd);
  context->calls_limited = faults.calls == 0;
  const int fault = faults.namespaces ? faults.namespaces : faults.files ? faults.files : faults.calls;
  if (fault == 0 || setup->allow_unsandboxed) return 0;
  return RunnerFail(context, "cannot enter the sandbox: %s", strerror(fault));
}

static int Map(RunnerContext* context) {
  const RunnerSetup* setup = &context->setup;
  if (setup->inputs_file_bytes > 0) {
    void* inputs = mmap(NULL, setup->inputs_file_bytes, PROT_READ, MAP_SHARED, kRunnerInputsFd, 0);
    if (inputs == MAP_FAILED) return RunnerFail(context, "mapping the inputs: %s", strerror(errno));
    context->inputs = inputs;
  }
  if (setup->outputs_file_bytes > 0) {
    void* outputs =
        mmap(NULL, setup->outputs_file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kRunnerOutputsFd, 0);
    if (outputs == MAP_FAILED) return RunnerFail(context, "mapping the outputs: %s", strerror(errno));
    context->outputs = outputs;
  }
  return 0;
}

static int StartPool(RunnerContext* context) {
  const int32_t threads = context->setup.subject == kRunnerCandidate ? (int32_t)context->setup.threads : 1;
  const uint64_t bytes = (HoneThreadPoolBytes(threads) + 63) / 64 * 64;
  void* memory = aligned_alloc(64, bytes);
  if (!memory) return RunnerFail(context, "no memory for the thread pool");
  memset(memory, 0, bytes);
  context->pool = HoneThreadPoolInit(memory, threads);
  if (HoneThreadPoolThreads(context->pool) < threads)
    return RunnerFail(context, "cannot start %d threads", threads);
  return 0;
}

static int Load(RunnerContext* context, const RunnerSubject* subject) {
  char path[32];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", kRunnerObjectFd);
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) return RunnerFail(context, "cannot load: %.150s", dlerror());
  const void* (*table)(void);
  *(void**)&table = dlsym(library, subject->symbol);
  if (!table) return RunnerFail(context, "exports no %s", subject->symbol);
  const void* value = table();
  if (!value) return RunnerFail(context, "%s() returned NULL", subject->symbol);
  if (subject->load(context, value) != 0) return -1;
  const int fault = context->calls_limited ? HoneSandboxFinish(kRunnerControlFd) : 0;
  return fault == 0 ? 0 : RunnerFail(context, "limiting its system calls: %s", strerror(fault));
}

static int Check(RunnerContext* context, const RunnerSubject* subject, const RunnerCommand* command,
                 RunnerReply* reply) {
  if (command->input_set >= context->setup.input_sets) return RunnerFail(context, "no such input set");
  if (subject->select(context, command->input_set) || subject->poison(context)) return -1;
  HoneThreadPoolBegin(context->pool);
  const uint64_t begin = Nanoseconds(CLOCK_MONOTONIC);
  const int code = subject->run(context);
  reply->wall_nanoseconds = Nanoseconds(CLOCK_MONOTONIC) - begin;
  reply->calls = 1;
  HoneThreadPoolEnd(context->pool);
  return code || subject->inspect(context) || subject->publish(context) ? -1 : 0;
}

/* The calling thread's CPU time speaks for all: it waits for the others awake, and the process's clock only
 * advances with the scheduler's tick under RLIMIT_CPU. Switches count on every thread. One untimed call
 * brings the caches back after the others' windows. Call counts double until the window is long enough, so
 * the clock is read rarely. */
static int Window(RunnerContext* context, const RunnerSubject* subject, const RunnerCommand* command,
                  RunnerReply* reply) {
  const int who = context->setup.threads <= 1 ? RUSAGE_THREAD : RUSAGE_SELF;
  struct rusage before, after;
  HoneThreadPoolBegin(context->pool);
  subject->warm(context);
  int failed = subject->run(context);
  getrusage(who, &before);
  const uint64_t cpu_begin = Nanoseconds(CLOCK_THREAD_CPUTIME_ID), begin = Nanoseconds(CLOCK_MONOTONIC);
  uint64_t end = begin;
  for (uint32_t calls = command->calls;
       !failed && (reply->calls == 0 || end - begin < command->min_nanoseconds); calls = reply->calls) {
    for (uint32_t i = 0; i < calls && !failed; ++i) failed = subject->run(context);
    reply->calls += calls;
    end = Nanoseconds(CLOCK_MONOTONIC);
  }
  reply->cpu_nanoseconds = Nanoseconds(CLOCK_THREAD_CPUTIME_ID) - cpu_begin;
  getrusage(who, &after);
  HoneThreadPoolEnd(context->pool);
  reply->wall_nanoseconds = end - begin;
  reply->involuntary_switches = (uint64_t)(after.ru_nivcsw - before.ru_nivcsw);
  return failed || subject->inspect(context) ? -1 : 0;
}

static void Serve(RunnerContext* context, const RunnerSubject* subject) {
  for (;;) {
    RunnerCommand command;
    Receive(&command, sizeof(command));
    RunnerReply reply = {.sequence = command.sequence, .kind = kReplyDone};
    const int failed = command.kind == kCommandCheck ? Check(context, subject, &command, &reply)
                                                     : Window(context, subject, &command, &reply);
    if (failed) {
      SendFailure(command.sequence, kReplyFailed, context->error);
    } else {
      Send(&reply);
    }
  }
}

int main(int argc, char** argv) {
  static RunnerContext context;
  if (argc != 2 || strcmp(argv[1], "--serve") != 0) {
    fputs("hone-runner is started by hone-worker; it measures one object and has no use by hand.\n", stderr);
    return 2;
  }
  syscall(SYS_close_range, kRunnerFirstFreeFd, ~0u, 0);
  Receive(&context.setup, sizeof(context.setup));
  if (Map(&context) != 0 || Confine(&context) != 0 || StartPool(&context) != 0) {
    SendFailure(0, kReplySetupFailed, context.error);
    return 1;
  }
  RunnerReply entering = {.kind = kReplyEntering};
  Send(&entering);
  const RunnerSubject* subject =
      context.setup.subject == kRunnerModule ? &kRunnerModuleSubject : &kRunnerCandidateSubject;
  if (Load(&context, subject) != 0) {
    SendFailure(0, kReplyFailed, context.error);
    return 1;
  }
  RunnerReply loaded = {.kind = kReplyDone};
  Send(&loaded);
  Serve(&context, subject);
  return 0;
}
