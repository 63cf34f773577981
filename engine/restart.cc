// SPDX-License-Identifier: Apache-2.0

#include "engine/restart.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
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
#include "engine/kernel_restart.h"
#include "engine/pid_namespace.h"
#include "engine/proc_file.h"
#include "engine/reopen_files.h"
#include "engine/restart_board.h"
#include "engine/restart_identity.h"
#include "engine/restart_plan.h"
#include "engine/restart_tasks.h"
#include "engine/restart_vdso.h"
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

// Counters in memory that tasks in the making share with the coordinator.
class SharedCounters {
 public:
  static absl::StatusOr<SharedCounters> Create(size_t count) {
    const size_t size = count * sizeof(std::atomic<uint32_t>);
    void* const memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return absl::ErrnoToStatus(errno, "memory for a restart");
    return SharedCounters(static_cast<std::atomic<uint32_t>*>(memory), size);
  }
  SharedCounters(SharedCounters&& other) noexcept
      : counters_(std::exchange(other.counters_, nullptr)), size_(other.size_) {}
  ~SharedCounters() {
    if (counters_ != nullptr) ::munmap(counters_, size_);
  }
  std::atomic<uint32_t>& operator[](size_t i) { return counters_[i]; }

 private:
  SharedCounters(std::atomic<uint32_t>* counters, size_t size) : counters_(counters), size_(size) {}
  std::atomic<uint32_t>* counters_;
  size_t size_;
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

class Coordinator {
 public:
  Coordinator(const LoadedCheckpoint& checkpoint, const RestartOptions& options)
      : checkpoint_(checkpoint), options_(options), files_(checkpoint) {}

  // Whatever has not been started is killed, and waited for.
  ~Coordinator() {
    if (!started_) {
      kernel_.reset();
      Abandon();
    }
    if (board_ != nullptr) Board::Destroy(board_);
  }

  absl::StatusOr<Restarted> Run() {
    if (absl::Status status = Prepare(); !status.ok()) return status;
    auto blocked = std::make_unique<BlockedSignals>();
    if (absl::Status status = MakeTasks(); !status.ok()) return Cause(status);
    if (absl::Status status = kernel_->Gather(); !status.ok()) return Cause(status);
    if (absl::Status status = Build(); !status.ok()) return Cause(status);
    if (absl::Status status = files_.SealShmems(); !status.ok()) return Cause(status);
    std::optional<ForegroundGroup> terminal = ForegroundGroup::Give(root_);
    if (absl::Status status = kernel_->Start(); !status.ok()) return Cause(status);
    started_ = true;
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
    absl::StatusOr<KernelRestart> kernel = KernelRestart::Open(checkpoint_, files_.floor());
    if (!kernel.ok()) return kernel.status();
    kernel_.emplace(*std::move(kernel));
    if (absl::Status status = kernel_->Load(files_); !status.ok()) return status;
    if (absl::Status status = files_.FillShmems(); !status.ok()) return status;
    absl::flat_hash_map<uint64_t, int> patched;
    for (const uint64_t id : checkpoint_.Ids("mm")) {
      absl::StatusOr<VdsoPlan> vdso = PlanVdso(checkpoint_, checkpoint_.Get("mm", id));
      if (!vdso.ok()) return vdso.status();
      if (vdso->patched.valid()) patched[id] = vdso->patched.get();
      vdsos_.emplace(id, *std::move(vdso));
    }
    if (absl::Status status = kernel_->Fill(patched); !status.ok()) return status;
    own_ = OwnCred();
    absl::StatusOr<Board*> board = Board::Create();
    if (!board.ok()) return board.status();
    board_ = *board;
    return absl::OkStatus();
  }

  absl::Status MakeTasks() {
    const std::map<uint64_t, uint32_t> tables = CountTables(checkpoint_);
    absl::StatusOr<SharedCounters> counters = SharedCounters::Create(tables.size());
    if (!counters.ok()) return counters.status();
    TaskMaking making = {checkpoint_, plan_, files_, vdsos_, own_, *board_, kernel_->fd(), {}};
    size_t i = 0;
    for (const auto& [table, threads] : tables) {
      (*counters)[i].store(threads);
      making.to_join.emplace(table, (*counters)[i++]);
    }
    if (options_.pid_namespace && plan_.root.pid == 1) {
      child_ = root_ = MakeRootTask(making, RootPlace::kNewPidNamespace);
    } else if (options_.pid_namespace) {
      const absl::StatusOr<NamespaceRoot> made = MakePidNamespace(
          plan_.root.pid, [&making] { return MakeRootTask(making, RootPlace::kBesideCaller); });
      if (!made.ok()) return made.status();
      child_ = made->first;
      root_ = made->root;
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
        kernel_->Help();
      });
      built = kernel_->Build();
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
    ::kill(child_, SIGKILL);
    // The caller has no children of its own, so these are all of what has been made.
    while (::waitpid(-1, nullptr, __WALL) > 0 || errno == EINTR) {
    }
  }

  const LoadedCheckpoint& checkpoint_;
  const RestartOptions& options_;
  const Subreaper subreaper_;  // also while what was made is done away with
  RestartPlan plan_;
  ReopenedFiles files_;
  std::optional<KernelRestart> kernel_;
  absl::flat_hash_map<uint64_t, VdsoPlan> vdsos_;
  CredPlan own_;
  Board* board_ = nullptr;
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
