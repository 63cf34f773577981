// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_copy.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/proc_file.h"
#include "engine/proc_status.h"
#include "engine/ptrace_call.h"
#include "engine/ptrace_thread_rows.h"
#include "index/edit_error.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

// The exit signal, the lowest byte, is none.
constexpr uint64_t kCloneFlags = CLONE_PTRACE | CLONE_FILES;
// Of a child that only makes the copy: page tables are copied once.
constexpr uint64_t kMakerFlags = kCloneFlags | CLONE_VM;
constexpr uint64_t kPage = ThreadCalls::kPageSize;

// syscall; mov $exit_group, %eax; xor %edi, %edi; syscall; ud2
constexpr std::array<unsigned char, 16> kCode = {0x0f, 0x05, 0xb8, 0xe7, 0,    0,    0,    0x31,
                                                 0xff, 0x0f, 5,    0x0f, 0x0b, 0x0f, 0x0b, 0x0f};

// The page of that code in a stopped task. What is forked of the task has it, too.
class CodePage {
 public:
  explicit CodePage(ThreadCalls& calls) : calls_(calls) {}
  CodePage(const CodePage&) = delete;
  CodePage& operator=(const CodePage&) = delete;
  ~CodePage() {
    if (address_ != 0) (void)calls_.Call(SYS_munmap, {address_, kPage});
  }

  absl::Status Map(const TracedThread& thread) {
    const absl::StatusOr<long> page = calls_.Call(
        SYS_mmap, {0, kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~uint64_t{0}, 0});
    if (!page.ok()) return page.status();
    if (*page < 0 && *page >= -4095) return thread.Failed(*page, "has no room for a page of code");
    address_ = static_cast<uint64_t>(*page);
    for (size_t i = 0; i < kCode.size(); i += sizeof(long)) {
      unsigned long word;
      std::memcpy(&word, kCode.data() + i, sizeof(word));
      const long result =
          thread.Ptrace(PTRACE_POKEDATA, address_ + i, reinterpret_cast<void*>(word));
      if (result != 0) return thread.Failed(result, "its page of code cannot be written");
    }
    return absl::OkStatus();
  }
  // Of its first `syscall`.
  uint64_t address() const { return address_; }

 private:
  ThreadCalls& calls_;
  uint64_t address_ = 0;
};

bool IsRestarted(long result) { return result == -kRestartSys || result == -kRestartNoIntr; }

// A call that the kernel would begin again, as if nobody had noticed.
template <typename Call>
absl::StatusOr<long> Insist(const Call& call) {
  constexpr int kTries = 100;
  absl::StatusOr<long> result = call();
  for (int i = 0; i < kTries && result.ok() && IsRestarted(*result); ++i) result = call();
  return result;
}

absl::Status NoFork(const TracedThread& thread, long error) {
  const int number = static_cast<int>(-error);
  const char* what =
      number == EAGAIN ? "no more processes: raise ulimit -u or pids.max" : "see fork(2)";
  return EditError(number, absl::StrCat("task ", thread.pid(),
                                        ": cannot be copied by fork: ", std::strerror(number), ": ",
                                        what, ", or checkpoint it without a copy"));
}

// Ends a traced process; its parent may wait for it then.
void Kill(TracedThread& process) {
  const pid_t pid = process.tid();
  if (pid == 0) return;
  ::kill(pid, SIGKILL);
  int status;
  for (;;) {
    const pid_t waited = ::waitpid(pid, &status, __WALL);
    if (waited < 0 && errno == EINTR) continue;
    if (waited < 0 || WIFEXITED(status) || WIFSIGNALED(status)) break;
  }
  process.Forget();
}

struct Child {
  TracedThread process;
  long number;  // as its parent knows it
};

// Makes a child by `clone`, which is made to call clone(2) in `parent`.
template <typename Clone>
absl::StatusOr<Child> Fork(const TracedThread& parent, const Clone& clone) {
  const absl::StatusOr<long> number = Insist(clone);
  if (!number.ok()) return number.status();
  if (*number < 0) return NoFork(parent, *number);
  const absl::StatusOr<std::optional<pid_t>> pid =
      FindChild(parent.pid(), static_cast<uint64_t>(*number));
  if (!pid.ok()) return pid.status();
  if (!pid->has_value()) {
    return absl::NotFoundError(absl::StrCat("task ", parent.pid(), ": its copy died"));
  }
  Child child = {TracedThread::Attached(parent, **pid), *number};
  if (absl::Status status = child.process.WaitUntilStopped(); !status.ok()) {
    Kill(child.process);
    return status;
  }
  return child;
}

absl::Status WaitFor(ThreadCalls& calls, long number, uint64_t flags) {
  return Insist([&] {
           return calls.Call(SYS_wait4, {static_cast<uint64_t>(number), 0, __WALL | flags, 0});
         })
      .status();
}

