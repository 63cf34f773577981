// SPDX-License-Identifier: Apache-2.0
// Signals: handlers with flags and masks, blocked ones, pending ones with their values, for the
// task and for one thread, and a handler that runs on another stack meanwhile.
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "state.h"

enum { kRestorer = 0x04000000 };  // what the C library adds to sa_flags
static char stack[1 << 16] __attribute__((aligned(4096)));
static const char* folder;
static volatile bool on_stack;
static pthread_t other;
static volatile bool prepared;

static void handle(int, siginfo_t*, void*) {
  char here;
  EXPECT(&here >= stack && &here < stack + sizeof(stack));
  ready_and_await_go(folder);
  stack_t now;
  EXPECT(sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_ONSTACK) != 0);
  EXPECT(now.ss_sp == stack && now.ss_size == sizeof(stack));
  on_stack = true;
}

static void expect_signal(int number, int value) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  siginfo_t got = {};
  const struct timespec no_time = {};
  EXPECT(sigtimedwait(&set, &got, &no_time) == number);
  EXPECT(got.si_code == SI_QUEUE && got.si_pid == getpid() && got.si_value.sival_int == value);
}

static void* block(void*) {
  // What is pending for the task is not for this thread to take.
  sigset_t set;
  EXPECT(pthread_sigmask(SIG_SETMASK, NULL, &set) == 0);
  EXPECT(sigismember(&set, SIGHUP) == 1 && sigismember(&set, SIGRTMIN + 5) == 1);
  prepared = true;
  await_go(folder);
  expect_signal(SIGRTMIN + 5, 55);
  EXPECT(sigpending(&set) == 0 && sigismember(&set, SIGUSR2) == 1);
  return NULL;
}

int main(int, char** argv) {
  folder = argv[1];
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGRTMIN + 1);
  sigaddset(&blocked, SIGRTMIN + 2);
  sigaddset(&blocked, SIGUSR2);
  sigaddset(&blocked, SIGHUP);
  EXPECT(sigprocmask(SIG_SETMASK, &blocked, NULL) == 0);
  for (int i = 0; i < 3; ++i) {
    EXPECT(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 10 + i}) == 0);
  }
  EXPECT(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 20}) == 0);
  EXPECT(kill(getpid(), SIGHUP) == 0);
  sigaddset(&blocked, SIGRTMIN + 5);
  EXPECT(sigprocmask(SIG_SETMASK, &blocked, NULL) == 0);
  EXPECT(pthread_create(&other, NULL, block, NULL) == 0);
  while (!prepared) usleep(1000);
  EXPECT(pthread_sigqueue(other, SIGRTMIN + 5, (union sigval){.sival_int = 55}) == 0);
  EXPECT(pthread_kill(other, SIGUSR2) == 0);

  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
  EXPECT(sigaltstack(&alternate, NULL) == 0);
  struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigaddset(&action.sa_mask, SIGALRM);
  EXPECT(sigaction(SIGUSR1, &action, NULL) == 0);
  struct sigaction once = {.sa_handler = SIG_IGN, .sa_flags = SA_RESETHAND | SA_NODEFER};
  EXPECT(sigaction(SIGWINCH, &once, NULL) == 0);
  EXPECT(kill(getpid(), SIGUSR1) == 0);  // saved and restarted within the handler

  EXPECT(on_stack);
  struct sigaction now;
  EXPECT(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_sigaction == handle);
  EXPECT((now.sa_flags & ~kRestorer) == action.sa_flags && sigismember(&now.sa_mask, SIGALRM) == 1);
  EXPECT(sigaction(SIGWINCH, NULL, &now) == 0 && now.sa_handler == SIG_IGN);
  EXPECT((now.sa_flags & ~kRestorer) == once.sa_flags);
  sigset_t pending;
  EXPECT(sigpending(&pending) == 0 && sigismember(&pending, SIGHUP) == 1);
  for (int i = 0; i < 3; ++i) expect_signal(SIGRTMIN + 1, 10 + i);
  expect_signal(SIGRTMIN + 2, 20);
  sigset_t mask;
  EXPECT(sigprocmask(SIG_SETMASK, NULL, &mask) == 0);
  EXPECT(sigismember(&mask, SIGHUP) == 1 && sigismember(&mask, SIGUSR1) == 0);
  pthread_join(other, NULL);
  return 0;
}
