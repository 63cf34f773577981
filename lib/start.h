// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_LIB_START_H_
#define CRFS_LIB_START_H_

#include <sys/types.h>

// Starts the program crfs with `arguments` (the first is its own name, NULL is the last), in a
// session of its own, with no descriptor and no handler of the caller, and stores its pid. It is no
// child of the caller: whoever is the caller's reaper looks after it. Returns 0 or an errno. May be
// called by a handler of a signal.
int crfs_start(char* const* arguments, pid_t* pid);

// Whether a process that crfs_start started has ended, whoever has waited for it or not.
int crfs_has_ended(pid_t pid);

#endif  // CRFS_LIB_START_H_
