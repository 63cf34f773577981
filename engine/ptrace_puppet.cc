// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_puppet.h"

#include <elf.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

namespace crfs {
namespace {

constexpr int kSetSignalMask = 0x420b;  // PTRACE_SETSIGMASK

}  // namespace

absl::StatusOr<Puppet> Puppet::Take(pid_t pid, pid_t tid, uint64_t instruction) {
  absl::StatusOr<TracedThread> trace = TracedThread::Seize(pid, tid, PTRACE_O_EXITKILL);
  if (!trace.ok()) return trace.status();
  if (absl::Status status = trace->Interrupt(); !status.ok()) return status;
  if (absl::Status status = trace->WaitUntilStopped(); !status.ok()) return status;
  const absl::StatusOr<user_regs_struct> registers = trace->Registers();
  if (!registers.ok()) return registers.status();
  return Puppet(*std::move(trace), *registers, instruction);
}

Puppet::~Puppet() {
  if (trace_.tid() != 0) ::kill(trace_.pid(), SIGKILL);
}

absl::StatusOr<long> Puppet::Call(long number, std::initializer_list<uint64_t> arguments) {
  return CallWith(trace_, CallRegisters(registers_, instruction_, number, arguments));
}

absl::Status Puppet::Do(absl::string_view what, long number,
                        std::initializer_list<uint64_t> arguments) {
  const absl::StatusOr<long> result = Call(number, arguments);
  if (!result.ok()) return result.status();
  if (*result >= 0 || *result < -4095) return absl::OkStatus();
  return absl::ErrnoToStatus(static_cast<int>(-*result), what);
}

absl::StatusOr<long> Puppet::CallInterrupted(long number,
                                             std::initializer_list<uint64_t> arguments) {
  absl::Status status =
      trace_.SetRegisters(CallRegisters(registers_, instruction_, number, arguments));
  status.Update(status.ok() ? trace_.RunToSystemCall() : absl::OkStatus());
  status.Update(status.ok() ? trace_.ReturnToStop() : absl::OkStatus());
  if (!status.ok()) return status;
  const absl::StatusOr<user_regs_struct> after = trace_.Registers();
  if (!after.ok()) return after.status();
  return static_cast<long>(after->rax);
}

absl::Status Puppet::EnterGroupStop(bool takes_signal) {
  // In no call any more, which the kernel would begin again.
  user_regs_struct idle = registers_;
  idle.orig_rax = ~uint64_t{0};
  if (absl::Status status = trace_.SetRegisters(idle); !status.ok()) return status;
  if (!takes_signal) return trace_.ReturnToStop();
  if (absl::Status status = trace_.Continue(); !status.ok()) return status;
  return trace_.WaitUntilStopped();
}

absl::Status Puppet::SetExtendedState(absl::string_view state) {
  absl::StatusOr<std::string> own = trace_.ExtendedState();
  if (!own.ok()) return own.status();
  // That of a machine with fewer features is shorter. That of one with more is longer, and its
  // header tells the kernel if it uses what this one has not.
  std::string area(own->size(), '\0');
  state.copy(area.data(), area.size());
  iovec place = {area.data(), area.size()};
  const long result = trace_.Ptrace(PTRACE_SETREGSET, NT_X86_XSTATE, &place);
  return result == 0 ? absl::OkStatus() : trace_.Failed(result, "its extended state cannot be set");
}

absl::Status Puppet::SetSignalMask(uint64_t mask) {
  const long result = trace_.Ptrace(kSetSignalMask, sizeof(mask), &mask);
  return result == 0 ? absl::OkStatus() : trace_.Failed(result, "its signals cannot be blocked");
}

absl::Status Puppet::Settle() { return trace_.ReturnToStop(); }

absl::Status Puppet::Keep() {
  const long result =
      trace_.Ptrace(PTRACE_SETOPTIONS, 0, reinterpret_cast<void*>(PTRACE_O_TRACESYSGOOD));
  return result == 0 ? absl::OkStatus() : trace_.Failed(result, "cannot be let go");
}

void Puppet::Release() { trace_.Detach(); }

}  // namespace crfs
