// SPDX-License-Identifier: Apache-2.0
//
// The restart of the ptrace engine: tasks that have been made become what they were by system calls
// that they are made to make. What it cannot bring back stands in docs/man/crfs.1, ENGINES.

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "crfs/words.h"
#include "engine/own_mappings.h"
#include "engine/proc_file.h"
#include "engine/proc_status.h"
#include "engine/ptrace_puppet.h"
#include "engine/ptrace_restarted_thread.h"
#include "engine/ptrace_shared.h"
#include "engine/ptrace_space.h"
#include "engine/restart_engine.h"
#include "engine/shared_counters.h"

namespace crfs {
namespace {

// Where a thread of the restart is, as the caller sees it.
struct Place {
  pid_t pid;
  pid_t tid;
};
// By the ids that they have in their own pid namespace.
using Places = absl::flat_hash_map<uint64_t, Place>;

absl::Status FindThreads(pid_t pid, Places& places) {
  const absl::StatusOr<std::vector<pid_t>> tids = ListThreads(pid);
  if (!tids.ok()) return tids.status();
  for (const pid_t tid : *tids) {
    const absl::StatusOr<ProcStatus> status = ReadThreadStatus(pid, tid);
    if (!status.ok()) return status.status();
    const std::vector<uint32_t> ids = status->Numbers("NSpid");
    places[ids.empty() ? static_cast<uint64_t>(tid) : ids.back()] = {pid, tid};
  }
  return absl::OkStatus();
}

// Of a task and of all below it.
absl::Status FindPlaces(pid_t root, Places& places) {
  if (absl::Status status = FindThreads(root, places); !status.ok()) return status;
  const absl::StatusOr<std::vector<pid_t>> children = ListChildren(root);
  if (!children.ok()) return children.status();
  for (const pid_t child : *children) {
    if (absl::Status status = FindPlaces(child, places); !status.ok()) return status;
  }
  return absl::OkStatus();
}

class PtraceRestart final : public RestartEngine {
 public:
  PtraceRestart(const LoadedCheckpoint& checkpoint, const ReopenedFiles& files,
                SharedCounters builders)
      : checkpoint_(checkpoint),
        floor_(files.floor()),
        builders_(std::move(builders)),
        sources_{checkpoint, files, shared_.places(), {}} {}

  absl::Status Load(ReopenedFiles& files) override {
    if (absl::Status status = shared_.Make(checkpoint_, files); !status.ok()) return status;
    return files.FillShmems();
  }

  absl::Status Fill(const VdsoPlans& vdsos) override {
    vdsos_ = &vdsos;
    for (const auto& [id, vdso] : vdsos) {
      if (vdso.own == 0) {
        return absl::UnimplementedError(
            "this kernel has no vdso, so the ptrace engine cannot restart anything: boot it "
            "without vdso=0, or use the kernel engine");
      }
    }
    return OpenImages();
  }

  Joining joining() override {
    Joining joining = {.device = -1, .first_kept = floor_, .last_kept = INT_MAX, .builders = {}};
    size_t i = 0;
    for (const uint64_t id : checkpoint_.Ids("mm")) joining.builders[id] = &builders_[i++];
    return joining;
  }

  absl::Status Gather(pid_t root) override {
    Places places;
    if (absl::Status status = FindPlaces(root, places); !status.ok()) return status;
    if (absl::Status status = TakeBuilders(root, places); !status.ok()) return status;
    return TakeThreads(places);
  }

  absl::Status Build() override {
    for (RestartedThread& thread : threads_) {
      if (absl::Status status = thread.LeaveSequence(); !status.ok()) return status;
    }
    for (auto& [id, space] : spaces_) {
      for (auto step : {&AddressSpace::Empty, &AddressSpace::Map, &AddressSpace::SetFields,
                        &AddressSpace::Fill, &AddressSpace::Protect, &AddressSpace::Leave}) {
        if (absl::Status status = (space.*step)(); !status.ok()) return status;
      }
    }
    return WaitForBuilders();
  }

  void Help() const override {}

  absl::Status Start() override {
    for (auto step : {&PtraceRestart::StopTasks, &PtraceRestart::SetSignals,
                      &PtraceRestart::SetThreads, &PtraceRestart::Finish}) {
      if (absl::Status status = (this->*step)(); !status.ok()) return status;
    }
    // Whoever dies from here on has started them all.
    for (RestartedThread& thread : threads_) {
      if (absl::Status status = thread.puppet().Keep(); !status.ok()) return status;
    }
    for (RestartedThread& thread : threads_) thread.puppet().Release();
    return absl::OkStatus();
  }

