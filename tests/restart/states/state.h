// SPDX-License-Identifier: Apache-2.0
//
// What the programs of this folder share. Each is called `NAME FOLDER`: it sets up a state,
// makes FOLDER/ready, is saved and killed, restarted when a while has passed, and goes on
// when FOLDER/go says so: it looks from the inside whether its state is what it was, and
// exits with 0 if so. What is not is told on stderr.
#ifndef CRFS_TESTS_RESTART_STATE_H_
#define CRFS_TESTS_RESTART_STATE_H_

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define EXPECT(condition)                                                         \
  do {                                                                            \
    if (!(condition)) {                                                           \
      fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #condition, \
              strerror(errno));                                                   \
      _exit(1);                                                                   \
    }                                                                             \
  } while (0)

static inline void make_file(const char* folder, const char* name) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/%s", folder, name);
  const int made = open(path, O_WRONLY | O_CREAT, 0666);
  EXPECT(made >= 0);
  close(made);
}

static inline void ready(const char* folder) { make_file(folder, "ready"); }

// FOLDER/go is a fifo, which somebody opens in the end: whoever waits until then sleeps, and
// changes nothing that a checkpoint would see.
static inline void await_go(const char* folder) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/go", folder);
  const int go = open(path, O_RDONLY | O_CLOEXEC);
  EXPECT(go >= 0);
  close(go);
}

static inline void ready_and_await_go(const char* folder) {
  ready(folder);
  await_go(folder);
}

static inline double now(clockid_t clock) {
  struct timespec time;
  EXPECT(clock_gettime(clock, &time) == 0);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

// All of a file, in a buffer that lives as long as the program.
static inline char* read_file(const char* path) {
  FILE* file = fopen(path, "r");
  EXPECT(file != NULL);
  char* text = calloc(1, 1 << 20);
  EXPECT(text != NULL);
  EXPECT(fread(text, 1, (1 << 20) - 1, file) > 0 || feof(file));
  fclose(file);
  return text;
}

#endif  // CRFS_TESTS_RESTART_STATE_H_
