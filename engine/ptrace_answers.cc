// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_answers.h"

#include <cpuid.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <span>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "crfs/words.h"
#include "engine/proc_file.h"
#include "engine/proc_status.h"
#include "engine/ptrace_call.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

constexpr uint64_t kMicrosecond = 1'000;
constexpr uint64_t kSecond = 1'000'000'000;

// Whether the kernel protects pages by keys here: cpuid 7, OSPKE.
bool HasProtectionKeys() {
  unsigned a, b, c, d;
  constexpr unsigned kOspke = 1U << 4;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & kOspke) != 0;
}

// Kilobytes of the task's memory that are locked.
uint64_t Locked(const TracedThread& thread) {
  const absl::StatusOr<ProcStatus> status = ReadThreadStatus(thread.pid(), thread.tid());
  if (!status.ok()) return 0;
  uint64_t kilobytes = 0;
  (void)absl::SimpleAtoi(absl::StripSuffix(status->Text("VmLck"), " kB"), &kilobytes);
  return kilobytes;
}

// Whether there is memory behind a page that nobody has touched.
bool IsPopulated(const TracedThread& thread, uint64_t page) {
  const UniqueFd pagemap(::open(ProcPath(thread.tid(), "pagemap").c_str(), O_RDONLY | O_CLOEXEC));
  uint64_t entry = 0;
  constexpr uint64_t kPresent = uint64_t{1} << 63;
  const off_t place = static_cast<off_t>(page / ThreadCalls::kPageSize * sizeof(entry));
  return ::pread(pagemap.get(), &entry, sizeof(entry), place) == sizeof(entry) &&
         (entry & kPresent) != 0;
}

class Interview {
 public:
  Interview(TracedThread& thread, uint64_t instruction, bool sleeps_with_other_mask)
      : thread_(thread), calls_(thread, instruction, sleeps_with_other_mask) {}

  absl::StatusOr<Answers> Hold(bool whole_task) {
    const uint64_t locked = whole_task ? Locked(thread_) : 0;
    if (absl::Status status = calls_.Begin(); !status.ok()) return status;
    if (whole_task) {
      // New mappings are locked (mlockall(2), MCL_FUTURE) as the page is.
      if (Locked(thread_) > locked) {
        answers_.mm.def_flags |= uint64_t{1} << CRFS_vma_flags_lo;
        if (!IsPopulated(thread_, calls_.page())) {
          answers_.mm.def_flags |= uint64_t{1} << CRFS_vma_flags_lf;
        }
      }
      AskTask();
      AskMm();
      AskActions();
    }
    AskOfItself();
    status_.Update(calls_.End());
    if (!status_.ok()) return status_;
    return answers_;
  }

 private:
  // The result, minus an errno for an error; after a failure of ptrace nothing is asked any more.
  long Call(long number, std::initializer_list<uint64_t> arguments) {
    if (!status_.ok()) return -EIO;
    const absl::StatusOr<long> result = calls_.Call(number, arguments);
    status_.Update(result.status());
    return result.ok() ? *result : -EIO;
  }

  // What the kernel wrote at an offset of the page, if the call did not fail.
  template <typename T>
  T Result(long result, uint64_t offset = 0) {
    if (result < 0 || !status_.ok()) return T{};
    const absl::StatusOr<T> value = calls_.Read<T>(offset);
    status_.Update(value.status());
    return value.ok() ? *value : T{};
  }

  template <typename T>
  T Written(long number, std::initializer_list<uint64_t> arguments) {
    return Result<T>(Call(number, arguments));
  }

  // Of calls that must not fail.
  uint64_t Number(absl::string_view what, long number, std::initializer_list<uint64_t> arguments) {
    const long result = Call(number, arguments);
    if (result < 0) status_.Update(thread_.Failed(result, absl::StrCat(what, " cannot be asked")));
    return static_cast<uint64_t>(result);
  }

