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

constexpr uint64_t kRseqCsOffset = 8;  // struct rseq: cpu_id_start, cpu_id, rseq_cs
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
  long result = thread_.Ptrace(kGetSignalMask, sizeof(mask_), &mask_);
  if (result != 0) return thread_.Failed(result, "its blocked signals cannot be read");
  // In a restartable sequence the kernel would take the strange instruction pointer for its end,
  // and forget to abort it.
  if (const RestartableSequence rseq = GetRestartableSequence(thread_); rseq.address != 0) {
    critical_section_at_ = rseq.address + kRseqCsOffset;
    result = thread_.Ptrace(PTRACE_PEEKDATA, critical_section_at_, &critical_section_);
    if (result != 0) critical_section_ = 0;
  }
  blocked_.emplace();
  // Whatever waits for it waits on: at its way through the kernel it would take signals.
  const uint64_t all = ~uint64_t{0};
  result = thread_.Ptrace(kSetSignalMask, sizeof(all), const_cast<uint64_t*>(&all));
  if (result != 0) {
    blocked_.reset();
    return thread_.Failed(result, "its signals cannot be blocked");
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
  if (critical_section_ == 0) return absl::OkStatus();
  const long result = copy.Ptrace(PTRACE_POKEDATA, critical_section_at_,
                                  reinterpret_cast<void*>(critical_section_));
  return result == 0 ? absl::OkStatus() : copy.Failed(result, "its memory cannot be written");
}

absl::Status ThreadCalls::Read(uint64_t offset, std::span<char> buffer) const {
  const iovec local = {buffer.data(), buffer.size()};
  const iovec remote = {reinterpret_cast<void*>(page_ + offset), buffer.size()};
  const ssize_t got = ::process_vm_readv(thread_.tid(), &local, 1, &remote, 1, 0);
  if (got == static_cast<ssize_t>(buffer.size())) return absl::OkStatus();
  return thread_.Failed(got < 0 ? -errno : -EIO, "the result of a call cannot be read");
}

absl::Status ThreadCalls::Restore() {
  if (absl::Status status = thread_.SetRegisters(registers_); !status.ok()) return status;
  if (critical_section_ != 0) {
    thread_.Ptrace(PTRACE_POKEDATA, critical_section_at_,
                   reinterpret_cast<void*>(critical_section_));
  }
  const long result = thread_.Ptrace(kSetSignalMask, sizeof(mask_), &mask_);
  return result == 0 ? absl::OkStatus() : thread_.Failed(result, "its signals stay blocked");
}

absl::Status ThreadCalls::End() {
  if (!blocked_.has_value()) return absl::OkStatus();
  absl::Status status;
  if (page_ != 0) status = Call(SYS_munmap, {page_, kPageSize}).status();
  page_ = 0;
  status.Update(Restore());
  // The registers of an interrupted call mean something to the kernel only on its way out of
  // such a stop; at the exit of a call the thread would see them as they are.
  if (ran_) status.Update(thread_.ReturnToStop());
  blocked_.reset();
  return status;
}

}  // namespace crfs
