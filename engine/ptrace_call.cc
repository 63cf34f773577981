// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_call.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/proc_file.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

// <linux/ptrace.h> and <sys/ptrace.h> cannot both be had.
constexpr int kGetSignalMask = 0x420a;
constexpr int kSetSignalMask = 0x420b;
constexpr int kGetRseqConfiguration = 0x420f;

struct RseqConfiguration {
  uint64_t pointer;
  uint32_t size;
  uint32_t signature;
  uint32_t flags;
  uint32_t pad;
};

constexpr size_t kSearchedMax = 4 << 20;

// The offset of `syscall` in a mapping, or npos.
size_t FindIn(int mem, uint64_t start, uint64_t end) {
  std::string code(std::min<uint64_t>(end - start, kSearchedMax), '\0');
  const ssize_t got = ::pread(mem, code.data(), code.size(), static_cast<off_t>(start));
  if (got <= 0) return std::string::npos;
  code.resize(static_cast<size_t>(got));
  return code.find("\x0f\x05");
}

bool ParseRange(absl::string_view word, uint64_t* start, uint64_t* end) {
  const size_t dash = word.find('-');
  return dash != absl::string_view::npos && absl::SimpleHexAtoi(word.substr(0, dash), start) &&
         absl::SimpleHexAtoi(word.substr(dash + 1), end);
}

}  // namespace

absl::StatusOr<uint64_t> FindSyscallInstruction(pid_t pid) {
  const absl::StatusOr<std::string> maps = ReadProcFile(ProcPath(pid, "maps"));
  if (!maps.ok()) return maps.status();
  const std::string path = ProcPath(pid, "mem");
  const UniqueFd mem(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!mem.valid()) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be opened"));
  // The vdso first: it is small and has one for the clocks that it does not know. The vsyscall
  // page, above all, cannot be run into its middle.
  for (const bool vdso : {true, false}) {
    for (const absl::string_view line : absl::StrSplit(*maps, '\n', absl::SkipEmpty())) {
      const std::vector<absl::string_view> words =
          absl::StrSplit(line, absl::MaxSplits(' ', 5), absl::SkipEmpty());
      if (words.size() < 5 || words[1].size() < 3 || words[1][2] != 'x') continue;
      if (absl::EndsWith(line, "[vsyscall]") || absl::EndsWith(line, "[vdso]") != vdso) continue;
      uint64_t start, end;
      if (!ParseRange(words[0], &start, &end)) continue;
      const size_t at = FindIn(mem.get(), start, end);
      if (at != std::string::npos) return start + at;
    }
  }
  return absl::FailedPreconditionError(
      absl::StrCat("task ", pid,
                   ": has no instruction for system calls in its memory: "
                   "use the kernel engine (--engine kernel)"));
}

RestartableSequence GetRestartableSequence(const TracedThread& thread) {
  RseqConfiguration rseq = {};
  const long got = thread.Ptrace(kGetRseqConfiguration, sizeof(rseq), &rseq);
  if (got < 0 || rseq.pointer == 0) return {};  // a kernel without it registers none (5.13)
  return {rseq.pointer, rseq.size, rseq.signature};
}

absl::Status ThreadCalls::Begin() {
  const absl::StatusOr<user_regs_struct> registers = thread_.Registers();
  if (!registers.ok()) return registers.status();
  registers_ = *registers;
  const long result = thread_.Ptrace(kGetSignalMask, sizeof(mask_), &mask_);
  if (result != 0) return thread_.Failed(result, "its blocked signals cannot be read");
  KeepRestartableSequence();
  blocked_.emplace();
  // Whatever waits for it waits on: at its way through the kernel it would take signals.
  if (absl::Status status = SetMask(~uint64_t{0}); !status.ok()) {
    blocked_.reset();
    return status;
  }
  const absl::StatusOr<long> page = Call(SYS_mmap, {0, kPageSize, PROT_READ | PROT_WRITE,
                                                    MAP_PRIVATE | MAP_ANONYMOUS, ~uint64_t{0}, 0});
  if (!page.ok()) return page.status();
  if (*page < 0 && *page >= -4095) {
    return thread_.Failed(*page, "has no room for a page of memory (ulimit -v, ulimit -l)");
  }
  page_ = static_cast<uint64_t>(*page);
  return absl::OkStatus();
}

user_regs_struct CallRegisters(const user_regs_struct& before, uint64_t instruction, long number,
                               std::initializer_list<uint64_t> arguments) {
  std::array<uint64_t, 6> values = {};
  std::copy(arguments.begin(), arguments.end(), values.begin());
  user_regs_struct registers = before;
  registers.rip = instruction;
  registers.rax = static_cast<uint64_t>(number);
  registers.orig_rax = ~uint64_t{0};  // in no call: nothing for the kernel to restart
  registers.rdi = values[0];
  registers.rsi = values[1];
  registers.rdx = values[2];
  registers.r10 = values[3];
  registers.r8 = values[4];
  registers.r9 = values[5];
  return registers;
}

