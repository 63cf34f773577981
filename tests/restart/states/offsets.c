// SPDX-License-Identifier: Apache-2.0
// Open files: an offset shared with a child, one that is not, flags, numbers, close-on-exec,
// a directory half read, and a working directory.
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "state.h"

int main(int, char** argv) {
  char text[64] = {};
  EXPECT(chdir(argv[1]) == 0 && mkdir("folder", 0700) == 0);
  for (int i = 0; i < 5; ++i) {
    snprintf(text, sizeof(text), "folder/%d", i);
    make_file(argv[1], text);
  }
  const int writer = open("data", O_RDWR | O_CREAT, 0600);
  EXPECT(write(writer, "0123456789abcdef", 16) == 16);
  const int shared = open("data", O_RDONLY);
  const int own = open("data", O_RDONLY | O_CLOEXEC);
  const int high = fcntl(shared, F_DUPFD, 900);
  EXPECT(high == 900 && lseek(own, 7, SEEK_SET) == 7);
  const int appending = open("log", O_WRONLY | O_CREAT | O_APPEND | O_SYNC | O_NOATIME, 0600);
  EXPECT(write(appending, "one\n", 4) == 4);
  const int path = open("data", O_PATH);
  const int directory = open("folder", O_RDONLY | O_DIRECTORY);
  DIR* listing = fdopendir(directory);
  EXPECT(listing != NULL);
  const pid_t pid = fork();
  EXPECT(pid >= 0);
  if (pid == 0) {
    await_go(argv[1]);
    EXPECT(read(shared, text, 4) == 4 && memcmp(text, "0123", 4) == 0);
    _exit(0);
  }
  EXPECT(chdir("folder") == 0);
  ready_and_await_go(argv[1]);

  int status;
  EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
  EXPECT(read(high, text, 4) == 4 && memcmp(text, "4567", 4) == 0);
  EXPECT(lseek(shared, 0, SEEK_CUR) == 8);
  EXPECT(read(own, text, 2) == 2 && memcmp(text, "78", 2) == 0);
  EXPECT(fcntl(own, F_GETFD) == FD_CLOEXEC && fcntl(shared, F_GETFD) == 0);
  EXPECT(lseek(writer, 0, SEEK_CUR) == 16);
  EXPECT((fcntl(writer, F_GETFL) & O_ACCMODE) == O_RDWR);
  EXPECT((fcntl(path, F_GETFL) & O_PATH) != 0 && read(path, text, 1) == -1 && errno == EBADF);
  const int wanted = O_APPEND | O_SYNC | O_NOATIME;
  EXPECT((fcntl(appending, F_GETFL) & (wanted | O_ACCMODE)) == (wanted | O_WRONLY));
  EXPECT(write(appending, "two\n", 4) == 4);
  EXPECT(strcmp(read_file("../log"), "one\ntwo\n") == 0);
  int entries = 0;
  while (readdir(listing) != NULL) ++entries;
  EXPECT(entries == 7);
  EXPECT(access("4", F_OK) == 0);
  return 0;
}
