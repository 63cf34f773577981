// SPDX-License-Identifier: Apache-2.0
//
// Callbacks are only ever added: the list is walked without a lock, in both directions.

#include "lib/callbacks.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "crfs/crfs.h"
#include "lib/export.h"

struct callback {
  void (*before)(void*);
  void (*after)(void*);
  void (*restarted)(void*);
  void* argument;
  struct callback* earlier;
};

static _Atomic(struct callback*) latest;

CRFS_EXPORT int crfs_checkpoint_callbacks(void (*before)(void*), void (*after)(void*),
                                          void (*restarted)(void*), void* argument) {
  struct callback* added = malloc(sizeof(*added));
  if (added == NULL) {
    errno = ENOMEM;
    return -1;
  }
  added->before = before;
  added->after = after;
  added->restarted = restarted;
  added->argument = argument;
  added->earlier = atomic_load(&latest);
  while (!atomic_compare_exchange_weak(&latest, &added->earlier, added)) {
  }
  return 0;
}

void crfs_call_before(void) {
  for (const struct callback* each = atomic_load(&latest); each != NULL; each = each->earlier) {
    if (each->before != NULL) each->before(each->argument);
  }
}

// From the first to `each`; programs register few.
static void call_in_order(const struct callback* each, int restarted) {
  if (each == NULL) return;
  call_in_order(each->earlier, restarted);
  void (*function)(void*) = restarted ? each->restarted : each->after;
  if (function != NULL) function(each->argument);
}

void crfs_call_after(void) { call_in_order(atomic_load(&latest), 0); }

void crfs_call_restarted(void) { call_in_order(atomic_load(&latest), 1); }
