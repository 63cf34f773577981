// SPDX-License-Identifier: Apache-2.0
// Processes that share what processes seldom share: descriptors, directories, a whole address
// space with its signal handlers; and one with another root directory.
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "state.h"

enum { kStack = 1 << 16 };
static const char* folder;
static volatile int shared_word;
static int opened = -1;
static volatile bool set_by_child;
static void handle(int) {}

static char* new_stack(void) {
  char* stack = mmap(NULL, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(stack != MAP_FAILED);
  return stack + kStack;
}

// Shares the address space: what it writes, the parent reads.
static int share_memory(void*) {
  await_go(folder);
  shared_word = 7;
  struct sigaction action = {.sa_handler = handle};
  sigaction(SIGUSR2, &action, NULL);
  set_by_child = true;
  _exit(0);
}

// Shares descriptors and directories: what it opens, the parent has, and it goes where that does.
static int share_tables(void*) {
  await_go(folder);
  EXPECT((opened = open("/dev/null", O_RDWR)) == 200 || dup2(opened, 200) == 200);
  EXPECT(chdir("/dev") == 0);
  umask(0123);
  _exit(0);
}

static int be_rooted(void*) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/jail", folder);
  EXPECT(mkdir(path, 0755) == 0 && chroot(path) == 0 && chdir("/") == 0);
  EXPECT(mkdir("in", 0755) == 0 && chdir("in") == 0);
  make_file("/", "rooted");
  // The fifo is out of its sight: it waits for a signal.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  int signal;
  EXPECT(sigwait(&set, &signal) == 0);
  char here[64] = {};
  EXPECT(getcwd(here, sizeof(here)) != NULL && strcmp(here, "/in") == 0);
  EXPECT(access("/in", F_OK) == 0 && access("/jail", F_OK) == -1);
  _exit(0);
}

int main(int, char** argv) {
  folder = argv[1];
  EXPECT(chdir(folder) == 0);
  const pid_t rooted = clone(be_rooted, new_stack(), SIGCHLD, NULL);
  const pid_t memory = clone(share_memory, new_stack(), CLONE_VM | CLONE_SIGHAND | SIGCHLD, NULL);
  const pid_t tables = clone(share_tables, new_stack(), CLONE_FILES | CLONE_FS | SIGCHLD, NULL);
  EXPECT(rooted > 0 && memory > 0 && tables > 0);
  while (access("jail/rooted", F_OK) != 0) usleep(10000);
  usleep(200000);
  ready_and_await_go(folder);

  int status;
  EXPECT(waitpid(memory, &status, 0) == memory && status == 0);
  EXPECT(shared_word == 7 && set_by_child);
  struct sigaction action;
  EXPECT(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == handle);
  EXPECT(waitpid(tables, &status, 0) == tables && status == 0);
  EXPECT(fcntl(200, F_GETFD) >= 0);
  char here[64] = {};
  EXPECT(getcwd(here, sizeof(here)) != NULL && strcmp(here, "/dev") == 0 && umask(0) == 0123);
  EXPECT(kill(rooted, SIGTERM) == 0 && waitpid(rooted, &status, 0) == rooted && status == 0);
  return 0;
}
