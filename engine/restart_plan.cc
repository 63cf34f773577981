// SPDX-License-Identifier: Apache-2.0

#include "engine/restart_plan.h"

#include <signal.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "crfs/words.h"

namespace crfs {
namespace {

pid_t PidOf(const ObjectView& task, absl::string_view field) {
  return static_cast<pid_t>(task.Number(field));
}

class Planner {
 public:
  Planner(const LoadedCheckpoint& checkpoint, Problems& problems)
      : checkpoint_(checkpoint), problems_(problems) {
    for (const uint64_t id : checkpoint.Ids("task")) {
      tasks_.emplace(PidOf(checkpoint.Get("task", id), "pid"), id);
    }
    for (const auto& [pid, id] : tasks_) {
      children_[PidOf(checkpoint.Get("task", id), "ppid")].push_back(id);
    }
  }

  RestartPlan Plan() {
    const uint64_t root =
        checkpoint_.Get("checkpoint", checkpoint_.Ids("checkpoint").front()).Number("root");
    RestartPlan plan;
    plan.root = PlanTask(root, nullptr);
    plan.tasks = static_cast<uint32_t>(planned_.size());
    plan.threads = static_cast<uint32_t>(checkpoint_.Ids("thread").size());
    for (const auto& [pid, id] : tasks_) {
      if (!planned_.contains(id)) {
        Note(checkpoint_.Get("task", id), "ppid",
             "its parent is no task of the checkpoint: a task with another maker than its parent "
             "cannot be made");
      }
    }
    return plan;
  }

 private:
  void Note(const ObjectView& task, absl::string_view field, absl::string_view problem) {
    problems_.push_back(absl::StrCat(checkpoint_.Where(task, field), ": ", problem));
  }

  TaskPlan PlanTask(uint64_t id, const TaskPlan* maker) {
    const ObjectView task = checkpoint_.Get("task", id);
    planned_.insert(id);
    TaskPlan plan;
    plan.id = id;
    plan.pid = PidOf(task, "pid");
    plan.zombie = task.Number("state") == CRFS_state_zombie;
    plan.leads_session = PidOf(task, "sid") == plan.pid;
    PlanGroup(task, plan);
    PlanSharing(task, maker, plan);
    for (const uint64_t child : children_[plan.pid]) {
      if (planned_.contains(child)) continue;
      const ObjectView object = checkpoint_.Get("task", child);
      const Session session = SessionOf(task, object);
      if (session == Session::kOthers) continue;
      plan.children.push_back(PlanTask(child, &plan));
      plan.children.back().in_parents_session = session == Session::kBefore;
    }
    // Those that are left are in sessions that others make.
    for (const uint64_t child : children_[plan.pid]) {
      if (!planned_.contains(child)) PlanElsewhere(child, plan);
    }
    if (plan.zombie && !plan.children.empty()) {
      Note(task, "state", "a zombie has no children: their ppid is another");
    }
    return plan;
  }

  // How a child comes into its session when its parent makes it.
  enum class Session {
    kOwnOrParents,  // leads it, or is in that of its parent
    kBefore,        // in that of its parent before setsid(2)
    kOthers,        // cannot
  };
  Session SessionOf(const ObjectView& parent, const ObjectView& child) const {
    const pid_t sid = PidOf(child, "sid");
    const pid_t parents = PidOf(parent, "sid");
    if (sid == PidOf(child, "pid") || sid == parents) return Session::kOwnOrParents;
    if (parents != PidOf(parent, "pid")) return Session::kOthers;
    const auto grand = tasks_.find(PidOf(parent, "ppid"));
    // Above the root there is the caller, whose session nobody in the checkpoint is in, unless
    // the root is, too.
    const bool before =
        grand != tasks_.end() && sid == PidOf(checkpoint_.Get("task", grand->second), "sid");
    return before ? Session::kBefore : Session::kOthers;
  }

