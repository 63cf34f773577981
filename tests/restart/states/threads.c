// SPDX-License-Identifier: Apache-2.0
// Threads: many of them, each with thread-local variables, a name, a restartable-sequences
// area that the kernel keeps, a robust list, and an end that pthread_join sees.
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/syscall.h>

#include "state.h"

enum { kThreads = 60 };
static __thread long local;
static const char* folder;
static pthread_barrier_t all;
static pthread_mutex_t robust;

static void* work(void* argument) {
  local = (long)argument;
  char name[16], now[16];
  snprintf(name, sizeof(name), "worker %ld", local);
  EXPECT(prctl(PR_SET_NAME, name) == 0);
  const pid_t tid = (pid_t)syscall(SYS_gettid);
  void *head, *same;
  size_t length;
  EXPECT(syscall(SYS_get_robust_list, 0, &head, &length) == 0 && head != NULL);
  if (local == 7) pthread_mutex_lock(&robust);
  pthread_barrier_wait(&all);
  await_go(folder);
  EXPECT(local == (long)argument);
  EXPECT(prctl(PR_GET_NAME, now) == 0 && strcmp(name, now) == 0);
  EXPECT((pid_t)syscall(SYS_gettid) == tid);
  EXPECT(syscall(SYS_get_robust_list, 0, &same, &length) == 0 && same == head);
  // The kernel writes the cpu into the area whenever the thread has been elsewhere.
  const struct rseq* area = (struct rseq*)((char*)__builtin_thread_pointer() + __rseq_offset);
  for (int cpu = 0; cpu < 2; ++cpu) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    EXPECT(sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
    EXPECT(area->cpu_id == (unsigned)cpu);
  }
  return argument;  // the holder of the mutex ends without unlocking it
}

int main(int, char** argv) {
  folder = argv[1];
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&robust, &attributes);
  EXPECT(__rseq_size > 0);
  pthread_barrier_init(&all, NULL, kThreads + 1);
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) {
    EXPECT(pthread_create(&threads[i], NULL, work, (void*)i) == 0);
  }
  local = -1;
  pthread_barrier_wait(&all);
  ready_and_await_go(folder);

  for (long i = 0; i < kThreads; ++i) {
    void* result;
    EXPECT(pthread_join(threads[i], &result) == 0 && result == (void*)i);
  }
  EXPECT(local == -1);
  EXPECT(pthread_mutex_lock(&robust) == EOWNERDEAD);
  return 0;
}
