// SPDX-License-Identifier: Apache-2.0
//
// The ids of tasks and threads: are they free, and do those that refer to each other fit?

#include <signal.h>

#include <cerrno>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "engine/proc_file.h"
#include "engine/restart_check.h"
#include "engine/restart_plan.h"

namespace crfs {
namespace {

// Also of a thread that leads no task, and of a process group whose leader has gone: its
// number is not free either.
bool IsTaken(pid_t pid) {
  if (::kill(pid, 0) == 0 || errno == EPERM) return true;
  return pid > 1 && (::kill(-pid, 0) == 0 || errno == EPERM);
}

std::string Taker(pid_t pid) {
  const absl::StatusOr<std::string> comm = ReadProcFile(ProcPath(pid, "comm"));
  if (!comm.ok()) return "another process";
  return absl::StrCat("another process (", absl::StripAsciiWhitespace(*comm), ")");
}

class PidChecker {
 public:
  explicit PidChecker(const RestartCheck& check)
      : check_(check),
        root_(check.checkpoint.Get("task", check.checkpoint.Get("checkpoint", 1).Number("root"))) {}

  void Check() {
    for (const uint64_t id : check_.checkpoint.Ids("task")) {
      tasks_.emplace(check_.checkpoint.Get("task", id).KeyNumber(), id);
    }
    const size_t before = check_.problems.size();
    for (const uint64_t id : check_.checkpoint.Ids("task")) CheckTask(id);
    // What only shows when all fit together.
    if (check_.problems.size() == before) PlanRestart(check_.checkpoint, check_.problems);
    if (check_.options.pid_namespace && check_.machine.pid_namespaces == 0) {
      check_.Add("--pidns", "this machine allows no pid namespaces",
                 "raise user.max_pid_namespaces (sysctl)");
    }
  }

 private:
  void CheckTask(uint64_t id) {
    const ObjectView task = check_.checkpoint.Get("task", id);
    CheckId(task);
    for (const uint64_t thread_id : check_.checkpoint.Owned("thread", id)) {
      const ObjectView thread = check_.checkpoint.Get("thread", thread_id);
      if (thread.KeyNumber() != task.KeyNumber()) CheckId(thread);
    }
    CheckParent(task);
    CheckGroup(task, "sid", "session");
    CheckGroup(task, "pgid", "process group");
  }

  // A task or a thread.
  void CheckId(const ObjectView& object) {
    CheckFree(check_.checkpoint.Where(object), object.KeyNumber());
  }

  void CheckFree(const std::string& path, uint64_t number) {
    if (number >= check_.machine.pid_max) {
      check_.Add(path, absl::StrCat("its id is not below kernel.pid_max, ", check_.machine.pid_max),
                 "raise that (sysctl)");
    } else if (!check_.options.pid_namespace) {
      const auto pid = static_cast<pid_t>(number);
      if (IsTaken(pid)) {
        check_.Add(path, absl::StrCat("its id, ", pid, ", is taken by ", Taker(pid)),
                   "end that one, or restart with --pidns");
      }
    } else if (number == 1 && root_.KeyNumber() != 1) {
      check_.Add(path, "its id, 1, is that of the first task of the new pid namespace",
                 "restart without --pidns in a namespace whose 1 is free");
    }
  }

  void CheckParent(const ObjectView& task) {
    if (task.id() == root_.id()) return;
    const std::string path = check_.checkpoint.Where(task);
    uint64_t pid = task.Number("ppid");
    if (!tasks_.contains(pid)) {
      return check_.Add(task, "ppid", absl::StrCat("is ", pid, ", which is no task of the tree"),
                        absl::StrCat("delete ", path, ", too"));
    }
    // All come from the root.
    for (size_t steps = 0; steps <= tasks_.size(); ++steps) {
      if (pid == root_.KeyNumber()) return;
      const auto parent = tasks_.find(pid);
      if (parent == tasks_.end()) return;  // told of that one
      pid = check_.checkpoint.Get("task", parent->second).Number("ppid");
    }
    check_.Add(task, "ppid", "leads back to the task itself, not to the root",
               "write the one that was saved");
  }

  // A session or group whose leader is gone can be made if its number is free. But those that
  // the root belongs to without leading them are the caller's.
  void CheckGroup(const ObjectView& task, absl::string_view field, absl::string_view what) {
    const uint64_t number = task.Number(field);
    const auto leader = tasks_.find(number);
    if (leader == tasks_.end()) {
      if (number == root_.Number(field)) return;
      return CheckFree(check_.checkpoint.Where(task, field), number);
    }
    const ObjectView first = check_.checkpoint.Get("task", leader->second);
    if (first.Number(field) != number) {
      check_.Add(task, field,
                 absl::StrCat("is ", number, ", and task ", number, " leads no ", what),
                 "write the one that was saved");
    } else if (first.Number("sid") != task.Number("sid")) {
      check_.Add(task, field, absl::StrCat("is ", number, ", a ", what, " of another session"),
                 "write the one that was saved");
    }
  }

  const RestartCheck& check_;
  const ObjectView root_;
  absl::flat_hash_map<uint64_t, uint64_t> tasks_;  // ids, by pid
};

}  // namespace

void CheckPids(const RestartCheck& check) { PidChecker(check).Check(); }

}  // namespace crfs
