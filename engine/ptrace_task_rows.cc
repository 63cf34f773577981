// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_task_rows.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "crfs/words.h"
#include "engine/proc_file.h"

namespace crfs {
namespace {

// Fields of /proc/PID/stat (proc(5)).
constexpr int kGroup = 5, kSession = 6, kExitSignal = 38, kExitCode = 52;
constexpr int kArgStart = 48, kArgEnd = 49, kEnvStart = 50, kEnvEnd = 51;
// As the module: ARG_MAX for the two together is less; prctl(2) may claim more.
constexpr uint64_t kStringsMax = 6 << 20;

// In the order of the kernel's numbers.
constexpr absl::string_view kLimits[] = {
    "cpu",     "fsize", "data",  "stack",      "core",     "rss",  "nproc",  "nofile",
    "memlock", "as",    "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"};

absl::Status FillLimits(pid_t pid, ObjectBuilder& task) {
  for (size_t i = 0; i < std::size(kLimits); ++i) {
    rlimit limit;
    if (::prlimit(pid, static_cast<__rlimit_resource>(i), nullptr, &limit) != 0) {
      return absl::ErrnoToStatus(
          errno, absl::StrCat("task ", pid, ": its limits cannot be read (prlimit(2))"));
    }
    task.SetNumber(absl::StrCat("rlimit_", kLimits[i], "_soft"), limit.rlim_cur)
        .SetNumber(absl::StrCat("rlimit_", kLimits[i], "_hard"), limit.rlim_max);
  }
  return absl::OkStatus();
}

// As far as it can be read: a task may have unmapped its own arguments.
std::string ReadStrings(int mem, uint64_t start, uint64_t end) {
  if (mem < 0 || end <= start) return "";
  std::string strings(std::min(end - start, kStringsMax), '\0');
  size_t done = 0;
  while (done < strings.size()) {
    const ssize_t got = ::pread(mem, strings.data() + done, strings.size() - done,
                                static_cast<off_t>(start + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  strings.resize(done);
  return strings;
}

crfs_state StateOf(const StoppedTask& task) {
  if (task.zombie) return CRFS_state_zombie;
  return task.in_group_stop() ? CRFS_state_stopped : CRFS_state_running;
}

}  // namespace

uint32_t ExitCode(pid_t pid) {
  const absl::StatusOr<ProcStat> stat = ProcStat::Read(pid, pid);
  return stat.ok() ? static_cast<uint32_t>(stat->Number(kExitCode)) : 0;
}

absl::StatusOr<bool> HasPosixTimers(pid_t pid) {
  const absl::StatusOr<std::string> timers = ReadProcFile(ProcPath(pid, "timers"));
  if (!timers.ok()) {
    return absl::UnimplementedError(
        absl::StrCat("/proc/", pid,
                     "/timers: this kernel does not tell of timers: "
                     "use one with CONFIG_CHECKPOINT_RESTORE, or the kernel engine"));
  }
  return !timers->empty();
}

absl::Status FillTask(const StoppedTask& stopped, const TaskAnswers& answers, int mem,
                      ObjectBuilder& task) {
  const pid_t pid = stopped.pid;
  const absl::StatusOr<ProcStat> stat = ProcStat::ReadTask(pid);
  if (!stat.ok()) return stat.status();
  const absl::StatusOr<ProcStatus> status = ReadThreadStatus(pid, pid);
  if (!status.ok()) return status.status();
  // Of a thread that has ended there is no memory to be seen.
  const pid_t tid = stopped.zombie ? pid : stopped.threads[stopped.representative()].trace.tid();
  const absl::StatusOr<ProcStat> places = ProcStat::Read(pid, tid);
  if (!places.ok()) return places.status();
  const crfs_state state = StateOf(stopped);
  // Of a stopped one the signal, until its parent has asked.
  const bool has_code = state != CRFS_state_running;
  const uint32_t exit_code = has_code ? static_cast<uint32_t>(stat->Number(kExitCode)) : 0;
  uint32_t blockers = 0;
  if (!stopped.zombie) {
    const absl::StatusOr<bool> timers = HasPosixTimers(pid);
    if (!timers.ok()) return timers.status();
    if (*timers) blockers |= uint32_t{1} << CRFS_blockers_posix_timers;
    if (status->Number("CoreDumping") != 0) blockers |= uint32_t{1} << CRFS_blockers_coredumping;
  }
  int oom_score_adj = 0;
  (void)absl::SimpleAtoi(
      absl::StripAsciiWhitespace(ReadProcFile(ProcPath(pid, "oom_score_adj")).value_or("0")),
      &oom_score_adj);
  const auto exit_signal = static_cast<int64_t>(stat->Number(kExitSignal));
  task.SetNumber("pid", static_cast<uint64_t>(pid))
      .SetNumber("ppid", status->Number("PPid"))
      .SetNumber("pgid", stat->Number(kGroup))
      .SetNumber("sid", stat->Number(kSession))
      .SetBytes("nspid", PackNumbers(status->Numbers("NSpid")))
      .SetNumber("state", state)
      .SetNumber("exit_code", exit_code)
      .SetNumber("exit_signal", static_cast<uint64_t>(std::max<int64_t>(exit_signal, 0)))
      .SetNumber("oom_score_adj", static_cast<uint64_t>(static_cast<int64_t>(oom_score_adj)))
      .SetNumber("child_subreaper", answers.child_subreaper)
      .SetNumber("blockers", blockers)
      .SetBytes("argv", ReadStrings(mem, places->Number(kArgStart), places->Number(kArgEnd)))
      .SetBytes("environ", ReadStrings(mem, places->Number(kEnvStart), places->Number(kEnvEnd)));
  constexpr absl::string_view kTimers[] = {"itimer_real", "itimer_virtual", "itimer_prof"};
  for (size_t i = 0; i < std::size(kTimers); ++i) {
    task.SetNumber(absl::StrCat(kTimers[i], "_value"), answers.timers[i].value)
        .SetNumber(absl::StrCat(kTimers[i], "_interval"), answers.timers[i].interval);
  }
  return FillLimits(pid, task);
}

}  // namespace crfs