 private:
  // Images, so that builders can read them: above all descriptors of tasks.
  absl::Status OpenImages() {
    for (const uint64_t id : checkpoint_.Ids("vma")) {
      const absl::StatusOr<LoadedMemory> memory =
          checkpoint_.UnverifiedMemory(checkpoint_.Get("vma", id));
      if (!memory.ok()) return memory.status();
      for (const int own : {memory->file == nullptr ? memory->fd : -1, memory->image_fd}) {
        if (own < 0 || sources_.images.contains(own)) continue;
        UniqueFd high(::fcntl(own, F_DUPFD_CLOEXEC, floor_));
        if (!high.valid()) {
          return absl::ErrnoToStatus(errno, absl::StrCat(checkpoint_.path(), ": cannot be shared"));
        }
        sources_.images[own] = high.get();
        images_.push_back(std::move(high));
      }
    }
    return absl::OkStatus();
  }

  absl::Status TakeBuilders(pid_t root, Places& places) {
    // Orphans of tasks in the making: children of crfs or, in a pid namespace, of its first task.
    const absl::StatusOr<ProcStatus> status = ReadThreadStatus(root, root);
    if (!status.ok()) return status.status();
    const absl::StatusOr<std::vector<pid_t>> orphans =
        ListChildren(static_cast<pid_t>(status->Number("PPid")));
    if (!orphans.ok()) return orphans.status();
    for (const pid_t orphan : *orphans) {
      if (absl::Status found = FindThreads(orphan, places); !found.ok()) return found;
    }
    size_t i = 0;
    for (const uint64_t id : checkpoint_.Ids("mm")) {
      const uint64_t pid = builders_[i++].load();
      if (pid == 0) continue;  // of nobody but zombies
      const auto place = places.find(pid);
      if (place == places.end()) return absl::AbortedError("a task's builder has died");
      absl::StatusOr<Puppet> puppet =
          Puppet::Take(place->second.pid, place->second.tid, InstructionOf(id));
      if (!puppet.ok()) return puppet.status();
      absl::StatusOr<AddressSpace> space =
          AddressSpace::Open(sources_, id, vdsos_->at(id), *std::move(puppet));
      if (!space.ok()) return space.status();
      spaces_.emplace(id, *std::move(space));
    }
    return absl::OkStatus();
  }

  absl::Status TakeThreads(const Places& places) {
    for (const uint64_t id : checkpoint_.Ids("thread")) {
      const ObjectView thread = checkpoint_.Get("thread", id);
      const ObjectView task = checkpoint_.Get("task", thread.OwnerId());
      if (thread.Number("state") == CRFS_state_zombie ||
          task.Number("state") == CRFS_state_zombie) {
        continue;
      }
      const uint64_t mm = task.Number("mm");
      const auto place = places.find(thread.KeyNumber());
      if (place == places.end() || !spaces_.contains(mm)) {
        return absl::AbortedError(
            absl::StrCat(checkpoint_.Where(thread), ": died while it was made"));
      }
      absl::StatusOr<Puppet> puppet =
          Puppet::Take(place->second.pid, place->second.tid, InstructionOf(mm));
      if (!puppet.ok()) return puppet.status();
      threads_.emplace_back(checkpoint_, thread, *std::move(puppet), spaces_.at(mm));
    }
    return absl::OkStatus();
  }

  // Of a `syscall` in the kernel's own vdso, which is mapped in crfs at the same time.
  uint64_t InstructionOf(uint64_t mm) const { return vdsos_->at(mm).own + SyscallOffset(); }

  static uint64_t SyscallOffset() {
    static const uint64_t offset = FindSyscallInVdso();
    return offset;
  }

  // The one thread of each task that acts for it: its first, if that lives.
  std::vector<RestartedThread*> OneOfEachTask() {
    std::map<uint64_t, RestartedThread*> chosen;
    for (RestartedThread& thread : threads_) {
      const uint64_t task = thread.thread().OwnerId();
      RestartedThread*& one = chosen[task];
      const bool is_first =
          thread.thread().KeyNumber() == checkpoint_.Get("task", task).KeyNumber();
      if (one == nullptr || is_first) one = &thread;
    }
    std::vector<RestartedThread*> all;
    for (const auto& [task, thread] : chosen) all.push_back(thread);
    return all;
  }

  ObjectView TaskOf(const RestartedThread& thread) const {
    return checkpoint_.Get("task", thread.thread().OwnerId());
  }

