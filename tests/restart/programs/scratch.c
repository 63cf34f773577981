// SPDX-License-Identifier: Apache-2.0
//
// scratch FOLDER [marks]: holds what is not worth saving beside what is. Writes to FOLDER/ready, as
// shell variables, the addresses of both, as ranges, and the descriptors: `scratch` and `kept` are
// anonymous memory, `mapped` is a private mapping of FOLDER/file whose first page it has written
// to and whose second page it has not, `socket` a TCP connection, `output` FOLDER/output. When
// there is a file FOLDER/go, it writes to FOLDER/result what has become of each, and ends.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crfs/crfs.h"

#define PAGE 4096L
#define SIZE (64 * PAGE)

static char* Map(int file) {
  char* memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | (file < 0 ? MAP_ANONYMOUS : 0), file, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

static int Connect(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof(address);
  const int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr*)&address, size) != 0 || listen(listener, 1) != 0) return -1;
  getsockname(listener, (struct sockaddr*)&address, &size);
  if (connect(client, (struct sockaddr*)&address, size) != 0) return -1;
  close(listener);
  return client;
}

static const char* Contents(const char* memory, long size) {
  for (long i = 1; i < size; ++i) {
    if (memory[i] != memory[0]) return "mixed";
  }
  return memory[0] == 0     ? "zero"
         : memory[0] == 'x' ? "kept"
         : memory[0] == 'f' ? "of the file"
                            : "?";
}

static const char* Descriptor(int fd) {
  return fcntl(fd, F_GETFD) >= 0 ? "open" : errno == EBADF ? "closed" : "?";
}

int main(int argc, char** argv) {
  if (argc < 2 || chdir(argv[1]) != 0) return 2;
  char page[PAGE];
  memset(page, 'f', sizeof(page));
  const int file = open("file", O_RDWR | O_CREAT, 0600);
  for (long i = 0; i < SIZE; i += PAGE) {
    if (write(file, page, PAGE) != PAGE) return 1;
  }
  char *scratch = Map(-1), *kept = Map(-1), *mapped = Map(file);
  close(file);
  const int tcp = Connect(), output = open("output", O_WRONLY | O_CREAT, 0600);
  if (!scratch || !kept || !mapped || tcp < 0 || output < 0) return 1;
  memset(scratch, 'x', SIZE);
  memset(kept, 'x', SIZE);
  memset(mapped, 'x', PAGE);

  if (argc > 2 && (crfs_exclude(scratch, SIZE) != 0 || crfs_exclude(mapped, SIZE) != 0 ||
                   crfs_exclude_fd(tcp) != 0)) {
    return 1;
  }

  FILE* ready = fopen("ready.tmp", "w");
  fprintf(ready, "scratch=%lx-%lx\nkept=%lx-%lx\nmapped=%lx-%lx\nsocket=%d\noutput=%d\n",
          (long)scratch, (long)scratch + SIZE, (long)kept, (long)kept + SIZE, (long)mapped,
          (long)mapped + SIZE, tcp, output);
  fclose(ready);
  rename("ready.tmp", "ready");
  while (access("go", F_OK) != 0) usleep(50000);

  const char *tcp_is = Descriptor(tcp), *output_is = Descriptor(output);
  FILE* result = fopen("result", "w");
  fprintf(result, "scratch is %s\nkept is %s\n", Contents(scratch, SIZE), Contents(kept, SIZE));
  fprintf(result, "mapped is %s, then %s\n", Contents(mapped, PAGE),
          Contents(mapped + PAGE, SIZE - PAGE));
  fprintf(result, "socket is %s\noutput is %s\n", tcp_is, output_is);
  return fclose(result) == 0 ? 0 : 1;
}
