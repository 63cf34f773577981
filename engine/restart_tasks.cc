// SPDX-License-Identifier: Apache-2.0

#include "engine/restart_tasks.h"

#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <vector>

#include "crfs/ioctl.h"
#include "crfs/schema.h"
#include "crfs/words.h"
#include "engine/pid_namespace.h"
#include "engine/ptrace_answers.h"
#include "engine/raw_call.h"
#include "engine/restart_task_state.h"
#include "engine/restart_turn.h"

namespace crfs {
namespace {

constexpr size_t kStackSize = 64 << 10;
constexpr size_t kTaskStackSize = 1 << 20;

// A thread in the making, on the heap of its task; never freed: the task's memory is replaced.
struct ThreadStart {
  const ThreadPlan* plan;
  pid_t parent;  // of its task
  const CredPlan* own;
  Board* board;
  const Joining* joining;
  // Threads of the table of descriptors that have yet to join: the last one closes what was kept.
  std::atomic<uint32_t>* to_join;
};

// In the call whose restart block the module needs, or in any other.
void WaitIn(uint32_t call) {
  static int word;
  constexpr timespec kLong = {.tv_sec = 100'000, .tv_nsec = 0};
  switch (call) {
    case CRFS_restart_block_nanosleep:
      RawCall(SYS_nanosleep, &kLong, 0);
      break;
    case CRFS_restart_block_poll:
      RawCall(SYS_poll, 0, 0, 100'000'000);
      break;
    case CRFS_restart_block_futex:
      RawCall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &kLong);
      break;
    case CRFS_restart_block_cpu_nanosleep:
      RawCall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &kLong, 0);
      break;
    case CRFS_restart_block_alarm_nanosleep:
      RawCall(SYS_clock_nanosleep, CLOCK_BOOTTIME_ALARM, 0, &kLong, 0);
      break;
    default:
      RawCall(SYS_pause);
  }
}

// Without a module the end of a zombie has to be what the saved one came to; what a core dump
// adds to it (0x80) cannot be had.
[[noreturn]] void EndAs(const ThreadPlan& plan) {
  const int signal = plan.zombie_task ? static_cast<int>(plan.exit_code & 0x7f) : 0;
  if (signal != 0) {
    RawCall(SYS_prctl, PR_SET_DUMPABLE, 0);  // no core file
    const SignalAction standard = {};
    RawCall(SYS_rt_sigaction, signal, &standard, 0, sizeof(uint64_t));
    const long pid = RawCall(SYS_getpid);
    RawCall(SYS_tgkill, pid, pid, signal);
  }
  // The one that ends it is not among those that are blocked.
  RawCall(SYS_rt_sigprocmask, SIG_SETMASK, &plan.sigmask, 0, sizeof(uint64_t));
  const long code = (plan.exit_code >> 8) & 0xff;
  for (;;) RawCall(plan.zombie_task ? SYS_exit_group : SYS_exit, code);
}

long Join(const ThreadStart& start) {
  if (start.joining->device < 0) return 0;
  crfs_ioc_join join = {.size = sizeof(join), .flags = 0, .id = start.plan->id};
  return RawCall(SYS_ioctl, start.joining->device, CRFS_IOC_JOIN, &join);
}

// The end of every thread's way through this program. No C library from here on.
[[noreturn]] void TakePlace(void* argument) {
  const ThreadStart& start = *static_cast<ThreadStart*>(argument);
  const bool has_module = start.joining->device >= 0;
  if (!ApplyThread(*start.plan, *start.own, *start.board)) Exit(kFailedExit);
  // Other credentials have taken it away. A module kills what has joined, whoever its parent is.
  if (!has_module) RawCall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  if (RawCall(SYS_getppid) != start.parent) Exit(kFailedExit);
  const long result = Join(start);
  if (result < 0) {
    start.board->Fail("", CRFS_TAG_thread, start.plan->id, static_cast<int>(-result));
    Exit(kFailedExit);
  }
  if (start.to_join->fetch_sub(1) == 1) {
    RawCall(SYS_close_range, start.joining->first_kept, start.joining->last_kept, 0);
  }
  start.board->AddJoined();
  if (start.plan->zombie && !has_module) EndAs(*start.plan);
  if (start.plan->zombie) {
    RawCall(SYS_rt_sigprocmask, SIG_SETMASK, &start.plan->sigmask, 0, sizeof(uint64_t));
    for (;;) RawCall(SYS_exit, 0);
  }
  WaitIn(has_module ? start.plan->waits_in : 0);
  Exit(kFailedExit);  // nobody interrupts it but the engine, which does not let it go on here
}

// Of a task, for the first that it does; on its maker's heap, and never freed.
struct TaskStart {
  const TaskMaking* making;
  const TaskPlan* plan;
  pid_t parent;  // as the task sees it
  bool first;    // of a pid namespace
  Turn* turn;    // of its maker's address space, if it shares that; else nullptr
};
[[noreturn]] void BeginTask(void* argument);

// A thread, or a process that shares the caller's address space: it begins on a stack of its own
// with body(argument).
long CloneBeside(clone_args& arguments, size_t stack_size, void (*body)(void*), void* argument) {
  void* const stack = ::mmap(nullptr, stack_size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return -errno;
  arguments.stack = reinterpret_cast<uintptr_t>(stack);
  arguments.stack_size = stack_size;
  return RawCloneThread(&arguments, body, argument);
}

// Of one that does not. It comes back with 0 there.
long CloneApart(const clone_args& arguments) {
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
  return pid < 0 ? -errno : pid;
}

clone_args WithId(const pid_t* id) {
  clone_args arguments = {};
  arguments.set_tid = reinterpret_cast<uintptr_t>(id);
  arguments.set_tid_size = 1;
  return arguments;
}

enum class Kinship { kChild, kSibling, kFirst };

// `turn`: of the caller's address space, held; nullptr if the task does not share it. A sibling
// becomes a child of the caller's parent; the first one is that of a new pid namespace. The result
// of clone3(2), or minus an errno.
long MakeTask(const TaskMaking& making, const TaskPlan& plan, Turn* turn, Kinship kinship) {
  const ObjectView task = making.checkpoint.Get("task", plan.id);
  const pid_t tid = plan.pid;
  clone_args arguments = WithId(&tid);
  arguments.flags = (plan.shares_files ? CLONE_FILES : 0) | (plan.shares_fs ? CLONE_FS : 0) |
                    (plan.shares_mm ? CLONE_VM : 0) | (plan.shares_sighand ? CLONE_SIGHAND : 0);
  if (kinship == Kinship::kSibling) {
    arguments.flags |= CLONE_PARENT;  // and the exit signal is the caller's
  } else {
    arguments.exit_signal = task.Number("exit_signal");
  }
  pid_t parent = kinship == Kinship::kSibling ? ::getppid() : ::getpid();
  if (kinship == Kinship::kFirst) {
    arguments.flags |= CLONE_NEWPID | CLONE_NEWNS;
    parent = 0;
  }
  auto* const start = new TaskStart{&making, &plan, parent, kinship == Kinship::kFirst,
                                    plan.shares_mm ? turn : nullptr};
  const long pid = plan.shares_mm ? CloneBeside(arguments, kTaskStackSize, &BeginTask, start)
                                  : CloneApart(arguments);
  if (pid < 0) making.board.Fail("", CRFS_TAG_task, plan.id, static_cast<int>(-pid));
  if (pid == 0) BeginTask(start);
  return pid;
}

// On the heap of its task; never freed.
struct BuilderStart {
  std::atomic<uint32_t>* pid;
  pid_t reaper;
  pid_t maker;
};

// Waits to be told what to do, and dies with who is to tell it.
[[noreturn]] void BeBuilder(void* argument) {
  const BuilderStart& start = *static_cast<BuilderStart*>(argument);
  while (RawCall(SYS_getppid) == start.maker) RawCall(SYS_sched_yield);
  RawCall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  if (RawCall(SYS_getppid) != start.reaper) Exit(kFailedExit);
  start.pid->store(static_cast<uint32_t>(RawCall(SYS_getpid)));
  for (;;) RawCall(SYS_pause);
}

[[noreturn]] void MakeOrphan(void* argument) {
  BuilderStart& start = *static_cast<BuilderStart*>(argument);
  start.maker = static_cast<pid_t>(RawCall(SYS_getpid));
  clone_args arguments = {};
  arguments.flags = CLONE_VM;
  Exit(CloneBeside(arguments, kStackSize, &BeBuilder, argument) < 0 ? kFailedExit : 0);
}

// A process in the caller's address space which is no child of the caller, so that nothing is
// left of it when it has ended: its maker is gone at once. 0, or an errno.
int MakeSpaceBuilder(std::atomic<uint32_t>& pid, pid_t reaper, const Board& board) {
  auto* const start = new BuilderStart{&pid, reaper, 0};
  clone_args arguments = {};
  arguments.flags = CLONE_VM;
  const long maker = CloneBeside(arguments, kStackSize, &MakeOrphan, start);
  if (maker < 0) return static_cast<int>(-maker);
  int status = 0;
  if (::waitpid(static_cast<pid_t>(maker), &status, __WALL) < 0) return errno;
  if (status != 0) return EAGAIN;
  while (pid.load() == 0 && !board.failed()) RawCall(SYS_sched_yield);
  return 0;
}

// One task in the making, in its own process.
class Maker {
 public:
  // `turn`: of the task's address space, held.
  Maker(const TaskMaking& making, const TaskPlan& plan, Turn& turn)
      : making_(making),
        plan_(plan),
        turn_(turn),
        task_(making.checkpoint.Get("task", plan.id)),
        state_(making, plan) {}

  [[noreturn]] void Become() {
    MakeChildren(/*in_parents_session=*/true);
    if (plan_.leads_session && ::setsid() < 0) state_.Fail("sid", errno);
    MakeChildren(/*in_parents_session=*/false);
    for (const TaskPlan& sibling : plan_.siblings) Make(sibling, Kinship::kSibling);
    JoinGroup(MakeLeaders());
    state_.SetOomScore();
    state_.SetDirectories();
    state_.SetDescriptors();
    // A table that several share is whole before any of them opens something for itself.
    Pass(Gate::kDescribed);
    state_.MoveVdso();
    const std::vector<std::unique_ptr<ThreadPlan>> threads = PlanThreads();
    ThreadStart* const leader = Start(LeaderOf(threads));
    MakeThreads(threads);
    if (!making_.joining.builders.empty()) MakeBuilder();
    state_.SetTask();
    turn_.GiveBack();
    TakePlace(leader);
  }

 private:
  void Pass(Gate gate) {
    turn_.GiveBack();
    if (!making_.board.Pass(gate, making_.plan.tasks)) Exit(kFailedExit);
    if (!turn_.Take(making_.board)) Exit(kFailedExit);
  }

  // --- relatives, sessions and groups ---

  void Make(const TaskPlan& plan, Kinship kinship) {
    if (MakeTask(making_, plan, &turn_, kinship) < 0) Exit(kFailedExit);
  }

  void MakeChildren(bool in_parents_session) {
    for (const TaskPlan& child : plan_.children) {
      if (child.in_parents_session == in_parents_session) Make(child, Kinship::kChild);
    }
  }

  // Of groups and sessions whose leaders are gone: children that lead them until all have joined.
  std::vector<pid_t> MakeLeaders() {
    std::vector<pid_t> leaders;
    for (const pid_t pgid : plan_.lost_leaders) {
      leaders.push_back(MakeLeader(pgid, "pgid", nullptr));
      if (::setpgid(leaders.back(), 0) != 0) state_.Fail("pgid", errno);
    }
    for (const LostSession& lost : plan_.lost_sessions) {
      leaders.push_back(MakeLeader(lost.sid, "sid", &lost));
    }
    return leaders;
  }

  pid_t MakeLeader(pid_t id, const char* field, const LostSession* lost) {
    clone_args arguments = WithId(&id);
    arguments.exit_signal = SIGCHLD;
    const pid_t parent = ::getpid();
    const long pid = CloneApart(arguments);
    if (pid < 0) state_.Fail(field, static_cast<int>(-pid));
    if (pid != 0) return static_cast<pid_t>(pid);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) Exit(kFailedExit);
    if (lost != nullptr) {
      if (::setsid() < 0) state_.Fail(field, errno);
      for (const TaskPlan& member : lost->members) Make(member, Kinship::kSibling);
    }
    for (;;) RawCall(SYS_pause);
  }

  void JoinGroup(const std::vector<pid_t>& leaders) {
    Pass(Gate::kMade);
    if (plan_.pgid == plan_.pid && ::setpgid(0, 0) != 0) state_.Fail("pgid", errno);
    Pass(Gate::kLeading);
    const bool joins = plan_.pgid != 0 && plan_.pgid != plan_.pid && ::getpgrp() != plan_.pgid;
    if (joins && ::setpgid(0, plan_.pgid) != 0) state_.Fail("pgid", errno);
    Pass(Gate::kGrouped);
    for (const pid_t leader : leaders) {
      ::kill(leader, SIGKILL);
      ::waitpid(leader, nullptr, __WALL);
    }
  }

  // --- threads ---

  std::vector<std::unique_ptr<ThreadPlan>> PlanThreads() const {
    std::vector<std::unique_ptr<ThreadPlan>> threads;
    for (const uint64_t id : making_.checkpoint.Owned("thread", plan_.id)) {
      threads.push_back(std::make_unique<ThreadPlan>(
          PlanThread(making_.checkpoint, making_.checkpoint.Get("thread", id))));
    }
    return threads;
  }

  const ThreadPlan* LeaderOf(const std::vector<std::unique_ptr<ThreadPlan>>& threads) const {
    for (const auto& thread : threads) {
      if (thread->tid == plan_.pid) return thread.get();
    }
    state_.Fail("", ESRCH);
  }

  ThreadStart* Start(const ThreadPlan* plan) {
    return new ThreadStart{
        plan,           ::getppid(),      &making_.own,
        &making_.board, &making_.joining, &making_.to_join.at(task_.Number("fd"))};
  }

  void MakeThreads(const std::vector<std::unique_ptr<ThreadPlan>>& threads) {
    for (const auto& thread : threads) {
      if (thread->tid == plan_.pid) continue;
      const pid_t tid = thread->tid;
      clone_args arguments = WithId(&tid);
      arguments.flags =
          CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
      const long result = CloneBeside(arguments, kStackSize, &TakePlace, Start(thread.get()));
      if (result < 0) {
        making_.board.Fail("", CRFS_TAG_thread, thread->id, static_cast<int>(-result));
        Exit(kFailedExit);
      }
    }
  }

  // When all ids are taken that are wanted, and before any task looks after orphans.
  void MakeBuilder() {
    Pass(Gate::kThreaded);
    const auto builder = making_.joining.builders.find(task_.Number("mm"));
    if (builder != making_.joining.builders.end() && !plan_.shares_mm && !plan_.zombie) {
      const int error = MakeSpaceBuilder(*builder->second, making_.reaper, making_.board);
      if (error != 0) {
        making_.board.Fail("", CRFS_TAG_mm, builder->first, error);
        Exit(kFailedExit);
      }
    }
    Pass(Gate::kHelped);
  }

  const TaskMaking& making_;
  const TaskPlan& plan_;
  Turn& turn_;
  const ObjectView task_;
  const TaskState state_;
};

[[noreturn]] void BeginTask(void* argument) {
  const TaskStart start = *static_cast<TaskStart*>(argument);
  Turn own;
  Turn& turn = start.turn != nullptr ? *start.turn : own;
  if (&turn != &own && !turn.Take(start.making->board)) Exit(kFailedExit);
  // Dies with its parent; one that is dead already does not tell.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != start.parent) Exit(kFailedExit);
  if (start.first && MountOwnProc() != nullptr) {
    start.making->board.Fail("ns/mnt", CRFS_TAG_task, start.plan->id, errno);
    Exit(kFailedExit);
  }
  Maker(*start.making, *start.plan, turn).Become();
}

}  // namespace

pid_t MakeRootTask(const TaskMaking& making, RootPlace place) {
  const Kinship kinship = place == RootPlace::kNewPidNamespace ? Kinship::kFirst : Kinship::kChild;
  return static_cast<pid_t>(MakeTask(making, making.plan.root, nullptr, kinship));
}

}  // namespace crfs
