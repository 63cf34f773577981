// SPDX-License-Identifier: Apache-2.0
//
// closed FILE RESULT: holds FILE open as descriptor 6 and appends a line to it every tenth of
// a second. When that fails it writes the error's name and how many lines it wrote to RESULT,
// and ends.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int opened = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (opened < 0 || dup2(opened, 6) != 6) return 1;
  if (opened != 6) close(opened);
  int lines = 0;
  while (write(6, "line\n", 5) == 5) {
    ++lines;
    usleep(100000);
  }
  const int error = errno;
  FILE* file = fopen(argv[2], "w");
  if (file == NULL) return 1;
  fprintf(file, "%s after %d lines\n", strerrorname_np(error), lines);
  return fclose(file) == 0 ? 0 : 1;
}
