// SPDX-License-Identifier: Apache-2.0
//
// What a restart must not give: each case is one way to get from it what its caller could not
// have had without, or to have it leave something behind.

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "harness.h"
#include "restarter.h"

namespace kmod_test {
namespace {

constexpr size_t kPage = 4096;

char* Map(size_t pages, int prot, int flags = MAP_PRIVATE | MAP_ANONYMOUS) {
  void* at = mmap(nullptr, pages * kPage, prot, flags, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}

// A child of its own that is gone afterwards, whatever it did; its word.
uint64_t InChild(const std::function<uint64_t()>& body) {
  Target target([&](Target& self) { self.Ready(body()); });
  return target.word();
}

std::string NameOf(pid_t pid) { return Status(pid, "Name"); }

// Waits until it has become another program.
bool Becomes(pid_t pid, const std::string& name) {
  for (int i = 0; i < 500 && NameOf(pid) != name; i++) Pause(10);
  return NameOf(pid) == name;
}

// The program that took the place of who joined may have more rights than its maker: it is
// neither rebuilt, nor kept waiting, nor killed.
TEST(restart_hostile_execve_after_join) {
  Target target([](Target& self) {
    self.Ready();
    for (;;) pause();
  });
  Saved saved;
  std::string why = SaveAndKill(target, &saved);
  EXPECT(why.empty(), why);
  Restart restart;
  why = restart.Load(saved);
  EXPECT(why.empty(), why);
  pid_t tid = target.pid();
  // By raw clone3, as restarter.cc does; the child joins and becomes sleep(1).
  struct {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size;
  } args{};
  args.exit_signal = SIGCHLD;
  args.set_tid = reinterpret_cast<uint64_t>(&tid);
  args.set_tid_size = 1;
  long pid = syscall(SYS_clone3, &args, sizeof(args));
  if (pid == 0) {
    if (restart.Join(1) != 0) _exit(1);
    execl("/bin/sleep", "sleep", "1000", nullptr);
    _exit(2);
  }
  EXPECT_EQ(pid, long{target.pid()});
  EXPECT(Becomes(target.pid(), "sleep"), NameOf(target.pid()));
  int error = restart.Gather(2000);
  EXPECT(error == -EINVAL || error == -ESRCH, std::to_string(error));
  restart.Close();
  Pause(50);
  EXPECT(StateOf(target.pid()) != 'Z' && StateOf(target.pid()) != '?', "it was killed");
  EXPECT_EQ(NameOf(target.pid()), std::string("sleep"));
  return "";
}

// A close while a step waits without end ends the step, and does not wait itself.
TEST(restart_hostile_close_in_a_step) {
  Target target([](Target& self) {
    self.Ready();
    for (;;) pause();
  });
  Saved saved;
  std::string why = SaveAndKill(target, &saved);
  EXPECT(why.empty(), why);
  Restart restart;
  why = restart.Load(saved);
  EXPECT(why.empty(), why);
  std::vector<pid_t> made;
  why = restart.Make(saved, &made);
  EXPECT(why.empty(), why);
  kill(target.pid(), SIGSTOP);  // stopped: it does not come to where GATHER waits for it
  Pause(50);
  int error = 0;
  std::thread step([&] { error = restart.Gather(0xffffffff); });
  Pause(100);
  double start = Seconds();
  close(dup(restart.fd()));  // not the last
  Pause(100);
  EXPECT_EQ(error, 0);
  restart.Close();
  double took = Seconds() - start;
  step.join();
  EXPECT_EQ(error, -ENODEV);
  EXPECT(took < 1, "the close took " + std::to_string(took));
  return "";
}

// Memory of the caller that is never there is waited for without the lock: the close goes on.
TEST(restart_hostile_arguments_that_never_come) {
  Fd uffd(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC)));
  if (!uffd.ok()) SKIP("no userfaultfd");
  uffdio_api api{UFFD_API, 0, 0};
  EXPECT_EQ(ioctl(uffd.get(), UFFDIO_API, &api), 0);
  char* never = Map(3, PROT_READ | PROT_WRITE);
  uffdio_register range{
      {reinterpret_cast<uint64_t>(never), 3 * kPage}, UFFDIO_REGISTER_MODE_MISSING, 0};
  EXPECT_EQ(ioctl(uffd.get(), UFFDIO_REGISTER, &range), 0);
  Target target([](Target& self) {
    self.Ready();
    for (;;) pause();
  });
  Saved saved = Save({target.pid()});
  EXPECT(saved.error.empty(), saved.error);
  Restart restart;
  std::string why = restart.Load(saved);
  EXPECT(why.empty(), why);
  Checkpoint checkpoint;
  int fd = restart.fd(), other = checkpoint.fd();
  crfs_ioc_fill fill{sizeof(fill), 0, 1, reinterpret_cast<uint64_t>(never + kPage), 5, 0};
  std::thread stuck[] = {std::thread([=] { write(fd, never, kPage); }),
                         std::thread([=] { ioctl(fd, CRFS_IOC_SUPPLY, never); }),
                         std::thread([=] { ioctl(fd, CRFS_IOC_FILL, &fill); }),
                         std::thread([=] { ioctl(other, CRFS_IOC_FREEZE, never + 2 * kPage); })};
  Pause(100);
  double start = Seconds();
  EXPECT_EQ(restart.Join(1), -EINVAL);  // the lock is free
  EXPECT_EQ(checkpoint.Capture(), -EINVAL);
  restart.Close();
  checkpoint.Close();
  double took = Seconds() - start;
  uffdio_range wake{reinterpret_cast<uint64_t>(never), 3 * kPage};
  ioctl(uffd.get(), UFFDIO_UNREGISTER, &wake);
  for (std::thread& thread : stuck) thread.join();
  munmap(never, 3 * kPage);
  EXPECT(took < 1, "the close took " + std::to_string(took));
  return "";
}

// A parent that has not joined, here init, gets no signal of the child's choice.
TEST(restart_hostile_exit_signal) {
  Target target([](Target& self) {
    self.Ready();
    for (;;) pause();
  });
  Saved saved;
  std::string why = SaveAndKill(target, &saved);
  EXPECT(why.empty(), why);
  saved.Wire<crfs_task>(CRFS_TAG_task, 1).exit_signal = SIGUSR1;
  Restart restart;
  why = restart.Load(saved);
  EXPECT(why.empty(), why);
  // Made by a process that is not the holder.
  Target maker([&](Target& self) {
    why = restart.Make(saved, nullptr);
    self.Ready(why.empty());
    for (;;) pause();
  });
  EXPECT_EQ(maker.word(), 1u);
  EXPECT_EQ(restart.Gather(), 0);
  EXPECT_EQ(restart.Build(), 0);
  EXPECT_EQ(restart.Start(), -EPERM);
  EXPECT_EQ(restart.step.type, uint32_t{CRFS_TAG_task});
  EXPECT_EQ(StateOf(maker.pid()), 'S');
  return "";
}

// Memory of a restart is no program, and a filter of system calls is not got round.
TEST(restart_hostile_memory_is_no_program) {
  Restart restart;
  Fd memory = restart.Shmem(1 << 20);
  EXPECT(memory.ok(), strerror(errno));
  Fd self(open("/bin/true", O_RDONLY));
  std::string program = ReadFile("/bin/true");
  EXPECT_EQ(write(memory.get(), program.data(), program.size()),
            static_cast<ssize_t>(program.size()));
  uint64_t error = InChild([&] {
    const char* const none[] = {"true", nullptr};
    syscall(SYS_execveat, memory.get(), "", none, none, AT_EMPTY_PATH);
    return static_cast<uint64_t>(errno);
  });
  EXPECT_EQ(error, uint64_t{EACCES});
  void* at = mmap(nullptr, kPage, PROT_READ | PROT_EXEC, MAP_SHARED, memory.get(), 0);
  EXPECT(at != MAP_FAILED, strerror(errno));
  munmap(at, kPage);
  return "";
}

TEST(restart_hostile_seccomp) {
  for (bool root : {true, false}) {
    uint64_t error = InChild([=] {
      sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
      sock_fprog program{1, &allow};
      if (!root && (setresgid(1000, 1000, 1000) != 0 || setresuid(1000, 1000, 1000) != 0))
        return uint64_t{1000};
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) return uint64_t{1001};
      Fd device(open(CRFS_DEVICE_PATH, O_RDWR));
      crfs_ioc_restart args{sizeof(args), 0};
      return static_cast<uint64_t>(ioctl(device.get(), CRFS_IOC_RESTART, &args) < 0 ? errno : 0);
    });
    EXPECT_EQ(error, static_cast<uint64_t>(root ? 0 : EPERM));
  }
  return "";
}

}  // namespace
}  // namespace kmod_test
