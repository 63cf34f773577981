// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_interrupted.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "crfs/words.h"
#include "engine/ptrace_thread.h"

namespace crfs {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kMillisecond = 1'000'000;

// As the module knows them (kmod/park.c).
bool BeginsAgain(long number) {
  switch (number) {
    case SYS_read:
    case SYS_write:
    case SYS_readv:
    case SYS_writev:
    case SYS_accept:
    case SYS_accept4:
    case SYS_connect:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_rt_sigtimedwait:
    case SYS_io_getevents:
    case SYS_io_pgetevents:
      return true;
    default:
      return false;
  }
}

crfs_syscall_restart RestartOf(const user_regs_struct& registers) {
  if (static_cast<long>(registers.orig_rax) < 0) return CRFS_syscall_restart_none;
  switch (static_cast<long>(registers.rax)) {
    case -EINTR:
      return CRFS_syscall_restart_intr;
    case -kRestartSys:
      return CRFS_syscall_restart_sys;
    case -kRestartNoIntr:
      return CRFS_syscall_restart_nointr;
    case -kRestartNoHand:
      return CRFS_syscall_restart_nohand;
    case -kRestartBlock:
      return CRFS_syscall_restart_block;
    default:
      return CRFS_syscall_restart_none;
  }
}

uint64_t TimeLeft(uint64_t expires, clockid_t clock) {
  timespec now = {};
  ::clock_gettime(clock, &now);
  const uint64_t passed =
      static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
  return expires > passed ? expires - passed : 0;
}

// By the function that a thread sleeps in: hrtimer_nanosleep, alarmtimer_do_nsleep,
// do_cpu_nanosleep; do_sys_poll, poll_schedule_timeout; futex_wait_queue, futex_do_wait. Where
// nothing but the entry of system calls is seen it is do_nanosleep, which counts as part of the
// scheduler, called last by all that is between.
crfs_restart_block SleepOf(absl::string_view wchan) {
  for (const absl::string_view part : {"nanosleep", "nsleep", "syscall", "sys_call"}) {
    if (absl::StrContains(wchan, part)) return CRFS_restart_block_nanosleep;
  }
  if (absl::StrContains(wchan, "poll")) return CRFS_restart_block_poll;
  return absl::StrContains(wchan, "futex") ? CRFS_restart_block_futex : CRFS_restart_block_none;
}

class Sleep {
 public:
  Sleep(const user_regs_struct& registers, absl::string_view wchan, ReadMemory read,
        ObjectBuilder& thread)
      : registers_(registers), wchan_(wchan), read_(read), thread_(thread) {}

  // False: it is not known which call it is.
  bool Fill() {
    restarted_ = registers_.orig_rax == SYS_restart_syscall;
    long number = restarted_ ? Loaded() : static_cast<long>(registers_.orig_rax);
    if (!IsSleep(number)) number = ByFunction();
    thread_.SetNumber("syscall_nr", static_cast<uint64_t>(number));
    switch (number) {
      case SYS_nanosleep:
        return FillSleep(CLOCK_MONOTONIC, registers_.rdi, registers_.rsi);
      case SYS_clock_nanosleep:
        return FillSleep(static_cast<clockid_t>(registers_.rdi), registers_.rdx, registers_.r10);
      case SYS_poll:
        FillPoll();
        return true;
      case SYS_futex:
        return FillFutex();
      default:
        thread_.SetNumber("syscall_block", CRFS_restart_block_other);
        return false;
    }
  }

 private:
  static bool IsSleep(long number) {
    return number == SYS_nanosleep || number == SYS_clock_nanosleep || number == SYS_poll ||
           number == SYS_futex;
  }

  // The number that the instruction before the call loads; that of a wrapper for any call is in
  // no instruction. The registers of the arguments are as they were.
  long Loaded() const {
    unsigned char code[7];  // mov $NUMBER, %eax; syscall
    if (!read_(registers_.rip - sizeof(code), code, sizeof(code)) || code[0] != 0xb8) return -1;
    uint32_t loaded;
    std::memcpy(&loaded, code + 1, sizeof(loaded));
    return loaded;
  }

  long ByFunction() const {
    switch (SleepOf(wchan_)) {
      case CRFS_restart_block_nanosleep: {
        // The first argument is a clock's number, or the address of a span.
        constexpr long kNoAddress = 4096;
        const long first = static_cast<long>(registers_.rdi);
        return first < kNoAddress ? SYS_clock_nanosleep : SYS_nanosleep;
      }
      case CRFS_restart_block_poll:
        return SYS_poll;
      case CRFS_restart_block_futex:
        return SYS_futex;
      default:
        return static_cast<long>(registers_.orig_rax);
    }
  }

  void Set(absl::string_view field, uint64_t value) { thread_.SetNumber(field, value); }