  void AskTask() {
    constexpr int kTimers[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
    for (size_t i = 0; i < std::size(kTimers); ++i) {
      const itimerval timer =
          Written<itimerval>(SYS_getitimer, {static_cast<uint64_t>(kTimers[i]), calls_.page()});
      answers_.task.timers[i] = {Nanoseconds(timer.it_value), Nanoseconds(timer.it_interval)};
    }
    answers_.task.child_subreaper =
        Written<uint32_t>(SYS_prctl, {PR_GET_CHILD_SUBREAPER, calls_.page()});
  }

  static uint64_t Nanoseconds(const timeval& time) {
    return static_cast<uint64_t>(time.tv_sec) * kSecond +
           static_cast<uint64_t>(time.tv_usec) * kMicrosecond;
  }

  void AskMm() {
    MmAnswers& mm = answers_.mm;
    mm.brk = Number("its brk", SYS_brk, {0});
    mm.dumpable = static_cast<uint32_t>(Number("dumpable", SYS_prctl, {PR_GET_DUMPABLE}));
    const long disabled = Call(SYS_prctl, {PR_GET_THP_DISABLE, 0, 0, 0, 0});
    mm.thp_disable = disabled > 0 ? 1 : 0;
    constexpr uint64_t kReadTable = 0, kEntrySize = 8;
    if (Call(SYS_modify_ldt, {kReadTable, calls_.page(), kEntrySize}) > 0) {
      mm.blockers |= Blocker(CRFS_blockers_ldt);
    }
    if (HasProtectionKeys()) AskKeys();
  }

  // Giving the page a key works with one that the program has allocated alone.
  void AskKeys() {
    constexpr uint64_t kFirst = 1, kEnd = 16;
    for (uint64_t key = kFirst; key < kEnd; ++key) {
      if (Call(SYS_pkey_mprotect,
               {calls_.page(), ThreadCalls::kPageSize, PROT_READ | PROT_WRITE, key}) != 0) {
        continue;
      }
      answers_.mm.blockers |= Blocker(CRFS_blockers_pkeys);
      Call(SYS_pkey_mprotect, {calls_.page(), ThreadCalls::kPageSize, PROT_READ | PROT_WRITE, 0});
      return;
    }
  }

  void AskActions() {
    constexpr uint64_t kSetSize = 8;
    answers_.actions = {};
    for (int signal = 1; signal <= kSignalMax; ++signal) {
      const uint64_t place =
          calls_.page() + static_cast<uint64_t>(signal - 1) * sizeof(SignalAction);
      Number("what a signal does", SYS_rt_sigaction,
             {static_cast<uint64_t>(signal), 0, place, kSetSize});
    }
    if (status_.ok()) {
      status_ = calls_.Read(
          0, std::span(reinterpret_cast<char*>(answers_.actions.data()), sizeof(answers_.actions)));
    }
  }

  void AskOfItself() {
    ThreadAnswers& own = answers_.thread;
    const stack_t stack = Written<stack_t>(SYS_sigaltstack, {0, calls_.page()});
    own.altstack_sp = reinterpret_cast<uint64_t>(stack.ss_sp);
    own.altstack_size = stack.ss_size;
    // Whether it is in use is told by the stack pointer, not by what was set.
    own.altstack_flags = static_cast<uint32_t>(stack.ss_flags) & ~uint32_t{SS_ONSTACK};
    own.clear_child_tid = Result<uint64_t>(
        static_cast<long>(Number("its clear_child_tid (a kernel with CONFIG_CHECKPOINT_RESTORE)",
                                 SYS_prctl, {PR_GET_TID_ADDRESS, calls_.page()})));
    own.pdeath_signal = Written<uint32_t>(SYS_prctl, {PR_GET_PDEATHSIG, calls_.page()});
    own.timerslack = Number("its timer slack", SYS_prctl, {PR_GET_TIMERSLACK});
    own.securebits =
        static_cast<uint32_t>(Number("its securebits", SYS_prctl, {PR_GET_SECUREBITS}));
    if (Written<uint32_t>(SYS_prctl, {PR_GET_TSC, calls_.page()}) == PR_TSC_SIGSEGV) {
      own.blockers |= Blocker(CRFS_blockers_notsc);
    }
    if (Written<uint32_t>(SYS_get_mempolicy, {calls_.page(), 0, 0, 0, 0}) != 0) {
      own.blockers |= Blocker(CRFS_blockers_mempolicy);
    }
    // That of the session cannot be asked without making one.
    for (const int keyring : {KEY_SPEC_THREAD_KEYRING, KEY_SPEC_PROCESS_KEYRING}) {
      if (Call(SYS_keyctl, {KEYCTL_GET_KEYRING_ID, static_cast<uint64_t>(keyring), 0}) > 0) {
        own.blockers |= Blocker(CRFS_blockers_keyrings);
      }
    }
  }

  TracedThread& thread_;
  ThreadCalls calls_;
  Answers answers_ = {};
  absl::Status status_;
};

}  // namespace

absl::StatusOr<Answers> AskThread(TracedThread& thread, uint64_t instruction,
                                  bool sleeps_with_other_mask, bool whole_task) {
  return Interview(thread, instruction, sleeps_with_other_mask).Hold(whole_task);
}

}  // namespace crfs
