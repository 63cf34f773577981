// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_signals.h"

#include <signal.h>

#include <array>
#include <cstring>

namespace crfs {
namespace {

constexpr int kPeekSiginfo = 0x4209;  // PTRACE_PEEKSIGINFO
constexpr uint32_t kShared = 1;       // PTRACE_PEEKSIGINFO_SHARED
constexpr size_t kFields = 16;
constexpr size_t kKernelSize = 48;  // what the kernel keeps of a siginfo_t

struct PeekArguments {
  uint64_t offset;
  uint32_t flags;
  int32_t count;
};

PendingSignal FromSiginfo(const siginfo_t& info) {
  PendingSignal signal;
  signal.signo = info.si_signo;
  signal.code = info.si_code;
  signal.error = info.si_errno;
  signal.queued = true;
  size_t length = kKernelSize;
  const char* bytes = reinterpret_cast<const char*>(&info);
  while (length > kFields && bytes[length - 1] == '\0') --length;
  signal.fields.assign(bytes + kFields, length - kFields);
  return signal;
}

}  // namespace

absl::StatusOr<std::vector<PendingSignal>> ReadPending(const TracedThread& thread, bool of_task,
                                                       uint64_t pending) {
  std::vector<PendingSignal> signals;
  std::array<siginfo_t, 16> infos;
  for (;;) {
    PeekArguments arguments = {signals.size(), of_task ? kShared : 0,
                               static_cast<int32_t>(infos.size())};
    std::memset(infos.data(), 0, sizeof(infos));
    const long count =
        thread.Ptrace(kPeekSiginfo, reinterpret_cast<unsigned long>(&arguments), infos.data());
    if (count < 0) return thread.Failed(count, "its pending signals cannot be read");
    if (count == 0) break;
    for (long i = 0; i < count; ++i) {
      signals.push_back(FromSiginfo(infos[static_cast<size_t>(i)]));
    }
  }
  for (const PendingSignal& signal : signals) pending &= ~(uint64_t{1} << (signal.signo - 1));
  for (int number = 1; number <= kSignalMax; ++number) {
    if ((pending >> (number - 1) & 1) == 0) continue;
    PendingSignal signal;
    signal.signo = number;
    signals.push_back(std::move(signal));
  }
  return signals;
}

absl::Status AddPending(Snapshot& snapshot, absl::string_view type, uint64_t owner,
                        const std::vector<PendingSignal>& signals) {
  for (size_t i = 0; i < signals.size(); ++i) {
    const PendingSignal& signal = signals[i];
    ObjectBuilder object(*FindType(type));
    object.SetNumber(type == "signal" ? "task" : "thread", owner)
        .SetNumber("index", i)
        .SetNumber("signo", static_cast<uint64_t>(signal.signo))
        .SetNumber("code", static_cast<uint64_t>(static_cast<int64_t>(signal.code)))
        .SetNumber("errno_", static_cast<uint64_t>(static_cast<int64_t>(signal.error)))
        .SetNumber("queued", signal.queued ? 1 : 0)
        .SetBytes("fields", signal.fields);
    if (absl::Status status = snapshot.Add(object).status(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> AddSighand(Snapshot& snapshot, const SignalActions& actions) {
  const absl::StatusOr<uint64_t> id = snapshot.Add(ObjectBuilder(*FindType("sighand")));
  if (!id.ok()) return id;
  for (size_t i = 0; i < actions.size(); ++i) {
    const SignalAction& action = actions[i];
    if (action.handler == 0 && action.flags == 0 && action.mask == 0) continue;
    ObjectBuilder object(*FindType("sigaction"));
    object.SetNumber("sighand", *id)
        .SetNumber("signal", i + 1)
        .SetNumber("handler", action.handler)
        .SetNumber("flags", action.flags)
        .SetNumber("restorer", action.restorer)
        .SetNumber("mask", action.mask);
    if (absl::Status status = snapshot.Add(object).status(); !status.ok()) return status;
  }
  return id;
}

}  // namespace crfs
