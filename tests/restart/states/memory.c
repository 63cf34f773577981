// SPDX-License-Identifier: Apache-2.0
// Address spaces: /proc/self/smaps says of each mapping what it said before, contents are as
// they were under any protection, the heap and the stack still grow.
#include <signal.h>
#include <sys/mman.h>

#include "state.h"

enum { kPage = 4096 };

enum { kText = 1 << 18 };
static char before[kText], after[kText];

// Ranges, protections, files and flags; nothing that counts pages. Allocates nothing.
static void describe(char* text) {
  static char buffer[1 << 16];
  size_t length = 0;
  FILE* file = fopen("/proc/self/smaps", "r");
  EXPECT(file != NULL && setvbuf(file, buffer, _IOFBF, sizeof(buffer)) == 0);
  char line[4096];
  while (fgets(line, sizeof(line), file) != NULL) {
    unsigned long start, end;
    if (sscanf(line, "%lx-%lx ", &start, &end) != 2 && strncmp(line, "VmFlags:", 8) != 0) continue;
    char* const dirty = strstr(line, " sd");
    if (dirty != NULL) memmove(dirty, dirty + 3, strlen(dirty + 3) + 1);
    length += (size_t)snprintf(text + length, kText - length, "%s", line);
  }
  fclose(file);
}

static int deep(int depth) {
  volatile char frame[kPage];
  frame[0] = (char)depth;
  return depth == 0 ? 0 : deep(depth - 1) + frame[0] * 0;
}

static char* map(size_t length, int protection, int flags) {
  char* memory = mmap(NULL, length, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  EXPECT(memory != MAP_FAILED);
  return memory;
}

int main(int, char** argv) {
  char* sparse = map(1UL << 40, PROT_READ | PROT_WRITE, MAP_NORESERVE);
  strcpy(sparse + (700UL << 30), "far away");
  char* none = map(4 * kPage, PROT_READ | PROT_WRITE, 0);
  strcpy(none + kPage, "behind PROT_NONE");
  EXPECT(mprotect(none, 4 * kPage, PROT_NONE) == 0);
  char* constant = map(4 * kPage, PROT_READ | PROT_WRITE, 0);
  strcpy(constant, "read only");
  EXPECT(mprotect(constant, 2 * kPage, PROT_READ) == 0);
  EXPECT(madvise(map(kPage, PROT_READ | PROT_WRITE, 0), kPage, MADV_DONTFORK) == 0);
  EXPECT(madvise(map(kPage, PROT_READ | PROT_WRITE, 0), kPage, MADV_WIPEONFORK) == 0);
  EXPECT(madvise(map(kPage, PROT_READ | PROT_WRITE, 0), kPage, MADV_DONTDUMP) == 0);
  EXPECT(madvise(map(kPage, PROT_READ | PROT_WRITE, 0), kPage, MADV_SEQUENTIAL) == 0);
  EXPECT(madvise(map(8 << 20, PROT_READ | PROT_WRITE, 0), 8 << 20, MADV_HUGEPAGE) == 0);
  EXPECT(madvise(map(8 << 20, PROT_READ | PROT_WRITE, 0), 8 << 20, MADV_NOHUGEPAGE) == 0);
  EXPECT(mlock(map(kPage, PROT_READ | PROT_WRITE, 0), kPage) == 0);
  const int own = open(argv[0], O_RDONLY);
  char* file = mmap(NULL, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, own, 0);
  EXPECT(file != MAP_FAILED);
  char clean[kPage];
  memcpy(clean, file, kPage);
  file[2 * kPage] = '!';
  memset(file + 3 * kPage, 0, kPage);  // zeros that are not those of the file
  describe(before);                    // so that nothing is allocated any more
  char* heap = sbrk(3 * kPage);
  strcpy(heap, "on the heap");
  const void* top = sbrk(0);
  describe(before);
  ready_and_await_go(argv[1]);

  describe(after);
  if (strcmp(before, after) != 0) {
    const char *a = before, *b = after;
    while (*a == *b) ++a, ++b;
    while (a > before && a[-1] != '\n') --a, --b;
    fprintf(stderr, "before: %.300s\nafter: %.300s\n", a, b);
    return 1;
  }
  EXPECT(strcmp(sparse + (700UL << 30), "far away") == 0 && sparse[500UL << 30] == 0);
  EXPECT(mprotect(none, 4 * kPage, PROT_READ) == 0);
  EXPECT(strcmp(none + kPage, "behind PROT_NONE") == 0 && none[0] == 0);
  EXPECT(strcmp(constant, "read only") == 0);
  EXPECT(memcmp(clean, file, kPage) == 0 && file[2 * kPage] == '!');
  EXPECT(memcmp(file, "\177ELF", 4) == 0);
  for (int i = 0; i < kPage; ++i) EXPECT(file[3 * kPage + i] == 0);
  EXPECT(strcmp(heap, "on the heap") == 0 && sbrk(0) == top);
  EXPECT(sbrk(64 << 20) == top);
  memset((char*)top, 1, 64 << 20);
  EXPECT(deep(1000) == 0);
  char link[64] = {};
  EXPECT(readlink("/proc/self/exe", link, sizeof(link) - 1) > 0);
  EXPECT(strstr(read_file("/proc/self/cmdline"), "memory") != NULL);
  return 0;
}
