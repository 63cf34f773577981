// SPDX-License-Identifier: Apache-2.0

#include "engine/restart_task_state.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "crfs/words.h"
#include "engine/limits.h"

namespace crfs {
namespace {

constexpr uint64_t kNsecInSec = 1'000'000'000;

}  // namespace

void TaskState::FailIn(const char* field, const ObjectView& object, int error) const {
  making_.board.Fail(field, object.type().tag, object.id(), error);
  Exit(kFailedExit);
}

void TaskState::SetOomScore() const {
  const std::string score = absl::StrCat(static_cast<int64_t>(task_.Number("oom_score_adj")));
  const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  const bool written = fd >= 0 && ::write(fd, score.data(), score.size()) >= 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!written) Fail("oom_score_adj", error);
}

void TaskState::SetDirectories() const {
  const uint64_t id = task_.Number("fs");
  if (id == 0 || plan_.shares_fs) return;
  const ObjectView fs = making_.checkpoint.Get("fs", id);
  ::umask(static_cast<mode_t>(fs.Number("umask")));
  const uint64_t root = fs.Number("root");
  if (root != 0 && making_.checkpoint.Get("file", root).Bytes("path") != "/") {
    if (::fchdir(making_.files.FileOf(root)) != 0 || ::chroot(".") != 0) FailIn("root", fs, errno);
  }
  const uint64_t cwd = fs.Number("cwd");
  if (cwd != 0 && ::fchdir(making_.files.FileOf(cwd)) != 0) FailIn("cwd", fs, errno);
}

void TaskState::SetDescriptors() const {
  if (plan_.shares_files) return;
  const int floor = making_.files.floor();
  unsigned next = 0;  // the lowest that has not been looked at
  for (const uint64_t id : making_.checkpoint.Owned("fd", task_.Number("fd"))) {
    const ObjectView fd = making_.checkpoint.Get("fd", id);
    if (making_.files.IsClosed(fd)) continue;
    const unsigned number = static_cast<unsigned>(fd.Number("fd"));
    if (number > next) ::close_range(next, number - 1, 0);
    next = number + 1;
    const int from = making_.files.DescriptorOf(fd);
    if (::dup3(from, static_cast<int>(number), fd.Number("cloexec") != 0 ? O_CLOEXEC : 0) < 0) {
      FailIn("file", fd, errno);
    }
    SetOwner(fd);
  }
  if (next < static_cast<unsigned>(floor)) ::close_range(next, static_cast<unsigned>(floor) - 1, 0);
  const Joining& joining = making_.joining;
  if (joining.first_kept > floor) {
    ::close_range(static_cast<unsigned>(floor), static_cast<unsigned>(joining.first_kept) - 1, 0);
  }
  ::close_range(static_cast<unsigned>(joining.last_kept) + 1, ~0U, 0);
}

// Who gets the signals of a file, and which: set when all tasks are there.
void TaskState::SetOwner(const ObjectView& fd) const {
  const uint64_t id = fd.Number("file");
  if (id == 0 || fd.Number("excluded") != 0) return;
  const ObjectView file = making_.checkpoint.Get("file", id);
  const int number = static_cast<int>(fd.Number("fd"));
  const int pid = static_cast<int>(static_cast<int64_t>(file.Number("owner_pid")));
  const int signal = static_cast<int>(file.Number("owner_signal"));
  if (pid != 0 && ::fcntl(number, F_SETOWN, pid) != 0) FailIn("owner_pid", file, errno);
  if (signal != 0 && ::fcntl(number, F_SETSIG, signal) != 0) {
    FailIn("owner_signal", file, errno);
  }
  if ((file.Number("flags") & O_ASYNC) != 0 &&
      ::fcntl(number, F_SETFL, ::fcntl(number, F_GETFL) | O_ASYNC) != 0) {
    FailIn("flags", file, errno);
  }
}

void TaskState::MoveVdso() const {
  const auto found = making_.vdsos.find(task_.Number("mm"));
  if (plan_.zombie || plan_.shares_mm || found == making_.vdsos.end()) return;
  for (const KernelMapping& move : found->second.moves) {
    if (move.to == move.from.start) continue;
    const long result = RawCall(SYS_mremap, move.from.start, move.from.size(), move.from.size(),
                                MREMAP_MAYMOVE | MREMAP_FIXED, move.to);
    if (result < 0) {
      making_.board.Fail("vdso", CRFS_TAG_mm, found->first, static_cast<int>(-result));
      Exit(kFailedExit);
    }
  }
  for (const uint64_t id : making_.checkpoint.Owned("vma", found->first)) {
    const uint64_t flags = making_.checkpoint.Get("vma", id).Number("flags");
    if ((flags >> CRFS_vma_flags_mg & 1) == 0) continue;
    void* const page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED) ::madvise(page, 4096, MADV_MERGEABLE);
    break;
  }
}

void TaskState::SetTask() const {
  if (::prctl(PR_SET_CHILD_SUBREAPER, task_.Number("child_subreaper")) != 0) {
    Fail("child_subreaper", errno);
  }
  SetLimits();
  SetTimer(ITIMER_VIRTUAL, "itimer_virtual_value", "itimer_virtual_interval");
  SetTimer(ITIMER_PROF, "itimer_prof_value", "itimer_prof_interval");
}

void TaskState::SetLimits() const {
  for (const LimitRows& limit : kLimitRows) {
    const rlimit wanted = {.rlim_cur = task_.Number(limit.soft),
                           .rlim_max = task_.Number(limit.hard)};
    if (::setrlimit(limit.which, &wanted) != 0) Fail(limit.soft, errno);
  }
}

void TaskState::SetTimer(__itimer_which which, const char* value, const char* interval) const {
  const auto time_of = [&](const char* field) {
    const uint64_t ns = task_.Number(field);
    return timeval{.tv_sec = static_cast<time_t>(ns / kNsecInSec),
                   .tv_usec = static_cast<suseconds_t>(ns % kNsecInSec / 1000)};
  };
  const itimerval timer = {.it_interval = time_of(interval), .it_value = time_of(value)};
  if (timer.it_value.tv_sec == 0 && timer.it_value.tv_usec == 0) return;
  if (::setitimer(which, &timer, nullptr) != 0) Fail(value, errno);
}

}  // namespace crfs
