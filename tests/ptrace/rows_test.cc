// SPDX-License-Identifier: Apache-2.0
//
// The rows of tasks and threads, compared with what the program set and with /proc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "crfs/words.h"
#include "engine/proc_file.h"
#include "engine/proc_status.h"
#include "tests/ptrace/program.h"
#include "tests/sanitized.h"

namespace crfs {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kStackSize = 64 << 10;
char g_stack[kStackSize];

void Nothing(int) {}

void Sleep(Board& board) {
  ++board.ready;
  while (board.go == 0) ::usleep(1000);
}

ObjectView ThreadOf(const LoadedCheckpoint& saved, pid_t tid) {
  return FindObject(saved, "thread", "tid", static_cast<uint64_t>(tid));
}
ObjectView TaskOf(const LoadedCheckpoint& saved, pid_t pid) {
  return FindObject(saved, "task", "pid", static_cast<uint64_t>(pid));
}

TEST(Rows, OfSignals) {
  Program program([](Board& board) {
    struct sigaction action = {};
    action.sa_handler = Nothing;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    ::sigaddset(&action.sa_mask, SIGHUP);
    ::sigaction(SIGUSR1, &action, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    struct sigaction plain = {};
    plain.sa_handler = SIG_DFL;
    plain.sa_flags = SA_NOCLDWAIT;
    ::sigaction(SIGCHLD, &plain, nullptr);
    const stack_t stack = {g_stack, 0, kStackSize};
    ::sigaltstack(&stack, nullptr);
    sigset_t blocked;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR2);
    ::sigaddset(&blocked, SIGRTMIN);
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
    sigval value = {};
    value.sival_int = 77;
    ::sigqueue(::getpid(), SIGRTMIN, value);
    value.sival_int = 78;
    ::sigqueue(::getpid(), SIGRTMIN, value);
    ::syscall(SYS_tgkill, ::getpid(), ::getpid(), SIGUSR2);
    board.value[0] = reinterpret_cast<int64_t>(&Nothing);
    board.value[1] = reinterpret_cast<int64_t>(g_stack);
    Sleep(board);
    // All is as it was: the signals wait, in their order, and nothing was delivered.
    siginfo_t info;
    for (const int expected : {77, 78}) {
      if (::sigwaitinfo(&blocked, &info) == SIGUSR2) ::sigwaitinfo(&blocked, &info);
      if (info.si_signo != SIGRTMIN || info.si_value.sival_int != expected) board.wrong = expected;
    }
    sigset_t mask;
    ::sigprocmask(SIG_SETMASK, nullptr, &mask);
    if (!::sigismember(&mask, SIGUSR2) || ::sigismember(&mask, SIGUSR1)) board.wrong = 1;
  });
  const LoadedCheckpoint saved = program.Save();
  const ObjectView task = TaskOf(saved, program.pid());
  const auto action = [&](int signal) {
    for (const uint64_t id : saved.Owned("sigaction", task.Number("sighand"))) {
      if (saved.Get("sigaction", id).Number("signal") == static_cast<uint64_t>(signal)) return id;
    }
    return uint64_t{0};
  };
  ASSERT_NE(action(SIGUSR1), 0U);
  const ObjectView caught = saved.Get("sigaction", action(SIGUSR1));
  constexpr uint64_t kRestorer = 0x04000000;
  EXPECT_EQ(caught.Number("handler"), static_cast<uint64_t>(program.board().value[0]));
  EXPECT_EQ(caught.Number("flags"), uint64_t{SA_RESTART | SA_ONSTACK | kRestorer});
  EXPECT_EQ(caught.Number("mask"), 1U);
  EXPECT_NE(caught.Number("restorer"), 0U);
  ASSERT_NE(action(SIGPIPE), 0U);
  EXPECT_EQ(saved.Get("sigaction", action(SIGPIPE)).Number("handler"), 1U);
  ASSERT_NE(action(SIGCHLD), 0U);  // the default, with a flag
  EXPECT_EQ(action(SIGTERM), 0U);

  const ObjectView thread = ThreadOf(saved, program.pid());
  const uint64_t kMask = uint64_t{1} << (SIGUSR2 - 1) | uint64_t{1} << (SIGRTMIN - 1);
  EXPECT_EQ(thread.Number("sigmask"), kMask);
  EXPECT_EQ(thread.Number("restore_sigmask"), 0U);
  EXPECT_EQ(thread.Number("altstack_sp"), static_cast<uint64_t>(program.board().value[1]));
  EXPECT_EQ(thread.Number("altstack_size"), kStackSize);
  EXPECT_EQ(thread.Number("altstack_flags"), 0U);
  const auto shared = saved.Owned("signal", task.id());
  ASSERT_EQ(shared.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    const ObjectView signal = saved.Get("signal", shared[i]);
    EXPECT_EQ(signal.Number("signo"), static_cast<uint64_t>(SIGRTMIN));
    EXPECT_EQ(static_cast<int64_t>(signal.Number("code")), SI_QUEUE);
    EXPECT_EQ(signal.Number("queued"), 1U);
    ASSERT_GE(signal.Bytes("fields").size(), 9U);  // pid, uid, value
    EXPECT_EQ(signal.Bytes("fields")[8], static_cast<char>(77 + i));
  }
  const auto own = saved.Owned("thread_signal", thread.id());
  ASSERT_EQ(own.size(), 1U);
  EXPECT_EQ(saved.Get("thread_signal", own[0]).Number("signo"), static_cast<uint64_t>(SIGUSR2));
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

TEST(Rows, OfTimersAndLimits) {
  Program program([](Board& board) {
    const itimerval real = {{7, 500'000}, {1000, 0}}, prof = {{0, 0}, {500, 0}};
    ::setitimer(ITIMER_REAL, &real, nullptr);
    ::setitimer(ITIMER_PROF, &prof, nullptr);
    const rlimit core = {1 << 20, 2 << 20};
    ::setrlimit(RLIMIT_CORE, &core);
    ::umask(027);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::prctl(PR_SET_DUMPABLE, 1);
    ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    board.value[0] = reinterpret_cast<int64_t>(::sbrk(0));
    Sleep(board);
    itimerval left;
    ::getitimer(ITIMER_REAL, &left);
    if (left.it_value.tv_sec < 900 || left.it_interval.tv_usec != 500'000) board.wrong = 1;
  });
  const LoadedCheckpoint saved = program.Save();
  const ObjectView task = TaskOf(saved, program.pid());
  EXPECT_LE(task.Number("itimer_real_value"), 1000 * kSecond);
  EXPECT_GT(task.Number("itimer_real_value"), 980 * kSecond);
  EXPECT_EQ(task.Number("itimer_real_interval"), 7 * kSecond + kSecond / 2);
  EXPECT_GT(task.Number("itimer_prof_value"), 490 * kSecond);
  EXPECT_LE(task.Number("itimer_prof_value"), 501 * kSecond);
  EXPECT_EQ(task.Number("itimer_virtual_value"), 0U);
  EXPECT_EQ(task.Number("rlimit_core_soft"), 1U << 20);
  EXPECT_EQ(task.Number("rlimit_core_hard"), 2U << 20);
  EXPECT_EQ(task.Number("child_subreaper"), 1U);
  EXPECT_EQ(task.Number("ppid"), static_cast<uint64_t>(::getpid()));
  EXPECT_EQ(task.Number("pgid"), static_cast<uint64_t>(program.pid()));
  EXPECT_EQ(task.Number("sid"), static_cast<uint64_t>(::getsid(0)));
  EXPECT_EQ(task.Number("exit_signal"), static_cast<uint64_t>(SIGCHLD));
  EXPECT_EQ(task.Number("state"), CRFS_state_running);
  const ObjectView mm = saved.Get("mm", task.Number("mm"));
  EXPECT_EQ(mm.Number("brk"), static_cast<uint64_t>(program.board().value[0]));
  EXPECT_EQ(mm.Number("dumpable"), 1U);
  EXPECT_EQ(mm.Number("thp_disable"), 1U);
  EXPECT_EQ(mm.Number("def_flags"), 0U);
  EXPECT_EQ(mm.Number("blockers"), 0U);
  EXPECT_EQ(saved.Get("fs", task.Number("fs")).Number("umask"), 027U);
  const ProcStat stat = *ProcStat::Read(program.pid(), program.pid());
  EXPECT_EQ(mm.Number("start_stack"), stat.Number(28));
  EXPECT_EQ(mm.Number("env_end"), stat.Number(51));
  EXPECT_EQ(saved.Get("checkpoint", 1).Number("engine"), CRFS_engine_ptrace);
  // Nothing but, maybe, what the test's own descriptors are.
  EXPECT_THAT(std::string(saved.Get("checkpoint", 1).Bytes("unsupported")),
              Not(AnyOf(HasSubstr("tasks/"), HasSubstr("objects/mm"))));
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

TEST(Rows, OfLockedMemory) {
  if (kSanitized) GTEST_SKIP() << "sanitizers do not let a program lock its memory";
  Program program([](Board& board) {
    if (::mlockall(MCL_FUTURE) != 0) board.value[0] = 1;
    Sleep(board);
  });
  if (program.board().value[0] != 0) GTEST_SKIP() << "mlockall(2) is not allowed here";
  const LoadedCheckpoint saved = program.Save();
  EXPECT_EQ(saved.Get("mm", 1).Number("def_flags"), uint64_t{1} << CRFS_vma_flags_lo);
}

TEST(Rows, OfThreads) {
  constexpr int kThreads = 12;
  Program program(
      [](Board& board) {
        std::vector<std::thread> threads;
        for (int i = 0; i < kThreads; ++i) {
          threads.emplace_back([&board, i] {
            const std::string name = "worker-" + std::to_string(i);
            ::prctl(PR_SET_NAME, name.c_str());
            ::prctl(PR_SET_TIMERSLACK, 60'000 + i);
            ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), i % 5);
            if (i == 3) ::prctl(PR_SET_PDEATHSIG, SIGHUP);
            if (i == 4) {
              const sched_param parameters = {};
              ::sched_setscheduler(0, SCHED_BATCH, &parameters);
              cpu_set_t cpus;
              CPU_ZERO(&cpus);
              CPU_SET(0, &cpus);
              ::sched_setaffinity(0, sizeof(cpus), &cpus);
            }
            void* head = nullptr;
            size_t size = 0;
            ::syscall(SYS_get_robust_list, 0, &head, &size);
            uint64_t tid_address = 0;
            ::prctl(PR_GET_TID_ADDRESS, &tid_address);
            board.value[3 * i] = ::gettid();
            board.value[3 * i + 1] = reinterpret_cast<int64_t>(head);
            board.value[3 * i + 2] = static_cast<int64_t>(tid_address);
            Sleep(board);
          });
        }
        for (std::thread& thread : threads) thread.join();
      },
      kThreads);
  const LoadedCheckpoint saved = program.Save();
  const ObjectView task = TaskOf(saved, program.pid());
  ASSERT_EQ(saved.Owned("thread", task.id()).size(), kThreads + 1U);
  std::set<uint64_t> stacks;
  for (int i = 0; i < kThreads; ++i) {
    const auto tid = static_cast<pid_t>(program.board().value[3 * i].load());
    const ObjectView thread = ThreadOf(saved, tid);
    EXPECT_EQ(thread.Bytes("comm"), "worker-" + std::to_string(i));
    EXPECT_EQ(thread.Number("timerslack"), 60'000U + static_cast<uint64_t>(i));
    EXPECT_EQ(thread.Number("nice"), static_cast<uint64_t>(i % 5));
    EXPECT_EQ(thread.Number("pdeath_signal"), i == 3 ? static_cast<uint64_t>(SIGHUP) : 0);
    EXPECT_EQ(thread.Number("policy"), i == 4 ? static_cast<uint64_t>(SCHED_BATCH) : 0);
    if (i == 4) {
      EXPECT_EQ(thread.Bytes("cpus"), std::string("\1", 1));
    }
    EXPECT_EQ(thread.Number("robust_list"),
              static_cast<uint64_t>(program.board().value[3 * i + 1]));
    EXPECT_EQ(thread.Number("clear_child_tid"),
              static_cast<uint64_t>(program.board().value[3 * i + 2]));
    EXPECT_NE(thread.Number("rseq_address"), 0U);
    EXPECT_EQ(thread.Number("rseq_signature"), 0x53053053U);
    EXPECT_NE(thread.Number("fs_base"), 0U);
    EXPECT_EQ(thread.Number("cs"), 0x33U);
    EXPECT_GE(thread.Bytes("fpu").size(), 576U);
    EXPECT_EQ(thread.Number("state"), CRFS_state_running);
    stacks.insert(thread.Number("rsp"));
  }
  EXPECT_EQ(stacks.size(), size_t{kThreads});
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

// Threads that compute all the time: whatever their registers hold is theirs afterwards.
TEST(Busy, ThreadsGoOnRightly) {
  constexpr int kThreads = 6;
  Program program(
      [](Board& board) {
        std::vector<std::thread> threads;
        for (int i = 0; i < kThreads; ++i) {
          threads.emplace_back([&board, i] {
            ++board.ready;
            while (board.go == 0) {
              double sum = 0;
              uint64_t hash = static_cast<uint64_t>(i);
              for (int k = 1; k <= 20'000; ++k) {
                sum += 1.0 / k;
                hash = hash * 6364136223846793005U + 1442695040888963407U;
              }
              if (board.value[i] == 0) {
                board.value[i] = static_cast<int64_t>(hash);
                board.value[32] = static_cast<int64_t>(sum * 1e15);
              }
              if (board.value[i] != static_cast<int64_t>(hash) ||
                  board.value[32] != static_cast<int64_t>(sum * 1e15)) {
                board.wrong = 1;
              }
              ++board.value[16 + i];
            }
            ++board.done;
          });
        }
        for (std::thread& thread : threads) thread.join();
      },
      kThreads);
  for (int round = 0; round < 5; ++round) {
    const LoadedCheckpoint saved = program.Save();
    EXPECT_EQ(saved.Ids("thread").size(), kThreads + 1U);
    const int64_t before = program.board().value[16 + round];
    EXPECT_TRUE(Eventually([&] { return program.board().value[16 + round] > before + 2; }));
  }
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_EQ(program.board().done, kThreads);
}

}  // namespace
}  // namespace crfs
