// SPDX-License-Identifier: Apache-2.0
// Process groups and sessions whose makers are gone, children whose end is told by other
// signals than SIGCHLD or by none, and a group of threads whose leader has ended.
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "state.h"

static const char* folder;
static volatile int told;
static void count(int) { told++; }

static void start(const char* name) { make_file(folder, name); }
static void await(const char* name) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/%s", folder, name);
  while (access(path, F_OK) != 0) usleep(10000);
}

// Two members of a group whose leader has ended.
static pid_t be_member(pid_t group) {
  const pid_t pid = fork();
  if (pid == 0) {
    EXPECT(setpgid(0, group) == 0);
    start(group == getpgrp() ? "member" : "wrong");
    await_go(folder);
    EXPECT(getpgrp() == group && getsid(0) == getsid(getppid()));
    _exit(6);
  }
  return pid;
}

// Leads a session, and has left a child that the subreaper above has adopted.
static void lead_and_leave(void) {
  EXPECT(setsid() == getpid());
  if (fork() == 0) {
    const pid_t session = getsid(0), middle = getpid();
    if (fork() == 0) {
      while (getppid() == middle) usleep(1000);
      start("left");
      await_go(folder);
      EXPECT(getsid(0) == session);
      _exit(8);
    }
    _exit(0);
  }
  EXPECT(wait(NULL) > 0);
  await_go(folder);
  _exit(9);
}

static void* outlive(void*) {
  await_go(folder);
  EXPECT(getpid() != syscall(SYS_gettid));
  _exit(10);
}
static void end_leader(void) {
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, outlive, NULL) == 0);
  syscall(SYS_exit, 3);  // of this thread alone
}

static int tell(void*) {
  await_go(folder);
  _exit(11);
}
static pid_t child_with_signal(int number) {
  char* stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return clone(tell, stack + 65536, number, NULL);
}

static pid_t make(void (*be)(void)) {
  const pid_t pid = fork();
  EXPECT(pid >= 0);
  if (pid == 0) be();
  return pid;
}

static void expect_end(pid_t pid, int code) {
  int status;
  EXPECT(waitpid(pid, &status, __WALL) == pid);
  EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == code);
}

int main(int, char** argv) {
  folder = argv[1];
  EXPECT(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  signal(SIGUSR1, count);
  const pid_t first = fork();
  if (first == 0) {
    EXPECT(setpgid(0, 0) == 0);
    start("first");
    await("member");
    usleep(100000);
    _exit(0);
  }
  await("first");
  const pid_t one = be_member(first), two = be_member(first);
  EXPECT(waitpid(first, NULL, 0) == first);
  const pid_t leader = make(lead_and_leave);
  await("left");
  const pid_t leaderless = make(end_leader);
  const pid_t quiet = child_with_signal(0), other = child_with_signal(SIGUSR1);
  EXPECT(quiet > 0 && other > 0);
  usleep(300000);
  ready_and_await_go(folder);

  expect_end(one, 6);
  expect_end(two, 6);
  expect_end(leader, 9);
  expect_end(leaderless, 10);
  expect_end(quiet, 11);
  expect_end(other, 11);
  EXPECT(told == 1);
  int status;
  EXPECT(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 8);
  EXPECT(wait(&status) == -1 && errno == ECHILD);
  return 0;
}
