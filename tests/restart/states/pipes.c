// SPDX-License-Identifier: Apache-2.0
// Pipes: contents in flight both ways, both ends in different tasks, capacity, packets, and an
// end that nobody holds any more.
#include <sys/wait.h>

#include "state.h"

static void child(int in, int out) {
  char text[64] = {};
  EXPECT(read(in, text, 11) == 11 && strcmp(text, "to a child ") == 0);
  EXPECT(read(in, text, sizeof(text)) == 5 && memcmp(text, "again", 5) == 0);
  EXPECT(read(in, text, sizeof(text)) == 0);
  EXPECT(write(out, "done", 4) == 4);
  _exit(0);
}

int main(int, char** argv) {
  int down[2], up[2], packets[2], widowed[2], full[2];
  EXPECT(pipe(down) == 0 && pipe(up) == 0 && pipe2(packets, O_DIRECT) == 0);
  EXPECT(pipe2(widowed, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(full, O_NONBLOCK) == 0);
  EXPECT(write(down[1], "to a child ", 11) == 11);
  EXPECT(write(up[1], "to a parent", 11) == 11);
  EXPECT(write(packets[1], "one", 3) == 3 && write(packets[1], "three", 5) == 5);
  EXPECT(fcntl(up[1], F_SETPIPE_SZ, 1 << 18) == 1 << 18);
  EXPECT(write(widowed[1], "last words", 10) == 10);
  close(widowed[1]);
  static char filled[1 << 16];
  for (size_t i = 0; i < sizeof(filled); ++i) filled[i] = (char)(i * 7 >> 3);
  EXPECT(write(full[1], filled, sizeof(filled)) == sizeof(filled));
  const pid_t pid = fork();
  EXPECT(pid >= 0);
  if (pid == 0) {
    close(down[1]);
    close(up[0]);
    await_go(argv[1]);
    child(down[0], up[1]);
  }
  close(down[0]);
  close(up[1]);
  ready_and_await_go(argv[1]);

  char text[64] = {};
  EXPECT(write(down[1], "again", 5) == 5);
  close(down[1]);
  EXPECT(read(up[0], text, 11) == 11 && strcmp(text, "to a parent") == 0);
  EXPECT(fcntl(up[0], F_GETPIPE_SZ) == 1 << 18);
  EXPECT(read(up[0], text, sizeof(text)) == 4 && memcmp(text, "done", 4) == 0);
  EXPECT(read(up[0], text, sizeof(text)) == 0);
  EXPECT(read(packets[0], text, sizeof(text)) == 3 && read(packets[0], text, sizeof(text)) == 5);
  EXPECT(memcmp(text, "three", 5) == 0 && (fcntl(packets[1], F_GETFL) & O_DIRECT) != 0);
  EXPECT(fcntl(widowed[0], F_GETFD) == FD_CLOEXEC);
  EXPECT(read(widowed[0], text, sizeof(text)) == 10 && memcmp(text, "last words", 10) == 0);
  EXPECT(read(widowed[0], text, sizeof(text)) == 0);
  static char drained[1 << 16];
  EXPECT(write(full[1], "x", 1) == -1 && errno == EAGAIN);
  EXPECT(read(full[0], drained, sizeof(drained)) == sizeof(drained));
  EXPECT(memcmp(filled, drained, sizeof(filled)) == 0);
  int status;
  EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
  return 0;
}