// Has the copy leave the table of descriptors; `calls` are those of the task, which stands in the
// middle of them. From the entry of the call on, the copy does not go back to where the kernel
// would forget its restartable sequence, so that it can be put back.
absl::Status LeaveDescriptors(TracedThread& copy, uint64_t instruction, const ThreadCalls& calls) {
  const absl::StatusOr<user_regs_struct> registers = copy.Registers();
  if (!registers.ok()) return registers.status();
  absl::Status status = copy.SetRegisters(
      CallRegisters(*registers, instruction, SYS_close_range, {0, ~0U, CLOSE_RANGE_UNSHARE}));
  if (status.ok()) status = copy.RunToSystemCall();
  if (status.ok()) status = calls.PutSequenceBack(copy);
  if (!status.ok()) return status;
  // Nobody waits for the end of it: to close a file may take its server.
  const long result = copy.Ptrace(PTRACE_SYSCALL, 0, nullptr);
  return result == 0 ? absl::OkStatus() : copy.Failed(result, "cannot leave its descriptors");
}

// Whether it sleeps in a call with other blocked signals (ThreadCalls).
absl::StatusOr<bool> HasOtherMask(const StoppedThread& thread) {
  const std::string path = ProcPath(thread.trace.tid(), "mem");
  const UniqueFd mem(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!mem.valid()) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be opened"));
  const absl::StatusOr<ThreadReading> reading = ReadStoppedThread(thread, mem.get());
  if (!reading.ok()) return reading.status();
  return reading->restore_sigmask;
}

// `parent` waits for its child of this number, which has ended.
absl::Status Reap(pid_t parent, long number) {
  absl::StatusOr<StoppedTask> task = StopTask(parent);
  if (!task.ok()) return task.status();
  StoppedThread& thread = task->threads[task->representative()];
  if (absl::Status status = thread.trace.SuspendSeccomp(); !status.ok()) return status;
  const absl::StatusOr<bool> other_mask = HasOtherMask(thread);
  if (!other_mask.ok()) return other_mask.status();
  const absl::StatusOr<uint64_t> instruction = FindSyscallInstruction(parent);
  if (!instruction.ok()) return instruction.status();
  ThreadCalls calls(thread.trace, *instruction, *other_mask);
  absl::Status status = calls.Begin();
  if (status.ok()) status = WaitFor(calls, number, WNOHANG);
  status.Update(calls.End());
  return status;
}

// Ends a child of the task whose calls these are.
void Discard(Child& child, ThreadCalls& calls) {
  Kill(child.process);
  (void)WaitFor(calls, child.number, 0);
}

// The child of a child, which is an orphan then.
absl::StatusOr<Child> ForkOnce(Child& first, uint64_t instruction) {
  const absl::StatusOr<user_regs_struct> registers = first.process.Registers();
  if (!registers.ok()) return registers.status();
  return Fork(first.process, [&] {
    return CallWith(first.process,
                    CallRegisters(*registers, instruction, SYS_clone, {kCloneFlags, 0, 0, 0, 0}));
  });
}

absl::StatusOr<Child> ForkTask(const TracedThread& thread, ThreadCalls& calls,
                               MemoryCopy::Reaper reaper) {
  CodePage page(calls);
  if (absl::Status status = page.Map(thread); !status.ok()) return status;
  const uint64_t flags = reaper == MemoryCopy::Reaper::kInTree ? kCloneFlags : kMakerFlags;
  absl::StatusOr<Child> child = Fork(thread, [&] {
    return calls.CallAt(page.address(), SYS_clone, {flags, 0, 0, 0, 0});
  });
  if (!child.ok()) return child;
  if (reaper == MemoryCopy::Reaper::kOutside) {
    absl::StatusOr<Child> orphan = ForkOnce(*child, page.address());
    Discard(*child, calls);
    if (!orphan.ok()) return orphan;
    orphan->number = 0;
    child = std::move(orphan);
  }
  absl::Status status = child->process.DieWithTracer();
  if (status.ok()) status = LeaveDescriptors(child->process, page.address(), calls);
  if (status.ok()) return child;
  if (child->number != 0) {
    Discard(*child, calls);
  } else {
    Kill(child->process);
  }
  return status;
}

}  // namespace

absl::StatusOr<MemoryCopy> MemoryCopy::Make(StoppedTask& task, Reaper reaper) {
  StoppedThread& thread = task.threads[task.representative()];
  const absl::StatusOr<bool> other_mask = HasOtherMask(thread);
  if (!other_mask.ok()) return other_mask.status();
  const absl::StatusOr<uint64_t> instruction = FindSyscallInstruction(task.pid);
  if (!instruction.ok()) return instruction.status();
  ThreadCalls calls(thread.trace, *instruction, *other_mask);
  if (absl::Status status = calls.Begin(); !status.ok()) return status;
  absl::StatusOr<Child> child = ForkTask(thread.trace, calls, reaper);
  const absl::Status status = calls.End();
  if (!child.ok()) return child.status();
  MemoryCopy copy(std::move(child->process), task.pid, child->number);
  if (!status.ok()) return status;
  return copy;
}

MemoryCopy::MemoryCopy(MemoryCopy&& other) noexcept
    : copy_(std::move(other.copy_)), task_(other.task_), number_(std::exchange(other.number_, 0)) {}

MemoryCopy::~MemoryCopy() {
  Kill(copy_);
  // The task may be gone, and its children with it to somebody else.
  if (number_ != 0) (void)Reap(task_, number_);
}

}  // namespace crfs
