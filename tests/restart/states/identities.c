// SPDX-License-Identifier: Apache-2.0
// Threads of one program that differ in what threads may differ in: users, groups,
// capabilities, scheduling, cpus, timer slack, io priority, personality, names.
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "state.h"

static const char* folder;
static pthread_barrier_t prepared;
enum { kUid = 3001, kGid = 4001 };

// The C library would do it for all threads.
static void be_somebody(void) {
  const gid_t groups[] = {5, 6};
  EXPECT(syscall(SYS_setgroups, 2, groups) == 0);
  EXPECT(syscall(SYS_setresgid, kGid, kGid + 1, kGid + 2) == 0);
  EXPECT(syscall(SYS_setresuid, kUid, 0, kUid + 2) == 0);
  syscall(SYS_setfsgid, kGid + 3);
  syscall(SYS_setfsuid, kUid + 3);
}

static void* somebody(void*) {
  be_somebody();
  pthread_barrier_wait(&prepared);
  await_go(folder);
  uid_t r, e, s;
  EXPECT(syscall(SYS_getresuid, &r, &e, &s) == 0 && r == kUid && e == 0 && s == kUid + 2);
  EXPECT(syscall(SYS_setfsuid, -1) == kUid + 3 && syscall(SYS_setfsgid, -1) == kGid + 3);
  return NULL;
}

static void* capable(void*) {
  EXPECT(prctl(PR_CAPBSET_DROP, CAP_SYS_MODULE) == 0);
  EXPECT(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
                                      SECBIT_NOROOT) == 0);
  EXPECT(syscall(SYS_setresuid, kUid, kUid, kUid) == 0);
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct caps[2] = {};
  caps[0].permitted = 1 << CAP_CHOWN | 1 << CAP_KILL | 1 << CAP_DAC_READ_SEARCH;
  caps[0].effective = 1 << CAP_DAC_READ_SEARCH;
  caps[0].inheritable = 1 << CAP_KILL | 1 << CAP_NET_RAW;
  EXPECT(syscall(SYS_capset, &header, caps) == 0);
  EXPECT(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0) == 0);
  EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  pthread_barrier_wait(&prepared);
  await_go(folder);
  EXPECT(prctl(PR_CAPBSET_READ, CAP_SYS_MODULE) == 0);
  EXPECT(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0) == 1);
  EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
  return NULL;
}

static void* urgent(void*) {
  EXPECT(prctl(PR_SET_NAME, "urgent") == 0);
  EXPECT(prctl(PR_SET_TIMERSLACK, 777777) == 0);
  EXPECT(setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), -5) == 0);
  const struct sched_param priority = {.sched_priority = 7};
  EXPECT(sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &priority) == 0);
  EXPECT(syscall(SYS_ioprio_set, 1, 0, 1 << 13 | 2) == 0);
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(0, &cpus);
  EXPECT(sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
  EXPECT(personality(ADDR_NO_RANDOMIZE | UNAME26) != -1);
  EXPECT(prctl(PR_SET_PDEATHSIG, SIGURG) == 0);
  pthread_barrier_wait(&prepared);
  await_go(folder);
  struct sched_param now;
  EXPECT(sched_getscheduler(0) == (SCHED_RR | SCHED_RESET_ON_FORK));
  EXPECT(sched_getparam(0, &now) == 0 && now.sched_priority == 7);
  return NULL;
}

static void* idle(void*) {
  // The kernel makes credentials of their own for it, which say the same as those of others.
  gid_t groups[64];
  const int count = getgroups(64, groups);
  EXPECT(count >= 0 && syscall(SYS_setgroups, count, groups) == 0);
  const struct sched_param none = {};
  EXPECT(sched_setscheduler(0, SCHED_IDLE, &none) == 0);
  pthread_barrier_wait(&prepared);
  await_go(folder);
  EXPECT(sched_getscheduler(0) == SCHED_IDLE);
  return NULL;
}

int main(int, char** argv) {
  folder = argv[1];
  EXPECT(chmod(folder, 0777) == 0);
  char go[4096];
  snprintf(go, sizeof(go), "%s/go", folder);
  EXPECT(chmod(go, 0666) == 0);
  void* (*const bodies[])(void*) = {somebody, capable, urgent, idle};
  enum { kThreads = sizeof(bodies) / sizeof(bodies[0]) };
  EXPECT(pthread_barrier_init(&prepared, NULL, kThreads + 1) == 0);
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    EXPECT(pthread_create(&threads[i], NULL, bodies[i], NULL) == 0);
  }
  pthread_barrier_wait(&prepared);
  usleep(200000);
  ready_and_await_go(folder);
  for (int i = 0; i < kThreads; ++i) EXPECT(pthread_join(threads[i], NULL) == 0);
  uid_t r, e, s;
  EXPECT(getresuid(&r, &e, &s) == 0 && r == 0 && e == 0 && s == 0);
  return 0;
}
