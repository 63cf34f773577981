// SPDX-License-Identifier: Apache-2.0

#include "engine/restart.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "crfs/schema.h"
#include "crfs/words.h"
#include "engine/pid_namespace.h"
#include "engine/proc_file.h"
#include "engine/reopen_files.h"
#include "engine/restart_board.h"
#include "engine/restart_engine.h"
#include "engine/restart_identity.h"
#include "engine/restart_plan.h"
#include "engine/restart_tasks.h"
#include "engine/restart_vdso.h"
#include "engine/shared_counters.h"
#include "engine/terminal.h"
#include "index/thread_team.h"

namespace crfs {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr absl::Duration kLookUp = absl::Milliseconds(1);
constexpr size_t kHelpersMax = 16;  // more have to wait for memory

// What is left of tasks whose makers died comes to the calling process for as long as this
// lives, and can be waited for.
class Subreaper {
 public:
  Subreaper() {
    ::prctl(PR_GET_CHILD_SUBREAPER, &before_);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  }
  ~Subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, before_); }

 private:
  int before_ = 0;
};

// How many threads use each table of descriptors.
std::map<uint64_t, uint32_t> CountTables(const LoadedCheckpoint& checkpoint) {
  std::map<uint64_t, uint32_t> counts;
  for (const uint64_t id : checkpoint.Ids("task")) {
    const ObjectView task = checkpoint.Get("task", id);
    counts[task.Number("fd")] += static_cast<uint32_t>(checkpoint.Owned("thread", id).size());
  }
  return counts;
}

CredPlan OwnCredWithGroups(std::vector<gid_t> groups) {
  CredPlan own = OwnCred();
  own.groups = std::move(groups);
  return own;
}

class Coordinator {
 public:
  Coordinator(const LoadedCheckpoint& checkpoint, const RestartOptions& options)
      : checkpoint_(checkpoint), options_(options), files_(checkpoint) {}

  // Whatever has not been started is killed, and waited for.
  ~Coordinator() {
    if (!started_) {
      engine_.reset();
      Abandon();
    }
    if (board_ != nullptr) Board::Destroy(board_);
  }

  absl::StatusOr<Restarted> Run() {
    if (absl::Status status = Prepare(); !status.ok()) return status;
    auto blocked = std::make_unique<BlockedSignals>();
    if (absl::Status status = MakeTasks(); !status.ok()) return Cause(status);
    if (absl::Status status = engine_->Gather(root_); !status.ok()) return Cause(status);
    if (absl::Status status = Build(); !status.ok()) return Cause(status);
    if (absl::Status status = files_.SealShmems(); !status.ok()) return Cause(status);
    std::optional<ForegroundGroup> terminal = ForegroundGroup::Give(root_);
    if (absl::Status status = engine_->Start(); !status.ok()) return Cause(status);
    started_ = true;
    if (namespace_.first > 0) namespace_.LetLive();
    if (terminal.has_value()) terminal->Keep();
    if (options_.progress) options_.progress(checkpoint_.memory_size(), checkpoint_.memory_size());
    return Restarted{.root = root_, .child = child_, .signals = std::move(blocked)};
  }

 private:
  absl::Status Prepare() {
    Problems problems;
    plan_ = PlanRestart(checkpoint_, problems);
    if (!problems.empty()) return absl::FailedPreconditionError(absl::StrJoin(problems, "\n"));
    if (absl::Status status = files_.Open(options_); !status.ok()) return status;
    absl::StatusOr<std::unique_ptr<RestartEngine>> engine =
        ChooseRestartEngine(options_.engine) == Engine::kPtrace
            ? RestartByPtrace(checkpoint_, files_)
            : RestartByKernel(checkpoint_, files_);
    if (!engine.ok()) return engine.status();
    engine_ = *std::move(engine);
    if (absl::Status status = engine_->Load(files_); !status.ok()) return status;
    for (const uint64_t id : checkpoint_.Ids("mm")) {
      absl::StatusOr<VdsoPlan> vdso = PlanVdso(checkpoint_, checkpoint_.Get("mm", id));
      if (!vdso.ok()) return vdso.status();
      vdsos_.emplace(id, *std::move(vdso));
    }
    if (absl::Status status = engine_->Fill(vdsos_); !status.ok()) return status;
    own_ = OwnCred();
    user_namespace_ = UserNamespaceFor(options_);
    absl::StatusOr<Board*> board = Board::Create();
    if (!board.ok()) return board.status();
    board_ = *board;
    return absl::OkStatus();
  }

  absl::Status MakeTasks() {
    const std::map<uint64_t, uint32_t> tables = CountTables(checkpoint_);
    absl::StatusOr<SharedCounters> counters = SharedCounters::Create(tables.size());
    if (!counters.ok()) return counters.status();
    TaskMaking making = {.checkpoint = checkpoint_,
                         .plan = plan_,
                         .files = files_,
                         .vdsos = vdsos_,
                         .own = own_,
                         .board = *board_,
                         .joining = engine_->joining(),
                         .reaper = options_.pid_namespace ? 1 : ::getpid(),
                         .to_join = {}};
    size_t i = 0;
    for (const auto& [table, threads] : tables) {
      (*counters)[i].store(threads);
      making.to_join.emplace(table, (*counters)[i++]);
    }
    if (options_.pid_namespace && plan_.root.pid == 1) {
      child_ = root_ = MakeRootTask(making, RootPlace::kNewPidNamespace);
    } else if (options_.pid_namespace) {
      absl::StatusOr<NamespaceRoot> made = MakePidNamespace(plan_.root.pid, user_namespace_, [&] {
        // In a user namespace of its own it has all rights there, and its groups no names.
        if (user_namespace_ == UserNamespace::kOwn) own_ = OwnCredWithGroups(own_.groups);
        return MakeRootTask(making, RootPlace::kBesideCaller);
      });
      if (!made.ok()) return made.status();
      namespace_ = *std::move(made);
      child_ = namespace_.first;
      root_ = namespace_.root;
    } else {
      child_ = root_ = MakeRootTask(making, RootPlace::kBesideCaller);
    }
    return AwaitJoined();
  }

