// SPDX-License-Identifier: Apache-2.0
//
// touched MIB READY: has that much memory, every page of it different, and makes READY. On
// SIGUSR1 it looks at every page, takes READY away if all are as they were, and ends.
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t mixed(uint64_t x) {
  x ^= x >> 31;
  x *= 0x9e3779b97f4a7c15;
  return x ^ x >> 29;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const size_t words = strtoull(argv[1], NULL, 10) << 17;
  uint64_t* memory =
      mmap(NULL, words * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  for (size_t i = 0; i < words; i += 64) memory[i] = mixed(i + 1);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  const int ready = open(argv[2], O_WRONLY | O_CREAT, 0600);
  if (ready < 0) return 1;
  close(ready);
  int signal;
  if (sigwait(&signals, &signal) != 0) return 1;
  for (size_t i = 0; i < words; i += 64) {
    if (memory[i] != mixed(i + 1)) return 3;
  }
  return unlink(argv[2]) == 0 ? 0 : 1;
}
