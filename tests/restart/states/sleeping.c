// SPDX-License-Identifier: Apache-2.0
// Threads asleep in all kinds of calls. Those with a time go on with what remained of it: the
// time from the beginning to the end is the time asked for and the time that the program did
// not exist, of which FOLDER/away tells in seconds between what numbers it lies. None sees EINTR.
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "state.h"

static const char* folder;
static double away, away_at_most;  // read when the program goes on
static const double kAsked = 9;
static const struct timespec asked = {.tv_sec = 9};
// The kernel writes into them what remains, whenever a call is interrupted: in a page of its own
// (tests/restart/differences).
static struct times {
  struct timespec left, ppoll;
  struct timeval select;
}* const times = (struct times*)0x510000000000;
static int quiet[2], woken[2];
static volatile int handled;

struct sleeper {
  const char* name;
  int (*sleep)(void);  // returns what is wrong, 0: nothing
  bool timed;
  pthread_t thread;
  double took;
  int wrong;
};

static int by_nanosleep(void) {
  return (int)syscall(SYS_nanosleep, &asked, &times->left);
}
static int by_clock_nanosleep(void) { return clock_nanosleep(CLOCK_BOOTTIME, 0, &asked, NULL); }
static int by_realtime(void) { return clock_nanosleep(CLOCK_REALTIME, 0, &asked, NULL); }
static int by_poll(void) {
  struct pollfd one = {.fd = quiet[0], .events = POLLIN};
  return poll(&one, 1, 9000);
}
static int by_poll_without_end(void) {
  struct pollfd one = {.fd = woken[0], .events = POLLIN};
  return poll(&one, 1, -1) != 1 || one.revents != POLLIN;
}
static int by_ppoll(void) {
  struct pollfd one = {.fd = quiet[0], .events = POLLIN};
  const unsigned long none = 0;
  return (int)syscall(SYS_ppoll, &one, 1, &times->ppoll, &none, sizeof(none));
}
static int by_select(void) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(quiet[0], &set);
  return (int)syscall(SYS_select, quiet[0] + 1, &set, NULL, NULL, &times->select);
}
static int futex_word = 1, other_word = 1;
static int by_timed_futex(void) {
  return !(syscall(SYS_futex, &futex_word, FUTEX_WAIT_PRIVATE, 1, &asked, NULL, 0) == -1 &&
           errno == ETIMEDOUT);
}
static int by_futex(void) {
  return syscall(SYS_futex, &other_word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0) != 0;
}
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition;
static int by_condition(void) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += 60;
  pthread_mutex_lock(&mutex);
  const int result = pthread_cond_timedwait(&condition, &mutex, &until);
  pthread_mutex_unlock(&mutex);
  return result;
}
static int by_read(void) {
  char byte;
  return read(woken[0], &byte, 1) != 1 || byte != 'x';
}
static int by_wait(void) {
  const pid_t pid = fork();
  if (pid == 0) {
    await_go(folder);
    _exit(9);
  }
  int status;
  return waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 9;
}
static void handle(int) { handled++; }
static int by_pause(void) { return !(pause() == -1 && errno == EINTR); }
static int by_sigsuspend(void) {
  sigset_t all_but;
  sigfillset(&all_but);
  sigdelset(&all_but, SIGUSR1);
  return !(sigsuspend(&all_but) == -1 && errno == EINTR);
}

static struct sleeper sleepers[] = {
    {.name = "nanosleep", .sleep = by_nanosleep, .timed = true},
    {.name = "clock_nanosleep", .sleep = by_clock_nanosleep, .timed = true},
    {.name = "clock_nanosleep, real time", .sleep = by_realtime, .timed = true},
    {.name = "poll", .sleep = by_poll, .timed = true},
    {.name = "ppoll", .sleep = by_ppoll, .timed = true},
    {.name = "select", .sleep = by_select, .timed = true},
    {.name = "timed futex", .sleep = by_timed_futex, .timed = true},
    {.name = "poll without end", .sleep = by_poll_without_end},
    {.name = "futex", .sleep = by_futex},
    {.name = "condition", .sleep = by_condition},
    {.name = "read", .sleep = by_read},
    {.name = "wait4", .sleep = by_wait},
    {.name = "pause", .sleep = by_pause},
    {.name = "sigsuspend", .sleep = by_sigsuspend},
};
enum { kSleepers = sizeof(sleepers) / sizeof(sleepers[0]) };

static void* sleep_on(void* argument) {
  struct sleeper* sleeper = argument;
  const double begin = now(CLOCK_MONOTONIC);
  sleeper->wrong = sleeper->sleep();
  sleeper->took = now(CLOCK_MONOTONIC) - begin;
  return NULL;
}

int main(int, char** argv) {
  folder = argv[1];
  EXPECT(mmap(times, 4096, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == times);
  *times = (struct times){.ppoll = asked, .select = {.tv_sec = 9}};
  EXPECT(pipe(quiet) == 0 && pipe(woken) == 0);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&condition, &attributes);
  signal(SIGUSR1, handle);
  for (int i = 0; i < kSleepers; ++i) {
    EXPECT(pthread_create(&sleepers[i].thread, NULL, sleep_on, &sleepers[i]) == 0);
  }
  usleep(300000);
  ready_and_await_go(folder);

  char path[4096];
  snprintf(path, sizeof(path), "%s/away", folder);
  EXPECT(sscanf(read_file(path), "%lf %lf", &away, &away_at_most) == 2);
  EXPECT(away > 1 && away_at_most >= away);
  EXPECT(write(woken[1], "xy", 2) == 2);
  other_word = 0;
  EXPECT(syscall(SYS_futex, &other_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
  pthread_mutex_lock(&mutex);
  pthread_cond_signal(&condition);
  pthread_mutex_unlock(&mutex);
  for (int i = 0; i < kSleepers; ++i) {
    if (sleepers[i].sleep == by_pause || sleepers[i].sleep == by_sigsuspend) {
      EXPECT(pthread_kill(sleepers[i].thread, SIGUSR1) == 0);
    }
  }
  for (int i = 0; i < kSleepers; ++i) {
    const struct sleeper* sleeper = &sleepers[i];
    pthread_join(sleeper->thread, NULL);
    const double slept = sleeper->took - kAsked;
    if (sleeper->wrong != 0 ||
        (sleeper->timed && (slept < away - 0.5 || slept > away_at_most + 3))) {
      fprintf(stderr, "%s: wrong %d, took %.2f s: asked for %.2f, was away for %.2f to %.2f\n",
              sleeper->name, sleeper->wrong, sleeper->took, kAsked, away, away_at_most);
      return 1;
    }
  }
  EXPECT(handled == 2);
  return 0;
}
