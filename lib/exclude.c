// SPDX-License-Identifier: Apache-2.0
//
// Marks of what a checkpoint is to leave out, in tables that crfs looks for in the caller's memory
// (crfs/exclude.h). No locks: fork(2) may come at any moment, and so may the freeze.

#include "crfs/exclude.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "crfs/crfs.h"
#include "lib/export.h"

typedef _Atomic(uint64_t) atomic_kind;

static _Atomic(struct crfs_exclude_table*) tables[CRFS_EXCLUDE_TABLES];

static atomic_kind* kind_of(struct crfs_exclude_mark* mark) { return (atomic_kind*)&mark->kind; }

// Between two pages without access, so that no other memory ever joins it.
static struct crfs_exclude_table* make_table(void) {
  const size_t guard = (size_t)sysconf(_SC_PAGESIZE);
  char* memory =
      mmap(NULL, CRFS_EXCLUDE_SIZE + 2 * guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  struct crfs_exclude_table* table = (struct crfs_exclude_table*)(memory + guard);
  if (mprotect(table, CRFS_EXCLUDE_SIZE, PROT_READ | PROT_WRITE) != 0) {
    munmap(memory, CRFS_EXCLUDE_SIZE + 2 * guard);
    errno = ENOMEM;
    return NULL;
  }
  memset(table, 0, CRFS_EXCLUDE_SIZE);
  table->version = CRFS_EXCLUDE_VERSION;
  // For people who read /proc/PID/maps; not every kernel has names.
  const int error = errno;
  prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, table, CRFS_EXCLUDE_SIZE, "crfs-exclude");
  errno = error;
  atomic_thread_fence(memory_order_release);
  memcpy(table->magic, CRFS_EXCLUDE_MAGIC, CRFS_EXCLUDE_MAGIC_SIZE);
  return table;
}

static void destroy_table(struct crfs_exclude_table* table) {
  const size_t guard = (size_t)sysconf(_SC_PAGESIZE);
  munmap((char*)table - guard, CRFS_EXCLUDE_SIZE + 2 * guard);
}

// The i-th one, made if there is none. NULL: errno says why.
static struct crfs_exclude_table* table_at(int i) {
  struct crfs_exclude_table* table = atomic_load(&tables[i]);
  if (table != NULL) return table;
  struct crfs_exclude_table* made = make_table();
  if (made == NULL) return NULL;
  if (atomic_compare_exchange_strong(&tables[i], &table, made)) return made;
  destroy_table(made);  // another thread was faster
  return table;
}

static int mark(uint64_t kind, uint64_t start, uint64_t length) {
  for (int i = 0; i < CRFS_EXCLUDE_TABLES; ++i) {
    struct crfs_exclude_table* table = table_at(i);
    if (table == NULL) return -1;
    for (size_t j = 0; j < CRFS_EXCLUDE_MARKS; ++j) {
      struct crfs_exclude_mark* place = &table->marks[j];
      uint64_t expected = CRFS_EXCLUDE_FREE;
      if (!atomic_compare_exchange_strong(kind_of(place), &expected, CRFS_EXCLUDE_TAKEN)) continue;
      place->start = start;
      place->length = length;
      atomic_store(kind_of(place), kind);
      return 0;
    }
  }
  errno = ENOSPC;
  return -1;
}

// All marks that say so: there may be several.
static int unmark(uint64_t kind, uint64_t start, uint64_t length) {
  bool found = false;
  for (int i = 0; i < CRFS_EXCLUDE_TABLES; ++i) {
    struct crfs_exclude_table* table = atomic_load(&tables[i]);
    if (table == NULL) break;
    for (size_t j = 0; j < CRFS_EXCLUDE_MARKS; ++j) {
      struct crfs_exclude_mark* place = &table->marks[j];
      if (atomic_load(kind_of(place)) != kind || place->start != start || place->length != length) {
        continue;
      }
      uint64_t expected = kind;
      found |= atomic_compare_exchange_strong(kind_of(place), &expected, CRFS_EXCLUDE_FREE);
    }
  }
  if (found) return 0;
  errno = ENOENT;
  return -1;
}

static bool is_memory(const void* address, size_t length) {
  if (length != 0 && (uintptr_t)address + length > (uintptr_t)address) return true;
  errno = EINVAL;
  return false;
}

static bool is_descriptor(int fd) {
  if (fd >= 0) return true;
  errno = EBADF;
  return false;
}

CRFS_EXPORT int crfs_exclude(void* address, size_t length) {
  if (!is_memory(address, length)) return -1;
  return mark(CRFS_EXCLUDE_MEMORY, (uintptr_t)address, length);
}

CRFS_EXPORT int crfs_include(void* address, size_t length) {
  if (!is_memory(address, length)) return -1;
  return unmark(CRFS_EXCLUDE_MEMORY, (uintptr_t)address, length);
}

CRFS_EXPORT int crfs_exclude_fd(int fd) {
  if (!is_descriptor(fd)) return -1;
  return mark(CRFS_EXCLUDE_FD, (uint64_t)fd, 0);
}

CRFS_EXPORT int crfs_include_fd(int fd) {
  if (!is_descriptor(fd)) return -1;
  return unmark(CRFS_EXCLUDE_FD, (uint64_t)fd, 0);
}