absl::StatusOr<long> CallWith(TracedThread& thread, const user_regs_struct& registers) {
  if (absl::Status status = thread.SetRegisters(registers); !status.ok()) return status;
  for (int edge = 0; edge < 2; ++edge) {  // its entry, its exit
    if (absl::Status status = thread.RunToSystemCall(); !status.ok()) return status;
  }
  const absl::StatusOr<user_regs_struct> after = thread.Registers();
  if (!after.ok()) return after.status();
  return static_cast<long>(after->rax);
}

absl::StatusOr<long> ThreadCalls::CallAt(uint64_t instruction, long number,
                                         std::initializer_list<uint64_t> arguments) {
  ran_ = true;
  return CallWith(thread_, CallRegisters(registers_, instruction, number, arguments));
}

absl::Status ThreadCalls::PutSequenceBack(const TracedThread& copy) const {
  if (rseq_address_ == 0) return absl::OkStatus();
  return WriteRestartableSequence(copy)
             ? absl::OkStatus()
             : copy.Failed(-EIO, "its restartable sequence cannot be written");
}

absl::Status ThreadCalls::Read(uint64_t offset, std::span<char> buffer) const {
  const iovec local = {buffer.data(), buffer.size()};
  const iovec remote = {reinterpret_cast<void*>(page_ + offset), buffer.size()};
  const ssize_t got = ::process_vm_readv(thread_.tid(), &local, 1, &remote, 1, 0);
  if (got == static_cast<ssize_t>(buffer.size())) return absl::OkStatus();
  return thread_.Failed(got < 0 ? -errno : -EIO, "the result of a call cannot be read");
}

// When it runs, the kernel notes there on which cpu; and in a restartable sequence it would take
// the strange instruction pointer for its end, and forget to abort it.
void ThreadCalls::KeepRestartableSequence() {
  const RestartableSequence rseq = GetRestartableSequence(thread_);
  if (rseq.address == 0) return;
  std::string bytes(rseq.length, '\0');
  const iovec local = {bytes.data(), bytes.size()};
  const iovec remote = {reinterpret_cast<void*>(rseq.address), bytes.size()};
  const ssize_t got = ::process_vm_readv(thread_.tid(), &local, 1, &remote, 1, 0);
  if (got != static_cast<ssize_t>(bytes.size())) return;
  rseq_address_ = rseq.address;
  rseq_ = std::move(bytes);
}

bool ThreadCalls::WriteRestartableSequence(const TracedThread& thread) const {
  if (rseq_address_ == 0) return true;
  const iovec local = {const_cast<char*>(rseq_.data()), rseq_.size()};
  const iovec remote = {reinterpret_cast<void*>(rseq_address_), rseq_.size()};
  return ::process_vm_writev(thread.tid(), &local, 1, &remote, 1, 0) ==
         static_cast<ssize_t>(rseq_.size());
}

absl::Status ThreadCalls::SetMask(uint64_t mask) const {
  const long result = thread_.Ptrace(kSetSignalMask, sizeof(mask), &mask);
  if (result == 0) return absl::OkStatus();
  return thread_.Failed(result, "its blocked signals cannot be set");
}

// The registers of an interrupted call mean something to the kernel only on its way out of a stop
// of Interrupt; at the exit of a call the thread would see them as they are.
absl::Status ThreadCalls::Restore() {
  if (absl::Status status = thread_.SetRegisters(registers_); !status.ok()) return status;
  (void)WriteRestartableSequence(thread_);
  if (absl::Status status = SetMask(mask_); !status.ok()) return status;
  return ran_ ? thread_.ReturnToStop() : absl::OkStatus();
}

// At its entry into the call nothing is looked at but the call; there the thread has its own mask
// again.
absl::Status ThreadCalls::SleepAgain() {
  constexpr uint64_t kInstructionLength = 2;
  user_regs_struct registers = registers_;
  registers.rip -= kInstructionLength;
  registers.rax = registers_.orig_rax;
  registers.orig_rax = ~uint64_t{0};
  if (absl::Status status = thread_.SetRegisters(registers); !status.ok()) return status;
  if (absl::Status status = thread_.RunToSystemCall(); !status.ok()) return status;
  (void)WriteRestartableSequence(thread_);
  if (absl::Status status = SetMask(mask_); !status.ok()) return status;
  if (absl::Status status = thread_.ReturnToStop(); !status.ok()) return status;
  const absl::StatusOr<user_regs_struct> after = thread_.Registers();
  if (!after.ok()) return after.status();
  // Its interruption by this says the same as the first one; else it has not slept.
  const bool slept = static_cast<long>(after->rax) == -EINTR || after->rax == registers_.rax;
  return slept ? thread_.SetRegisters(registers_) : absl::OkStatus();
}

absl::Status ThreadCalls::End() {
  if (!blocked_.has_value()) return absl::OkStatus();
  absl::Status status;
  if (page_ != 0) status = Call(SYS_munmap, {page_, kPageSize}).status();
  page_ = 0;
  const bool sleeps = sleeps_with_other_mask_ && static_cast<long>(registers_.orig_rax) >= 0;
  status.Update(sleeps && ran_ ? SleepAgain() : Restore());
  blocked_.reset();
  return status;
}

}  // namespace crfs