  // A child that its parent has adopted when its own had ended: by the leader of its session,
  // or, if that is gone too, by one in its place.
  void PlanElsewhere(uint64_t child, TaskPlan& parent) {
    const ObjectView task = checkpoint_.Get("task", child);
    const pid_t sid = PidOf(task, "sid");
    const auto leader = std::find_if(
        parent.children.begin(), parent.children.end(),
        [sid](const TaskPlan& other) { return other.pid == sid && other.leads_session; });
    if (leader != parent.children.end()) {
      const uint64_t signal = checkpoint_.Get("task", leader->id).Number("exit_signal");
      CheckSignal(task, signal, absl::StrCat("that of ", sid));
      leader->siblings.push_back(PlanTask(child, &*leader));
      return;
    }
    if (tasks_.contains(sid)) {
      PlanTask(child, nullptr);  // for what else is wrong
      return Note(task, "sid",
                  absl::StrCat("session ", sid,
                               " was made by a task that is neither its parent "
                               "nor another child of that: it cannot join it"));
    }
    auto lost = std::find_if(parent.lost_sessions.begin(), parent.lost_sessions.end(),
                             [sid](const LostSession& other) { return other.sid == sid; });
    if (lost == parent.lost_sessions.end()) {
      if (!lost_.insert(sid).second) {
        PlanTask(child, nullptr);
        return Note(task, "sid",
                    absl::StrCat("the leader of session ", sid,
                                 " is gone, and others in it have another parent"));
      }
      parent.lost_sessions.push_back({sid, {}});
      lost = std::prev(parent.lost_sessions.end());
    }
    CheckSignal(task, SIGCHLD, "SIGCHLD");
    lost->members.push_back(PlanTask(child, nullptr));
  }

  // clone3(2) gives a sibling the signal of who makes it.
  void CheckSignal(const ObjectView& task, uint64_t signal, absl::string_view what) {
    if (task.Number("exit_signal") == signal) return;
    Note(task, "exit_signal",
         absl::StrCat("must be ", what, ", for its session can only be joined so"));
  }

  // Groups of a session that is not in the checkpoint are the caller's, unless a task leads
  // them.
  void PlanGroup(const ObjectView& task, TaskPlan& plan) {
    const pid_t pgid = PidOf(task, "pgid");
    const pid_t sid = PidOf(task, "sid");
    if (plan.leads_session) return;  // setsid(2) has made its group
    const bool is_led = tasks_.contains(pgid);
    if (!is_led && !tasks_.contains(sid)) return;
    plan.pgid = pgid;
    if (is_led || pgid == sid || !lost_.insert(pgid).second) return;
    plan.lost_leaders.push_back(pgid);
  }

  void PlanSharing(const ObjectView& task, const TaskPlan* maker, TaskPlan& plan) {
    struct Shared {
      absl::string_view field;
      bool* flag;
    };
    for (const Shared& shared :
         {Shared{"fd", &plan.shares_files}, Shared{"fs", &plan.shares_fs},
          Shared{"mm", &plan.shares_mm}, Shared{"sighand", &plan.shares_sighand}}) {
      const uint64_t id = task.Number(shared.field);
      if (id == 0) continue;
      const auto [first, is_new] = holders_.try_emplace({shared.field, id}, task.id());
      if (is_new) continue;
      if (maker != nullptr && checkpoint_.Get("task", maker->id).Number(shared.field) == id) {
        *shared.flag = true;
        continue;
      }
      Note(
          task, shared.field,
          absl::StrCat("is shared with ", checkpoint_.Where(checkpoint_.Get("task", first->second)),
                       ", which is not its parent: tasks cannot be made so"));
    }
    if (plan.shares_sighand && !plan.shares_mm) {
      Note(task, "sighand", "is shared with its parent, and its mm is not: no task can be so");
    }
  }

  const LoadedCheckpoint& checkpoint_;
  Problems& problems_;
  std::map<pid_t, uint64_t> tasks_;                  // ids, by pid
  std::map<pid_t, std::vector<uint64_t>> children_;  // ids, by ppid, ascending pids
  std::set<uint64_t> planned_;
  std::set<pid_t> lost_;  // groups whose leader is gone
  std::map<std::pair<absl::string_view, uint64_t>, uint64_t> holders_;  // the first task of each
};

}  // namespace

RestartPlan PlanRestart(const LoadedCheckpoint& checkpoint, Problems& problems) {
  return Planner(checkpoint, problems).Plan();
}

}  // namespace crfs
