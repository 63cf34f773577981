// SPDX-License-Identifier: Apache-2.0
//
// System calls without the C library: for threads that have no thread area of their own, not
// even an errno. Everything here may be called by such a thread.

#ifndef CRFS_ENGINE_RAW_CALL_H_
#define CRFS_ENGINE_RAW_CALL_H_

#include <linux/sched.h>
#include <sys/syscall.h>

#include <cstdint>

namespace crfs {

template <typename T>
long RawArgument(T value) {
  if constexpr (sizeof(T) == sizeof(long)) return reinterpret_cast<long>(value);
}
inline long RawArgument(long value) { return value; }
inline long RawArgument(unsigned long value) { return static_cast<long>(value); }
inline long RawArgument(int value) { return value; }
inline long RawArgument(unsigned value) { return static_cast<long>(value); }

// The result, or minus an errno.
template <typename A = long, typename B = long, typename C = long, typename D = long,
          typename E = long, typename F = long>
long RawCall(long number, A a = 0, B b = 0, C c = 0, D d = 0, E e = 0, F f = 0) {
  register long r10 asm("r10") = RawArgument(d);
  register long r8 asm("r8") = RawArgument(e);
  register long r9 asm("r9") = RawArgument(f);
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(RawArgument(a)), "S"(RawArgument(b)), "d"(RawArgument(c)),
                 "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

// clone3(2) of a thread, which begins on the stack that `arguments` give with
// body(argument), and must not return from it.
inline long RawCloneThread(const clone_args* arguments, void (*body)(void*), void* argument) {
  long result;
  register void (*r12)(void*) asm("r12") = body;
  register void* r13 asm("r13") = argument;
  asm volatile(
      "syscall\n"
      "test %%rax, %%rax\n"
      "jnz 1f\n"
      "xor %%ebp, %%ebp\n"
      "mov %%r13, %%rdi\n"
      "call *%%r12\n"
      "ud2\n"
      "1:\n"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(arguments), "S"(sizeof(*arguments)), "r"(r12), "r"(r13)
      : "rcx", "r11", "memory");
  return result;
}

}  // namespace crfs

#endif  // CRFS_ENGINE_RAW_CALL_H_
