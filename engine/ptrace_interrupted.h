// SPDX-License-Identifier: Apache-2.0
//
// The system call that a stopped thread was taken out of, and what is needed to go on with it: the
// rows syscall/*. The kernel tells nobody of its restart block, but the call's arguments are still
// in the registers, and it has written how long it still had to sleep where the program asked for
// that. Where it did not (poll(2), a futex(2) with a span, nanosleep(2) without its second
// argument) the time counts anew from the start: such a call may sleep longer than it was told.

#ifndef CRFS_ENGINE_PTRACE_INTERRUPTED_H_
#define CRFS_ENGINE_PTRACE_INTERRUPTED_H_

#include <sys/user.h>

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "index/record.h"

namespace crfs {

// Whether these are the registers of a call that returns EINTR whenever something wakes it, having
// done nothing: it has to begin again, or the thread would see that it was interrupted. Then
// `registers` are made so; a handler that runs first still makes it fail with EINTR.
bool HideInterruption(user_regs_struct& registers);

// Reads memory of the thread; false if it cannot be read.
using ReadMemory = absl::FunctionRef<bool(uint64_t address, void* buffer, size_t length)>;

// Whether that is the name of a function in which such a call sleeps.
bool NamesSleep(absl::string_view wchan);

// Fills the rows syscall_* of a thread. `wchan` is the kernel's function that it slept in
// (/proc/TID/wchan): of a call that restart_syscall(2) goes on with, that and the instruction that
// made it are all there is. False: it cannot be told which call that is.
bool FillInterruptedCall(const user_regs_struct& registers, absl::string_view wchan,
                         ReadMemory read, ObjectBuilder& thread);

// Whether the call it sleeps in sets other blocked signals for as long as it lasts
// (sigsuspend(2), ppoll(2)), and begins again.
bool SleepsWithOtherMask(const user_regs_struct& registers, ReadMemory read);

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_INTERRUPTED_H_
