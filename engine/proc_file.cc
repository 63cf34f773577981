// SPDX-License-Identifier: Apache-2.0

#include "engine/proc_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "index/unique_fd.h"

namespace crfs {

absl::StatusOr<std::string> ReadProcFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return absl::ErrnoToStatus(errno == ESRCH ? ENOENT : errno,
                               absl::StrCat(path, ": cannot be opened"));
  }
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return absl::ErrnoToStatus(errno == ESRCH ? ENOENT : errno,
                                 absl::StrCat(path, ": cannot be read"));
    }
    if (got == 0) return text;
    text.append(buffer, static_cast<size_t>(got));
  }
}

std::string ProcPath(pid_t pid, absl::string_view name) {
  return absl::StrCat("/proc/", pid, "/", name);
}

std::string LinesToStrings(absl::string_view lines) {
  std::string strings(lines);
  std::replace(strings.begin(), strings.end(), '\n', '\0');
  return strings;
}

absl::StatusOr<std::vector<pid_t>> ListThreads(pid_t pid) {
  const std::string path = ProcPath(pid, "task");
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  if (folder == nullptr) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be read"));
  std::vector<pid_t> tids;
  while (const dirent* entry = ::readdir(folder.get())) {
    pid_t tid;
    if (absl::SimpleAtoi(entry->d_name, &tid)) tids.push_back(tid);
  }
  std::sort(tids.begin(), tids.end());
  return tids;
}

absl::StatusOr<std::vector<pid_t>> ListChildren(pid_t pid) {
  const absl::StatusOr<std::vector<pid_t>> tids = ListThreads(pid);
  if (!tids.ok()) return tids.status();
  std::vector<pid_t> children;
  for (const pid_t tid : *tids) {
    const absl::StatusOr<std::string> text =
        ReadProcFile(ProcPath(pid, absl::StrCat("task/", tid, "/children")));
    if (!text.ok()) return text.status();
    for (const absl::string_view word : absl::StrSplit(*text, ' ', absl::SkipWhitespace())) {
      pid_t child;
      if (absl::SimpleAtoi(word, &child)) children.push_back(child);
    }
  }
  std::sort(children.begin(), children.end());
  return children;
}

namespace {

// The fields of /proc/PID/task/TID/stat from the third, the state, on (proc(5)). The name
// before them, in parentheses, may hold anything.
absl::StatusOr<std::vector<std::string>> StatFields(pid_t pid, pid_t tid) {
  const std::string path = ProcPath(pid, absl::StrCat("task/", tid, "/stat"));
  const absl::StatusOr<std::string> text = ReadProcFile(path);
  if (!text.ok()) return text.status();
  const size_t end = text->rfind(')');
  std::vector<std::string> fields;
  if (end != std::string::npos) {
    fields = absl::StrSplit(text->substr(end + 1), ' ', absl::SkipWhitespace());
  }
  if (fields.size() < 7) return absl::InternalError(absl::StrCat(path, ": lacks fields"));
  return fields;
}

}  // namespace

absl::StatusOr<char> ThreadState(pid_t pid, pid_t tid) {
  const absl::StatusOr<std::vector<std::string>> fields = StatFields(pid, tid);
  if (!fields.ok()) return fields.status();
  return fields->front()[0];
}

absl::StatusOr<bool> IsKernelThread(pid_t pid) {
  constexpr uint64_t kKernelThread = 0x00200000;  // PF_KTHREAD of linux/sched.h
  const absl::StatusOr<std::vector<std::string>> fields = StatFields(pid, pid);
  if (!fields.ok()) return fields.status();
  uint64_t flags;
  return absl::SimpleAtoi((*fields)[6], &flags) && (flags & kKernelThread) != 0;
}

}  // namespace crfs