  // Memory is compared with its checksums while it is put in place: nothing runs before both
  // are done. Threads do no harm any more, as all tasks have been made.
  absl::Status Build() {
    std::atomic<bool> begun = false;
    absl::Status verified;
    absl::Status built;
    const auto verify = [&] {
      if (!begun.exchange(true)) verified = checkpoint_.VerifyMemory(options_.progress);
    };
    {
      const ThreadTeam helpers(ThreadTeam::Others(kHelpersMax), [&] {
        verify();
        engine_->Help();
      });
      built = engine_->Build();
    }
    verify();  // where there was no thread to do it
    return verified.ok() ? built : verified;
  }

  // Until all threads have joined and wait in their calls.
  absl::Status AwaitJoined() {
    const absl::Time end = absl::Now() + kPatience;
    while (!board_->failed() && board_->joined() < plan_.threads) {
      if (HasEnded() && !board_->failed()) return LostTask();
      if (absl::Now() > end) return LostTask();
      absl::SleepFor(kLookUp);
    }
    while (!board_->failed()) {
      const absl::StatusOr<bool> asleep = AllAsleep(root_);
      if (!asleep.ok()) return LostTask();
      if (*asleep) return absl::OkStatus();
      if (absl::Now() > end) return LostTask();
      absl::SleepFor(kLookUp);
    }
    return Describe(board_->failure());
  }

  static absl::Status LostTask() {
    return absl::AbortedError("a task that was being made has died: see the system's log");
  }

  bool HasEnded() const {
    siginfo_t info = {};
    return child_ <= 0 ||
           (::waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid != 0);
  }

  // Whether the threads of a task, and of those below it, all sleep or are dead.
  static absl::StatusOr<bool> AllAsleep(pid_t pid) {
    const absl::StatusOr<std::vector<pid_t>> tids = ListThreads(pid);
    if (!tids.ok()) return tids.status();
    for (const pid_t tid : *tids) {
      const absl::StatusOr<char> state = ThreadState(pid, tid);
      if (!state.ok()) return state.status();
      if (*state != 'S' && *state != 'Z') return false;
    }
    const absl::StatusOr<std::vector<pid_t>> children = ListChildren(pid);
    if (!children.ok()) return children.status();
    for (const pid_t child : *children) {
      const absl::StatusOr<bool> asleep = AllAsleep(child);
      if (!asleep.ok() || !*asleep) return asleep;
    }
    return true;
  }

  absl::Status Describe(const Board::Failure& failure) const {
    const ObjectType* const type = FindType(failure.type);
    const ObjectView object = checkpoint_.Get(*type, failure.id);
    std::string where = checkpoint_.Where(object);
    if (failure.what[0] != '\0') absl::StrAppend(&where, "/", failure.what);
    const bool taken = failure.error == EEXIST && type->tag == CRFS_TAG_task;
    return absl::ErrnoToStatus(
        failure.error,
        absl::StrCat(where, taken ? ": its pid is taken: end that process, or use --pidns"
                                  : ": cannot be made as it was"));
  }

  // The cause is known; what is made goes away with this.
  absl::Status Cause(const absl::Status& status) {
    if (board_->failed()) {
      // A module that misses a task says less than the task that failed.
      return Describe(board_->failure());
    }
    return status;
  }

  void Abandon() {
    if (child_ <= 0) return;
    // The caller has no children of its own, so these are all of what has been made; some are
    // orphans of others.
    do {
      const absl::StatusOr<std::vector<pid_t>> children = ListChildren(::getpid());
      if (!children.ok()) break;
      for (const pid_t child : *children) ::kill(child, SIGKILL);
      // Threads that are traced, too, one by one.
    } while (::waitpid(-1, nullptr, __WALL) > 0 || errno == EINTR);
  }

  const LoadedCheckpoint& checkpoint_;
  const RestartOptions& options_;
  const Subreaper subreaper_;  // also while what was made is done away with
  RestartPlan plan_;
  ReopenedFiles files_;
  VdsoPlans vdsos_;
  std::unique_ptr<RestartEngine> engine_;
  CredPlan own_;
  Board* board_ = nullptr;
  NamespaceRoot namespace_;
  UserNamespace user_namespace_ = UserNamespace::kSame;
  pid_t child_ = 0;
  pid_t root_ = 0;
  bool started_ = false;
};

}  // namespace

absl::StatusOr<Restarted> Restart(const LoadedCheckpoint& checkpoint,
                                  const RestartOptions& options) {
  return Coordinator(checkpoint, options).Run();
}

}  // namespace crfs
