// SPDX-License-Identifier: Apache-2.0
//
// Signals by name, with the numbers of x86-64 (signal(7)). Real-time signals count from
// 34 as they do for programs and for kill(1): 32 and 33 belong to the C library.

#include <bit>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "index/codec.h"
#include "index/codec_families.h"

namespace crfs {
namespace {

constexpr absl::string_view kNames[] = {
    "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",  "SIGTRAP",   "SIGABRT", "SIGBUS",
    "SIGFPE",  "SIGKILL",   "SIGUSR1", "SIGSEGV", "SIGUSR2",   "SIGPIPE", "SIGALRM",
    "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP",   "SIGTSTP", "SIGTTIN",
    "SIGTTOU", "SIGURG",    "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH",
    "SIGIO",   "SIGPWR",    "SIGSYS",  "SIG32",   "SIG33"};
constexpr uint64_t kFirstRealTime = 34;
static_assert(std::size(kNames) == kFirstRealTime - 1);

}  // namespace

std::string FormatSignal(uint64_t signal) {
  if (signal == 0 || signal > codec::kMaxSignal) {
    return absl::StrCat(static_cast<int64_t>(signal));
  }
  if (signal < kFirstRealTime) return std::string(kNames[signal - 1]);
  if (signal == kFirstRealTime) return "SIGRTMIN";
  return absl::StrCat("SIGRTMIN+", signal - kFirstRealTime);
}

absl::StatusOr<uint64_t> ParseSignal(absl::string_view text) {
  if (text == "0") return 0;
  for (uint64_t signal = 1; signal <= codec::kMaxSignal; ++signal) {
    if (FormatSignal(signal) == text) return signal;
  }
  return codec::Unexpected("a signal by name (SIGTERM, SIGRTMIN+3), or 0", text);
}

namespace codec {

std::string FormatSigset(uint64_t set) {
  std::string text;
  while (set != 0) {
    const int bit = std::countr_zero(set);
    set &= set - 1;
    absl::StrAppend(&text, text.empty() ? "" : " ", FormatSignal(static_cast<uint64_t>(bit) + 1));
  }
  return text;
}

absl::StatusOr<uint64_t> ParseSigset(absl::string_view text) {
  uint64_t set = 0;
  if (text.empty()) return set;
  for (const absl::string_view name : absl::StrSplit(text, ' ')) {
    const auto signal = ParseSignal(name);
    if (!signal.ok() || *signal == 0) {
      return Unexpected("signals by name (SIGTERM SIGRTMIN+3), with one blank between", text);
    }
    const uint64_t bit = uint64_t{1} << (*signal - 1);
    if ((set & bit) != 0) return Unexpected("each signal once", name);
    set |= bit;
  }
  return set;
}

}  // namespace codec
}  // namespace crfs
