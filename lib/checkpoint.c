// SPDX-License-Identifier: Apache-2.0
//
// One request to crfs at a time, in memory of this library. Nothing here takes a lock that could be
// held in the image or by a thread that a signal handler interrupts: who starts a request claims
// it, and all others only read what crfs writes there.

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "crfs/crfs.h"
#include "lib/callbacks.h"
#include "lib/export.h"
#include "lib/request.h"
#include "lib/start.h"

static _Alignas(64) struct crfs_request request;

static atomic_int claim;    // the pid of who starts a request; another one is that of a parent
static atomic_int owner;    // whose request that is; likewise
static atomic_int crfs;     // the pid of crfs
static atomic_int waiting;  // how many still have to read its result
static atomic_int called;   // whether the callbacks after it have been called
static atomic_int ptracer;  // whether PR_SET_PTRACER is to be taken back

static _Atomic uint32_t* state_of(void) { return (_Atomic uint32_t*)&request.state; }

static int has_result(uint32_t state) { return state >= CRFS_REQUEST_DONE; }

static void say(const char* text, char* error, size_t size) {
  if (error == NULL || size == 0) return;
  size_t length = strlen(text);
  if (length >= size) length = size - 1;
  memcpy(error, text, length);
  error[length] = '\0';
}

// Puts a failure in place of `state`, unless crfs has said something meanwhile.
static void fail(uint32_t state, int error, const char* text) {
  request.error = error;
  say(text, request.text, sizeof(request.text));
  atomic_compare_exchange_strong(state_of(), &state, CRFS_REQUEST_FAILED);
}

static void call_back(uint32_t state) {
  if (state <= CRFS_REQUEST_READY || atomic_exchange(&called, 1) != 0) return;
  if (state == CRFS_REQUEST_RESTARTED) {
    crfs_call_restarted();
  } else {
    crfs_call_after();
  }
}

