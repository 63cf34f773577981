// SPDX-License-Identifier: Apache-2.0
//
// libcrfs-preload.so: a program that knows nothing of crfs checkpoints itself whenever it gets a
// signal. `crfs run --signal` puts it into LD_PRELOAD, and into the environment:
//
//   CRFS_PRELOAD_SIGNAL   the signal's number
//   CRFS_PRELOAD_FOLDER   where images go (engine/run_folder.h), absolute
//   CRFS_PRELOAD_KEEP     how many of them are kept
//   CRFS_PRELOAD_BEFORE   what LD_PRELOAD was; missing: there was none
//
// All of that is for this program alone, and taken out before it, or what it starts, sees it.

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crfs/crfs.h"

enum { kDigits = 8, kNameSize = 32, kErrorSize = 1024 };

static char folder[PATH_MAX - kNameSize];
static unsigned long newest;  // number of an image
static unsigned long keep;

// ---- the handler: no function here but those that signal-safety(7) lists, and libcrfs's -------

static char* append(char* end, const char* text) {
  const size_t length = strlen(text);
  memcpy(end, text, length + 1);
  return end + length;
}

static void name_image(char* path, unsigned long number) {
  char digits[kNameSize];
  char* first = digits + sizeof(digits) - 1;
  *first = '\0';
  for (int i = 0; i < kDigits || number != 0; ++i, number /= 10)
    *--first = (char)('0' + number % 10);
  append(append(append(append(path, folder), "/"), first), ".crfs");
}

static void tell(const char* text) {
  ssize_t done = write(STDERR_FILENO, text, strlen(text));
  (void)done;
}

static void save(int signal) {
  (void)signal;
  const int before = errno;
  char path[PATH_MAX];
  char error[kErrorSize] = "";
  struct crfs_checkpoint_options options = CRFS_CHECKPOINT_OPTIONS_INIT;
  options.error = error;
  options.error_size = sizeof(error);
  // A restarted program knows its own image as the newest.
  unsigned long number = newest;
  do {
    name_image(path, ++number);
  } while (access(path, F_OK) == 0);
  if (crfs_checkpoint_self(path, &options) < 0) {
    tell("crfs: ");
    tell(error[0] != '\0' ? error : path);
    tell(error[0] != '\0' ? "\n" : ": cannot be taken\n");
  } else {
    newest = number;
    // Those that were kept while this one was being written.
    if (number > keep + 1) {
      name_image(path, number - keep - 1);
      unlink(path);
    }
  }
  errno = before;
}

// ---- the setup --------------------------------------------------------------------------------

static unsigned long number_in(const char* name) {
  const char* text = getenv(name);
  return text != NULL ? strtoul(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void set_up(void) {
  const char* where = getenv("CRFS_PRELOAD_FOLDER");
  const int signal = (int)number_in("CRFS_PRELOAD_SIGNAL");
  if (where == NULL || signal == 0 || strlen(where) >= sizeof(folder)) return;
  append(folder, where);
  keep = number_in("CRFS_PRELOAD_KEEP");
  const char* preload = getenv("CRFS_PRELOAD_BEFORE");
  if (preload != NULL) {
    setenv("LD_PRELOAD", preload, 1);
  } else {
    unsetenv("LD_PRELOAD");
  }
  unsetenv("CRFS_PRELOAD_FOLDER");
  unsetenv("CRFS_PRELOAD_SIGNAL");
  unsetenv("CRFS_PRELOAD_KEEP");
  unsetenv("CRFS_PRELOAD_BEFORE");
  struct sigaction action = {.sa_handler = save, .sa_flags = SA_RESTART | SA_ONSTACK};
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, NULL);
}
