// SPDX-License-Identifier: Apache-2.0
// Memory shared between parent and child: anonymous, a memfd with its seals, and a file.
#include <sys/mman.h>
#include <sys/wait.h>

#include "state.h"

enum { kSize = 1 << 16 };

int main(int, char** argv) {
  char* anonymous = mmap(NULL, kSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  const int memory = memfd_create("scratch", MFD_ALLOW_SEALING | MFD_CLOEXEC);
  EXPECT(ftruncate(memory, kSize) == 0);
  char* second_half = mmap(NULL, kSize / 2, PROT_READ | PROT_WRITE, MAP_SHARED, memory, kSize / 2);
  char* reader = mmap(NULL, kSize, PROT_READ, MAP_PRIVATE, memory, 0);
  EXPECT(chdir(argv[1]) == 0);
  const int file = open("mapped", O_RDWR | O_CREAT, 0600);
  EXPECT(ftruncate(file, kSize) == 0);
  char* mapped = mmap(NULL, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  EXPECT(anonymous != MAP_FAILED && second_half != MAP_FAILED && mapped != MAP_FAILED);
  strcpy(anonymous + 5000, "before");
  strcpy(second_half + 100, "in the memfd");
  strcpy(mapped + 9000, "in the file");
  EXPECT(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
  // Sealed against new writers only: the mapping that is there may still write.
  const int sealed = memfd_create("sealed", MFD_ALLOW_SEALING);
  EXPECT(ftruncate(sealed, kSize) == 0);
  char* old_writer = mmap(NULL, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, sealed, 0);
  EXPECT(old_writer != MAP_FAILED);
  strcpy(old_writer + 7000, "sealed");
  EXPECT(fcntl(sealed, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0);
  // And against all of them.
  const int constant = memfd_create("constant", MFD_ALLOW_SEALING);
  EXPECT(write(constant, "constant", 8) == 8);
  EXPECT(fcntl(constant, F_ADD_SEALS, F_SEAL_WRITE) == 0);
  const pid_t pid = fork();
  EXPECT(pid >= 0);
  if (pid == 0) {
    await_go(argv[1]);
    EXPECT(strcmp(anonymous + 5000, "before") == 0);
    strcpy(anonymous + 5000, "by the child");
    strcpy(second_half, "by the child");
    strcpy(mapped + 9000, "by the child");
    _exit(0);
  }
  ready_and_await_go(argv[1]);

  int status;
  EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
  EXPECT(strcmp(anonymous + 5000, "by the child") == 0);
  EXPECT(strcmp(second_half, "by the child") == 0);
  EXPECT(strcmp(second_half + 100, "in the memfd") == 0);
  EXPECT(strcmp(reader + kSize / 2, "by the child") == 0);
  EXPECT(fcntl(memory, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW));
  EXPECT(ftruncate(memory, 2 * kSize) == -1 && errno == EPERM);
  EXPECT(strcmp(old_writer + 7000, "sealed") == 0);
  old_writer[0] = 'w';
  EXPECT(fcntl(sealed, F_GET_SEALS) == (F_SEAL_FUTURE_WRITE | F_SEAL_SEAL));
  EXPECT(write(sealed, "x", 1) == -1 && errno == EPERM);
  char words[16] = {};
  EXPECT(pread(constant, words, 8, 0) == 8 && strcmp(words, "constant") == 0);
  EXPECT(lseek(constant, 0, SEEK_CUR) == 8 && fcntl(constant, F_GET_SEALS) == F_SEAL_WRITE);
  EXPECT(strcmp(mapped + 9000, "by the child") == 0);
  char text[64] = {};
  const int again = open("mapped", O_RDONLY);
  EXPECT(pread(again, text, 12, 9000) == 12 && strcmp(text, "by the child") == 0);
  return 0;
}
