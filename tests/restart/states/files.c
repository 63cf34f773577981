// SPDX-License-Identifier: Apache-2.0
// Open files of many kinds: who gets the signals of one, devices, a symbolic link itself, a
// fifo that holds something, an end of a pipe that is opened twice, numbers far apart.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "state.h"

enum { kHigh = 1000 };

int main(int, char** argv) {
  EXPECT(chdir(argv[1]) == 0);
  signal(SIGUSR1, SIG_IGN);
  int owned[2], doubled[2];
  EXPECT(pipe(owned) == 0 && pipe(doubled) == 0);
  EXPECT(fcntl(owned[0], F_SETOWN, getpid()) == 0 && fcntl(owned[0], F_SETSIG, SIGUSR1) == 0);
  EXPECT(fcntl(owned[0], F_SETFL, O_ASYNC) == 0);
  EXPECT(fcntl(owned[1], F_SETOWN, -getpgrp()) == 0);

  int devices[5];
  static const char* const names[] = {"null", "zero", "full", "random", "urandom"};
  char path[256], text[64] = {};
  for (int i = 0; i < 5; ++i) {
    snprintf(path, sizeof(path), "/dev/%s", names[i]);
    EXPECT((devices[i] = open(path, O_RDWR)) >= 0 || (devices[i] = open(path, O_RDONLY)) >= 0);
  }
  EXPECT(symlink("nowhere", "link") == 0);
  const int link = open("link", O_PATH | O_NOFOLLOW);
  EXPECT(link >= 0);

  EXPECT(mkfifo("fifo", 0600) == 0);
  const int fifo = open("fifo", O_RDWR);
  EXPECT(write(fifo, "in the fifo", 11) == 11);
  const int fifo_reader = open("fifo", O_RDONLY | O_NONBLOCK);
  EXPECT(fifo_reader >= 0);
  snprintf(path, sizeof(path), "/proc/self/fd/%d", doubled[0]);
  const int second = open(path, O_RDONLY | O_NONBLOCK);
  const int both = open(path, O_RDWR);
  EXPECT(second >= 0 && both >= 0 && write(doubled[1], "twice", 5) == 5);

  const int far = open("far", O_RDWR | O_CREAT | O_DSYNC, 0600);
  EXPECT(far >= 0 && dup2(far, kHigh) == kHigh && close(far) == 0);
  EXPECT(write(kHigh, "0123456789", 10) == 10 && lseek(kHigh, 3, SEEK_SET) == 3);
  ready_and_await_go(argv[1]);

  EXPECT(fcntl(owned[0], F_GETOWN) == getpid() && fcntl(owned[0], F_GETSIG) == SIGUSR1);
  EXPECT((fcntl(owned[0], F_GETFL) & O_ASYNC) != 0 && fcntl(owned[1], F_GETOWN) == -getpgrp());
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGUSR1, SIG_DFL);
  EXPECT(write(owned[1], "!", 1) == 1);
  const struct timespec second_or_so = {.tv_sec = 10};
  EXPECT(sigtimedwait(&set, NULL, &second_or_so) == SIGUSR1);

  EXPECT(write(devices[0], "x", 1) == 1 && read(devices[0], text, 1) == 0);
  text[0] = 'x';
  EXPECT(read(devices[1], text, 1) == 1 && text[0] == 0);
  EXPECT(write(devices[2], "x", 1) == -1 && errno == ENOSPC);
  EXPECT(read(devices[4], text, sizeof(text)) == sizeof(text));
  EXPECT(readlinkat(link, "", text, sizeof(text)) == 7 && memcmp(text, "nowhere", 7) == 0);
  EXPECT(read(fifo_reader, text, sizeof(text)) == 11 && memcmp(text, "in the fifo", 11) == 0);
  EXPECT(read(fifo_reader, text, sizeof(text)) == -1 && errno == EAGAIN);
  EXPECT((fcntl(fifo, F_GETFL) & O_ACCMODE) == O_RDWR);
  EXPECT(read(second, text, 2) == 2 && read(doubled[0], text + 2, 9) == 3);
  EXPECT(memcmp(text, "twice", 5) == 0 && read(second, text, 1) == -1 && errno == EAGAIN);
  EXPECT(close(doubled[1]) == 0 && write(both, "again", 5) == 5 && read(both, text, 5) == 5);
  EXPECT(read(kHigh, text, 2) == 2 && memcmp(text, "34", 2) == 0);
  EXPECT((fcntl(kHigh, F_GETFL) & O_DSYNC) != 0);
  EXPECT(fcntl(kHigh - 1, F_GETFD) == -1 && fcntl(kHigh + 1, F_GETFD) == -1);
  return 0;
}
