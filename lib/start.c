// SPDX-License-Identifier: Apache-2.0
//
// crfs is started by two tasks that share the caller's memory until they exec or end, like those of
// vfork(2): a caller of any size pays for no fork, and nothing is left of the way. The first has no
// exit signal and is waited for here, so that nobody else sees it; what it leaves behind is an
// orphan.

#include "lib/start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

enum { kStackSize = 64 << 10, kPathMax = 4096, kSignals = 64 };

struct start {
  char* const* arguments;
  char** environment;
  const char* program;  // $CRFS, or NULL
  const char* path;     // $PATH, or NULL
  char* stacks;         // two
  volatile pid_t pid;
  volatile int error;
};

// As rt_sigaction(2) has it: the C library keeps two signals for itself.
struct kernel_action {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  uint64_t mask;
};

static void set_mask(const uint64_t* mask, uint64_t* old) {
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, old, sizeof(*mask));
}

// Tries `name` in each folder of the list; the errno of the try that tells most.
static int search(const struct start* start, const char* name) {
  char file[kPathMax];
  int error = ENOENT;
  size_t length = strlen(name);
  const char* folder = start->path;
  while (folder != NULL) {
    const char* end = strchrnul(folder, ':');
    size_t prefix = (size_t)(end - folder);
    if (prefix != 0 && prefix + 1 + length < sizeof(file)) {
      memcpy(file, folder, prefix);
      file[prefix] = '/';
      memcpy(file + prefix + 1, name, length + 1);
      execve(file, start->arguments, start->environment);
      if (errno != ENOENT && errno != ENOTDIR) error = errno;
    }
    folder = *end == ':' ? end + 1 : NULL;
  }
  return error;
}

// In the task that becomes crfs. Its signals are blocked and its handlers are its own, but the
// memory is the caller's.
static int run(void* argument) {
  struct start* start = argument;
  const struct kernel_action standard = {0};
  const uint64_t none = 0;
  for (int signal = 1; signal <= kSignals; ++signal) {
    syscall(SYS_rt_sigaction, signal, &standard, NULL, sizeof(standard.mask));
  }
  setsid();
  syscall(SYS_close_range, 0U, ~0U, 0U);
  if (open("/dev/null", O_RDWR) == 0) {
    dup2(0, 1);
    dup2(0, 2);
  }
  set_mask(&none, NULL);
  if (start->program != NULL && strchr(start->program, '/') != NULL) {
    execve(start->program, start->arguments, start->environment);
    start->error = errno;
  } else if (start->program != NULL) {
    start->error = search(start, start->program);
  } else {
    start->error = search(start, "crfs");
    if (start->error == ENOENT) {
      execve(CRFS_PROGRAM, start->arguments, start->environment);
      start->error = errno;
    }
  }
  _exit(127);
}

static int leave_orphan(void* argument) {
  struct start* start = argument;
  pid_t pid =
      clone(run, start->stacks + 2 * kStackSize, CLONE_VM | CLONE_VFORK | SIGCHLD, argument);
  if (pid < 0) {
    start->error = errno;
  } else if (start->error != 0) {
    waitpid(pid, NULL, 0);
  } else {
    start->pid = pid;
  }
  return 0;
}

// The caller's environment but for LD_PRELOAD, which is for the caller.
static void copy_environment(char** copy) {
  static const char kPreload[] = "LD_PRELOAD=";
  for (char** variable = environ; variable != NULL && *variable != NULL; ++variable) {
    if (strncmp(*variable, kPreload, sizeof(kPreload) - 1) != 0) *copy++ = *variable;
  }
  *copy = NULL;
}

int crfs_start(char* const* arguments, pid_t* pid) {
  size_t variables = 1;
  for (char** variable = environ; variable != NULL && *variable != NULL; ++variable) ++variables;
  const size_t size = 2 * kStackSize + variables * sizeof(char*);
  char* memory =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) return errno;
  struct start start = {
      .arguments = arguments,
      .environment = (char**)(memory + 2 * kStackSize),
      .program = secure_getenv("CRFS"),
      .path = secure_getenv("PATH"),
      .stacks = memory,
  };
  if (start.program != NULL && *start.program == '\0') start.program = NULL;
  copy_environment(start.environment);
  const uint64_t all = ~UINT64_C(0);
  uint64_t before;
  set_mask(&all, &before);  // a handler must not run in a task that shares this memory
  const pid_t first = clone(leave_orphan, memory + kStackSize, CLONE_VM | CLONE_VFORK, &start);
  if (first < 0) {
    start.error = errno;
  } else {
    syscall(SYS_wait4, first, NULL, __WALL, NULL);
  }
  set_mask(&before, NULL);
  munmap(memory, size);
  *pid = start.pid;
  return start.error;
}

// kill(2) finds zombies, too, and a descriptor (pidfd, /proc) would be in the image. This call
// fails with EFAULT or EPERM if the process lives. One that leads no session got its pid later.
int crfs_has_ended(pid_t pid) {
  if (getsid(pid) != pid) return 1;
  char byte;
  const struct iovec local = {&byte, 1};
  const struct iovec remote = {(void*)1, 1};
  if (syscall(SYS_process_vm_readv, pid, &local, 1, &remote, 1, 0) < 0 && errno == ESRCH) return 1;
  return 0;
}
