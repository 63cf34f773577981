// SPDX-License-Identifier: Apache-2.0
// A family: a stopped child, zombies with their statuses, sessions and process groups, an
// orphan whose parent has ended, and no SIGCHLD that was not sent before.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "state.h"

static volatile int children_ended;
static void count(int) { children_ended++; }

static pid_t make(void (*be)(const char*), const char* folder) {
  const pid_t pid = fork();
  EXPECT(pid >= 0);
  if (pid == 0) {
    signal(SIGCHLD, SIG_DFL);
    be(folder);
    _exit(0);
  }
  return pid;
}

static void exit_with_7(const char*) { _exit(7); }
static void die(const char*) { raise(SIGTERM); }
static void stop(const char*) {
  raise(SIGSTOP);
  _exit(5);
}
static void lead_session(const char* folder) {
  EXPECT(setsid() == getpid());
  const pid_t inner = fork();
  if (inner == 0) {
    EXPECT(setpgid(0, 0) == 0);
    make_file(folder, "inner");
    await_go(folder);
    EXPECT(getpgid(0) == getpid() && getsid(0) == getppid());
    _exit(3);
  }
  await_go(folder);
  EXPECT(getsid(0) == getpid() && getpgid(0) == getpid());
  int status;
  EXPECT(waitpid(inner, &status, 0) == inner && WEXITSTATUS(status) == 3);
}
static void leave_an_orphan(const char* folder) {
  if (fork() == 0) {
    while (getppid() == 1) usleep(1000);
    usleep(200000);
    make_file(folder, "orphan");
    await_go(folder);
    _exit(4);
  }
  _exit(0);
}

int main(int, char** argv) {
  signal(SIGCHLD, count);
  EXPECT(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  const pid_t seven = make(exit_with_7, argv[1]);
  const pid_t dead = make(die, argv[1]);
  const pid_t stopped = make(stop, argv[1]);
  const pid_t leader = make(lead_session, argv[1]);
  const pid_t left = make(leave_an_orphan, argv[1]);
  EXPECT(waitpid(left, NULL, 0) == left);
  int status;
  EXPECT(waitpid(stopped, &status, WUNTRACED) == stopped && WIFSTOPPED(status));
  siginfo_t seen;
  EXPECT(waitid(P_PID, seven, &seen, WEXITED | WNOWAIT) == 0);
  EXPECT(waitid(P_PID, dead, &seen, WEXITED | WNOWAIT) == 0);
  char path[4096];
  for (const char* const* name = (const char* const[]){"inner", "orphan", NULL}; *name; ++name) {
    snprintf(path, sizeof(path), "%s/%s", argv[1], *name);
    while (access(path, F_OK) != 0) usleep(10000);
  }
  const int before = children_ended;
  ready_and_await_go(argv[1]);

  EXPECT(children_ended == before || children_ended == before + 1);  // one may just have ended
  EXPECT(waitpid(stopped, &status, WUNTRACED | WNOHANG) == 0);
  EXPECT(waitpid(seven, &status, WNOHANG) == seven && WEXITSTATUS(status) == 7);
  EXPECT(waitpid(dead, &status, WNOHANG) == dead && WTERMSIG(status) == SIGTERM);
  EXPECT(kill(stopped, SIGCONT) == 0);
  EXPECT(waitpid(stopped, &status, 0) == stopped && WEXITSTATUS(status) == 5);
  EXPECT(waitpid(leader, &status, 0) == leader && status == 0);
  EXPECT(waitpid(-1, &status, 0) > 0 && WEXITSTATUS(status) == 4);
  EXPECT(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD);
  int subreaper = 0;
  EXPECT(prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper == 1);
  return 0;
}