// The state, in which the death of crfs is one, too.
static uint32_t look(void) {
  uint32_t state = atomic_load(state_of());
  if (has_result(state) || state < CRFS_REQUEST_READY) return state;
  if (crfs_has_ended(atomic_load(&crfs))) {
    state = atomic_load(state_of());  // what it said last
    if (!has_result(state)) {
      fail(
          state, ECANCELED,
          "crfs ended without an answer: it was killed, may not ptrace this process, or is another "
          "program");
    }
    state = atomic_load(state_of());
  }
  return state;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Waits until the state is at least `wanted`, or for `timeout` milliseconds. crfs cannot wake a
// thread of another process; one that was frozen looks again when it goes on.
static uint32_t await(uint32_t wanted, int timeout) {
  const int64_t deadline = timeout < 0 ? INT64_MAX : now_ms() + timeout;
  long pause_ns = 1000000;
  for (;;) {
    const uint32_t state = look();
    call_back(state);
    if (state >= wanted || now_ms() >= deadline) return state;
    const struct timespec pause = {0, pause_ns};
    syscall(SYS_futex, state_of(), FUTEX_WAIT_PRIVATE, state, &pause, NULL, 0);
    if (pause_ns < 16000000) pause_ns *= 2;
  }
}

static int result_of(uint32_t state, char* error, size_t size) {
  if (has_result(state) && atomic_exchange(&ptracer, 0) != 0) prctl(PR_SET_PTRACER, 0, 0, 0, 0);
  if (state == CRFS_REQUEST_RESTARTED) return 1;
  if (state != CRFS_REQUEST_FAILED) return 0;
  say(request.text, error, size);
  errno = request.error;
  return -1;
}

// ---- beginning ------------------------------------------------------------------------------

struct asked {
  int scope;
  int waits;  // for the result, in the same call
  char* error;
  size_t error_size;
};

static int failed(const struct asked* asked, int error, const char* text) {
  say(text, asked->error, asked->error_size);
  errno = error;
  return -1;
}

// Fields beyond those that this version knows have to be zero.
static int read_options(const struct crfs_checkpoint_options* options, struct asked* asked) {
  memset(asked, 0, sizeof(*asked));
  if (options == NULL) return 0;
  if (options->size < sizeof(*options)) {
    return failed(asked, EINVAL, "the options have no size: set it to their sizeof");
  }
  asked->scope = options->scope;
  asked->error = options->error;
  asked->error_size = options->error_size;
  const unsigned char* bytes = (const unsigned char*)options;
  int unknown = options->reserved != 0;
  for (size_t i = sizeof(*options); i < options->size; ++i) unknown |= bytes[i] != 0;
  if (unknown) {
    return failed(asked, E2BIG, "the options have a field that this version does not know");
  }
  if (options->scope != CRFS_SCOPE_TREE && options->scope != CRFS_SCOPE_NAMESPACE) {
    return failed(asked, EINVAL, "the options have a scope that there is not");
  }
  return 0;
}

// Whether the caller is the one that may start a request now.
static int claim_request(pid_t self) {
  int holder = atomic_load(&claim);
  while (holder != self) {  // of a parent's: this is a copy of its memory
    if (atomic_compare_exchange_weak(&claim, &holder, self)) break;
  }
  if (holder == self) return 0;
  if (atomic_load(&owner) != self) {
    atomic_store(&waiting, 0);
    return 1;
  }
  const uint32_t state = look();
  if (has_result(state) && atomic_load(&waiting) == 0) {
    call_back(state);
    return 1;
  }
  atomic_store(&claim, 0);
  return 0;
}

static int start_crfs(const char* path, const struct asked* asked, pid_t self) {
  char output[PATH_MAX + 16];
  char root[16];
  char about[64];
  if (strlen(path) >= PATH_MAX) return ENAMETOOLONG;
  // A lone - would be standard output.
  snprintf(output, sizeof(output), "--output=%s%s", strcmp(path, "-") == 0 ? "./" : "", path);
  snprintf(root, sizeof(root), "%d", asked->scope == CRFS_SCOPE_NAMESPACE ? 1 : self);
  snprintf(about, sizeof(about), "--request=%d:%#lx:%lu", self, (unsigned long)&request,
           (unsigned long)request.ticket);
  char name[] = "crfs", verb[] = "checkpoint", fork[] = "--fork";
  char* const arguments[] = {name, verb, root, output, fork, about, NULL};
  pid_t pid = 0;
  const int error = crfs_start(arguments, &pid);
  if (error != 0) return error;
  atomic_store(&crfs, pid);
  atomic_store(&ptracer, prctl(PR_SET_PTRACER, (unsigned long)pid, 0, 0, 0) == 0);
  return 0;
}

static int begin(const char* path, const struct asked* asked) {
  if (path == NULL || *path == '\0') return failed(asked, EINVAL, "the image has no path");
  const pid_t self = getpid();
  if (!claim_request(self)) {
    return failed(asked, EBUSY, "another checkpoint of this process is in progress");
  }
  crfs_call_before();
  atomic_store(&owner, self);
  atomic_store(&called, 0);
  request.magic = CRFS_REQUEST_MAGIC;
  ++request.ticket;
  request.error = 0;
  request.text[0] = '\0';
  atomic_store(state_of(), CRFS_REQUEST_STARTING);
  const int error = start_crfs(path, asked, self);
  if (error == 0) {
    atomic_fetch_add(&waiting, asked->waits);
    atomic_store(state_of(), CRFS_REQUEST_READY);
  } else {
    fail(CRFS_REQUEST_STARTING, error,
         error == ENOENT ? "the program crfs is not there: install it, or name it by $CRFS"
                         : "the program crfs cannot be run");
    call_back(CRFS_REQUEST_FAILED);
  }
  atomic_store(&claim, 0);
  return error == 0 ? 0 : result_of(CRFS_REQUEST_FAILED, asked->error, asked->error_size);
}

// ---- crfs/crfs.h ----------------------------------------------------------------------------

CRFS_EXPORT int crfs_checkpoint_begin(const char* path,
                                      const struct crfs_checkpoint_options* options) {
  struct asked asked;
  return read_options(options, &asked) != 0 ? -1 : begin(path, &asked);
}

CRFS_EXPORT int crfs_checkpoint_self(const char* path,
                                     const struct crfs_checkpoint_options* options) {
  struct asked asked;
  if (read_options(options, &asked) != 0) return -1;
  asked.waits = 1;
  if (begin(path, &asked) != 0) return -1;
  const int result = result_of(await(CRFS_REQUEST_COPIED, -1), asked.error, asked.error_size);
  atomic_fetch_sub(&waiting, 1);
  return result;
}

CRFS_EXPORT int crfs_checkpoint_wait(int timeout, char* error, size_t size) {
  const struct asked asked = {.error = error, .error_size = size};
  if (atomic_load(&owner) != getpid()) {
    return failed(&asked, ECHILD, "this process has begun no checkpoint");
  }
  atomic_fetch_add(&waiting, 1);
  const uint32_t state = await(CRFS_REQUEST_DONE, timeout);
  const int result = has_result(state)
                         ? result_of(state, error, size)
                         : failed(&asked, ETIMEDOUT, "the image is still being written");
  atomic_fetch_sub(&waiting, 1);
  return result;
}