  // They are orphans. Where the program itself has the first task of a pid namespace, that is their
  // parent; elsewhere whoever is waits for them by himself.
  absl::Status WaitForBuilders() {
    for (RestartedThread* const first : OneOfEachTask()) {
      if (TaskOf(*first).KeyNumber() != 1) continue;
      for (size_t i = 0; i < checkpoint_.Ids("mm").size(); ++i) {
        const uint64_t pid = builders_[i].load();
        if (pid == 0) continue;
        const absl::StatusOr<long> waited = first->puppet().Call(SYS_wait4, {pid, 0, __WALL, 0});
        if (!waited.ok()) return waited.status();
      }
    }
    return absl::OkStatus();
  }

  // What stands stays so from here on: a stop takes part of all threads, and may take place before
  // any signal that is pending is looked at.
  absl::Status StopTasks() {
    for (RestartedThread* const first : OneOfEachTask()) {
      const ObjectView task = TaskOf(*first);
      if (task.Number("state") != CRFS_state_stopped) continue;
      if (::kill(first->puppet().pid(), SIGSTOP) != 0) {
        return absl::ErrnoToStatus(
            errno, absl::StrCat(checkpoint_.Where(task, "state"), ": cannot be restored"));
      }
      if (absl::Status status = first->puppet().EnterGroupStop(true); !status.ok()) return status;
      for (RestartedThread& thread : threads_) {
        if (&thread == first || thread.thread().OwnerId() != task.id()) continue;
        absl::Status status = thread.puppet().EnterGroupStop(false);
        if (!status.ok()) return status;
      }
    }
    return absl::OkStatus();
  }

  absl::Status SetSignals() {
    for (RestartedThread& thread : threads_) {
      if (absl::Status status = thread.DropSignals(); !status.ok()) return status;
    }
    if (absl::Status status = HearOfStops(); !status.ok()) return status;
    std::set<uint64_t> done;
    for (RestartedThread* const thread : OneOfEachTask()) {
      const ObjectView task = TaskOf(*thread);
      if (done.insert(task.Number("sighand")).second) {
        absl::Status status =
            thread->SetActions(checkpoint_.Get("sighand", task.Number("sighand")));
        if (!status.ok()) return status;
      }
      if (absl::Status status = thread->QueueTaskSignals(task); !status.ok()) return status;
    }
    for (RestartedThread& thread : threads_) {
      if (absl::Status status = thread.QueueOwnSignals(); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // A parent that has been told of a child's stop is not told again.
  absl::Status HearOfStops() {
    for (RestartedThread* const parent : OneOfEachTask()) {
      for (const uint64_t id : checkpoint_.Ids("task")) {
        const ObjectView task = checkpoint_.Get("task", id);
        const bool is_heard_of = task.Number("state") == CRFS_state_stopped &&
                                 (task.Number("exit_code") & 0x7f) == 0 &&
                                 task.Number("ppid") == TaskOf(*parent).KeyNumber();
        if (!is_heard_of) continue;
        absl::Status status = parent->puppet().Do(
            absl::StrCat(checkpoint_.Where(task, "exit_code"), ": cannot be restored"), SYS_waitid,
            {P_PID, task.KeyNumber(), 0, WSTOPPED | WNOHANG, 0});
        if (!status.ok()) return status;
      }
    }
    return absl::OkStatus();
  }

  absl::Status SetThreads() {
    for (RestartedThread& thread : threads_) {
      if (absl::Status status = thread.SetPlaces(); !status.ok()) return status;
    }
    for (RestartedThread* const thread : OneOfEachTask()) {
      if (absl::Status status = thread->SetTimer(TaskOf(*thread)); !status.ok()) return status;
    }
    for (RestartedThread& thread : threads_) {
      if (absl::Status status = thread.EnterCall(); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status Finish() {
    for (RestartedThread& thread : threads_) {
      if (absl::Status status = thread.Finish(); !status.ok()) return status;
    }
    for (auto& [id, space] : spaces_) {
      if (absl::Status status = space.Close(); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  const LoadedCheckpoint& checkpoint_;
  const int floor_;
  SharedCounters builders_;
  SharedMemory shared_;
  SpaceSources sources_;
  std::vector<UniqueFd> images_;
  const VdsoPlans* vdsos_ = nullptr;
  std::map<uint64_t, AddressSpace> spaces_;  // by id of the mm
  std::vector<RestartedThread> threads_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RestartEngine>> RestartByPtrace(const LoadedCheckpoint& checkpoint,
                                                               const ReopenedFiles& files) {
  absl::StatusOr<SharedCounters> builders = SharedCounters::Create(checkpoint.Ids("mm").size());
  if (!builders.ok()) return builders.status();
  return std::make_unique<PtraceRestart>(checkpoint, files, *std::move(builders));
}

}  // namespace crfs