  bool Time(uint64_t address, uint64_t* ns) const {
    timespec time;
    if (address == 0 || !read_(address, &time, sizeof(time))) return false;
    if (time.tv_sec < 0 || time.tv_nsec < 0 || time.tv_nsec >= static_cast<long>(kSecond)) {
      return false;
    }
    *ns = static_cast<uint64_t>(time.tv_sec) * kSecond + static_cast<uint64_t>(time.tv_nsec);
    return true;
  }

  bool FillSleep(clockid_t clock, uint64_t request, uint64_t rest) {
    uint64_t left = 0;
    if (!Time(rest, &left) && !Time(request, &left)) {
      Set("syscall_block", CRFS_restart_block_other);
      return false;
    }
    crfs_restart_block block = CRFS_restart_block_nanosleep;
    // As the kernel keeps them: a span by the wall clock is one by the monotonic clock.
    if (clock == CLOCK_REALTIME) clock = CLOCK_MONOTONIC;
    // From then on both calls are the same; so they are for the module.
    if (restarted_ && clock == CLOCK_MONOTONIC) Set("syscall_nr", SYS_nanosleep);
    if (clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) {
      block = CRFS_restart_block_alarm_nanosleep;
    } else if (clock == CLOCK_PROCESS_CPUTIME_ID || clock < 0) {
      constexpr clockid_t kOwnProcess = -6;  // MAKE_PROCESS_CPUCLOCK(0, CPUCLOCK_SCHED)
      block = CRFS_restart_block_cpu_nanosleep;
      if (clock == CLOCK_PROCESS_CPUTIME_ID) clock = kOwnProcess;
    }
    Set("syscall_block", block);
    Set("syscall_clock", static_cast<uint32_t>(clock));
    Set("syscall_remaining", left);
    Set("syscall_address", rest);
    return true;
  }

  void FillPoll() {
    const int timeout = static_cast<int>(registers_.rdx);
    Set("syscall_block", CRFS_restart_block_poll);
    Set("syscall_clock", CLOCK_MONOTONIC);
    Set("syscall_flags", timeout >= 0 ? 1 : 0);
    Set("syscall_remaining", timeout >= 0 ? static_cast<uint64_t>(timeout) * kMillisecond : 0);
    Set("syscall_address", registers_.rdi);
    Set("syscall_value", static_cast<uint32_t>(registers_.rsi));
  }

  bool FillFutex() {
    const auto operation = static_cast<uint32_t>(registers_.rsi);
    const clockid_t clock = operation & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    const bool until = (operation & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
    uint64_t time = 0;
    if (!Time(registers_.r10, &time)) {
      Set("syscall_block", CRFS_restart_block_other);
      return false;
    }
    Set("syscall_block", CRFS_restart_block_futex);
    Set("syscall_clock", static_cast<uint64_t>(clock));
    Set("syscall_flags", operation & (FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME));
    Set("syscall_remaining", until ? TimeLeft(time, clock) : time);
    Set("syscall_address", registers_.rdi);
    Set("syscall_value", static_cast<uint32_t>(registers_.rdx));
    Set("syscall_bitset", until ? static_cast<uint32_t>(registers_.r9) : FUTEX_BITSET_MATCH_ANY);
    return true;
  }

  const user_regs_struct& registers_;
  const absl::string_view wchan_;
  const ReadMemory read_;
  ObjectBuilder& thread_;
  bool restarted_ = false;
};

}  // namespace

bool HideInterruption(user_regs_struct& registers) {
  const long number = static_cast<long>(registers.orig_rax);
  if (number < 0 || static_cast<long>(registers.rax) != -EINTR || !BeginsAgain(number)) {
    return false;
  }
  registers.rax = static_cast<uint64_t>(-kRestartNoHand);
  return true;
}

bool NamesSleep(absl::string_view wchan) { return SleepOf(wchan) != CRFS_restart_block_none; }

bool FillInterruptedCall(const user_regs_struct& registers, absl::string_view wchan,
                         ReadMemory read, ObjectBuilder& thread) {
  const crfs_syscall_restart restart = RestartOf(registers);
  long number = -1;
  if (restart != CRFS_syscall_restart_none) number = static_cast<long>(registers.orig_rax);
  thread.SetNumber("syscall_nr", static_cast<uint64_t>(number))
      .SetNumber("syscall_restart", restart);
  if (restart != CRFS_syscall_restart_block) return true;
  return Sleep(registers, wchan, read, thread).Fill();
}

bool SleepsWithOtherMask(const user_regs_struct& registers, ReadMemory read) {
  if (RestartOf(registers) != CRFS_syscall_restart_nohand) return false;
  switch (static_cast<long>(registers.orig_rax)) {
    case SYS_rt_sigsuspend:
      return true;
    case SYS_ppoll:
      return registers.r10 != 0;
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
      return registers.r8 != 0;
    case SYS_pselect6: {
      uint64_t mask = 0;  // the first of the two words that the last argument points to
      return registers.r9 != 0 && read(registers.r9, &mask, sizeof(mask)) && mask != 0;
    }
    default:
      return false;
  }
}

}  // namespace crfs
