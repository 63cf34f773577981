// SPDX-License-Identifier: Apache-2.0
//
// A program that saves itself, with threads that count:
//
//     cc self_checkpoint.c $(pkg-config --cflags --libs crfs) -pthread -o self_checkpoint
//     ./self_checkpoint job.crfs &      prints `saved`, and counts on
//     kill %1
//     crfs restart job.crfs             prints `restarted`, and ends when all have counted on

#include <crfs/crfs.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { kThreads = 3, kSteps = 1000 };

static atomic_long counts[kThreads];
static atomic_int stop;

static void* count(void* place) {
  const struct timespec pause = {0, 100000};
  while (!atomic_load(&stop)) {
    atomic_fetch_add((atomic_long*)place, 1);
    nanosleep(&pause, NULL);
  }
  return NULL;
}

static void flush(void* file) { fflush(file); }

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s IMAGE\n", argv[0]);
    return 2;
  }
  for (int i = 0; i < kThreads; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, count, &counts[i]) != 0) return 1;
  }
  crfs_checkpoint_callbacks(flush, NULL, NULL, stdout);  // nothing is printed twice

  char error[1000];
  struct crfs_checkpoint_options options = CRFS_CHECKPOINT_OPTIONS_INIT;
  options.error = error;
  options.error_size = sizeof(error);
  const double before = now_ms();
  int result = crfs_checkpoint_self(argv[1], &options);
  const double waited = now_ms() - before;
  if (result == 0) {
    printf("goes on after %.1f ms\n", waited);
    fflush(stdout);
    result = crfs_checkpoint_wait(-1, error, sizeof(error));
  }
  if (result < 0) {
    fprintf(stderr, "%s: %s\n", strerror(errno), error);
    return 1;
  }
  puts(result == 0 ? "saved" : "restarted");
  fflush(stdout);
  if (result == 0) pause();  // until it is killed

  for (int i = 0; i < kThreads; ++i) {
    const long start = atomic_load(&counts[i]);
    while (atomic_load(&counts[i]) < start + kSteps) usleep(1000);
  }
  puts("all threads go on");
  return 0;
}
