// SPDX-License-Identifier: Apache-2.0
//
// Freezing what does not stand still, and what must not be frozen.

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "harness.h"

namespace kmod_test {
namespace {

void Beats(Target& self) {
  self.Ready();
  for (;;) self.Beat(), Pause(1);
}

TEST(permission_other_uid) {
  Target target(Beats);
  Target other([&](Target& self) {
    if (setresgid(1234, 1234, 1234) || setresuid(1234, 1234, 1234)) _exit(9);
    prctl(PR_SET_DUMPABLE, 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    self.Ready();
    std::string path = "/proc/" + std::to_string(target.pid()) + "/mem";
    if (open(path.c_str(), O_RDONLY) >= 0 || errno != EACCES) _exit(1);
    Checkpoint checkpoint;
    if (!checkpoint.ok()) _exit(2);
    Fd own(open("/proc/self/mem", O_RDONLY));
    if (checkpoint.FreezeWith(target.pid(), own.get()) != -EPERM) _exit(3);
    if (checkpoint.FreezeWith(target.pid(), -1) != -EPERM) _exit(4);
    Fd environ(open("/proc/self/environ", O_RDONLY));
    if (checkpoint.FreezeWith(target.pid(), environ.get()) != -EPERM) _exit(5);
    Fd path_only(open(path.c_str(), O_PATH));
    if (checkpoint.FreezeWith(target.pid(), path_only.get()) != -EPERM) _exit(6);
    pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_DUMPABLE, 1);
      Pause(5000);
      _exit(0);
    }
    Pause(50);
    if (checkpoint.Freeze(child) != 0) _exit(7);
    if (checkpoint.Capture() != 0) _exit(8);
    checkpoint.Thaw();
    kill(child, SIGKILL);
    _exit(0);
  });
  EXPECT_EQ(other.Wait(), 0);
  EXPECT(target.Runs(), "the target does not go on");
  return "";
}

TEST(permission_wrong_proofs) {
  Target target(Beats), second(Beats);
  Checkpoint checkpoint;
  Fd wrong(open(("/proc/" + std::to_string(second.pid()) + "/mem").c_str(), O_RDONLY));
  EXPECT_EQ(checkpoint.FreezeWith(target.pid(), wrong.get()), -EPERM);
  Fd regular(open("/etc/passwd", O_RDONLY));
  EXPECT_EQ(checkpoint.FreezeWith(target.pid(), regular.get()), -EPERM);
  Fd environ(open(("/proc/" + std::to_string(target.pid()) + "/environ").c_str(), O_RDONLY));
  EXPECT_EQ(checkpoint.FreezeWith(target.pid(), environ.get()), -EPERM);
  EXPECT_EQ(checkpoint.FreezeWith(target.pid(), 12345), -EPERM);
  EXPECT_EQ(checkpoint.FreezeWith(target.pid(), -1), -EPERM);
  EXPECT_EQ(checkpoint.FreezeWith(target.pid(), -2), -EINVAL);
  EXPECT_EQ(checkpoint.FreezeWith(0, wrong.get()), -EINVAL);
  EXPECT_EQ(checkpoint.FreezeWith(-1, wrong.get()), -EINVAL);
  EXPECT_EQ(checkpoint.FreezeWith(4000000, wrong.get()), -ESRCH);
  EXPECT(target.Runs(), "the target does not go on");
  return "";
}

TEST(execve_makes_the_proof_void) {
  Target target([](Target& self) {
    self.Ready();
    Pause(300);
    execl("/bin/sleep", "sleep", "20", nullptr);
  });
  Fd mem(open(("/proc/" + std::to_string(target.pid()) + "/mem").c_str(), O_RDONLY));
  Pause(1500);
  Checkpoint checkpoint;
  EXPECT_EQ(checkpoint.FreezeWith(target.pid(), mem.get()), -EPERM);
  EXPECT_EQ(checkpoint.Freeze(target.pid()), 0);
  return "";
}

TEST(kernel_thread_self_and_gone) {
  Checkpoint checkpoint;
  Fd mem(open("/proc/self/mem", O_RDONLY));
  EXPECT_EQ(checkpoint.FreezeWith(2, mem.get()), -EINVAL);
  EXPECT_EQ(checkpoint.FreezeWith(getpid(), mem.get()), -EDEADLK);
  pid_t child = fork();
  if (child == 0) _exit(0);
  Pause(50);
  EXPECT_EQ(checkpoint.FreezeWith(child, mem.get()), -ESRCH);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(checkpoint.FreezeWith(child, mem.get()), -ESRCH);
  return "";
}

TEST(busy_and_already) {
  Target target(Beats);
  Checkpoint first, second;
  EXPECT_EQ(first.Freeze(target.pid()), 0);
  EXPECT_EQ(first.Freeze(target.pid()), -EALREADY);
  EXPECT_EQ(second.Freeze(target.pid()), -EBUSY);
  first.Close();
  EXPECT_EQ(second.Freeze(target.pid()), 0);
  EXPECT_EQ(second.Capture(), 0);
  EXPECT_EQ(second.Capture(), -EINVAL);
  EXPECT_EQ(second.Thaw(), 0);
  EXPECT_EQ(second.Thaw(), 0);
  EXPECT_EQ(second.Freeze(target.pid()), -EINVAL);
  EXPECT(target.Runs(), "the target does not go on");
  return "";
}

TEST(zombies) {
  Target target([](Target& self) {
    pid_t child = fork();
    if (child == 0) _exit(7);
    pid_t killed = fork();
    if (killed == 0) kill(getpid(), SIGTERM), pause();
    Pause(100);
    self.Ready(static_cast<uint64_t>(child) << 32 | static_cast<uint64_t>(killed));
    pause();
  });
  auto child = static_cast<pid_t>(target.word() >> 32), killed = static_cast<pid_t>(target.word());
  Checkpoint checkpoint;
  EXPECT_EQ(checkpoint.FreezeWith(child, -1), -EPERM);
  EXPECT_EQ(checkpoint.Freeze(target.pid()), 0);
  EXPECT_EQ(checkpoint.FreezeWith(child, -1), 0);
  EXPECT_EQ(checkpoint.freeze.threads, 1u);
  EXPECT_EQ(checkpoint.FreezeWith(killed, -1), 0);
  Stream stream = Take(checkpoint, {});
  EXPECT(stream.error.empty(), stream.error);
  EXPECT_EQ(stream.Of(CRFS_TAG_task).size(), 3u);
  const auto& zombie = stream.At(CRFS_TAG_task, 2).As<crfs_task>();
  EXPECT_EQ(zombie.pid, static_cast<uint32_t>(child));
  EXPECT_EQ(zombie.ppid, static_cast<uint32_t>(target.pid()));
  EXPECT_EQ(zombie.state, static_cast<uint32_t>(CRFS_state_zombie));
  EXPECT_EQ(zombie.exit_code, 7u << 8);
  EXPECT_EQ(zombie.mm, 0u);
  EXPECT_EQ(stream.At(CRFS_TAG_task, 3).As<crfs_task>().exit_code, static_cast<uint32_t>(SIGTERM));
  EXPECT_EQ(stream.Of(CRFS_TAG_thread).size(), 3u);
  EXPECT_EQ(stream.At(CRFS_TAG_thread, 2).As<crfs_thread>().state, static_cast<uint32_t>(CRFS_state_zombie));
  return "";
}

TEST(zombie_leader) {
  Target target([](Target& self) {
    static Target* me = &self;
    pthread_t thread;
    pthread_create(&thread, nullptr, [](void*) -> void* { Pause(100); Beats(*me); return nullptr; }, nullptr);
    syscall(SYS_exit, 3);
  });
  Checkpoint checkpoint;
  // The leader's own mem file has no address space, that of the thread has.
  std::string tid = ReadFile("/proc/" + std::to_string(target.pid()) + "/task/" +
                             std::to_string(target.pid() + 1) + "/comm");
  Fd mem(open(("/proc/" + std::to_string(target.pid()) + "/task/" + std::to_string(target.pid() + 1) +
               "/mem").c_str(), O_RDONLY));
  EXPECT(mem.ok(), tid + strerror(errno));
  int error = checkpoint.FreezeWith(target.pid(), mem.get());
  EXPECT(error == 0, strerror(-error));
  EXPECT_EQ(checkpoint.freeze.threads, 2u);
  Stream stream = Take(checkpoint, {});
  EXPECT(stream.error.empty(), stream.error);
  EXPECT_EQ(stream.At(CRFS_TAG_thread, 1).As<crfs_thread>().state, static_cast<uint32_t>(CRFS_state_zombie));
  EXPECT_EQ(stream.At(CRFS_TAG_thread, 1).As<crfs_thread>().exit_code, 3u << 8);
  EXPECT_EQ(stream.At(CRFS_TAG_thread, 2).As<crfs_thread>().state, static_cast<uint32_t>(CRFS_state_running));
  EXPECT_EQ(checkpoint.Thaw(), 0);
  EXPECT(target.Runs(), "the target does not go on");
  return "";
}

TEST(vfork_parent_times_out) {
  Target target([](Target& self) {
    std::thread beats([&] { for (;;) self.Beat(), Pause(1); });
    self.Ready();
    if (vfork() == 0) {
      syscall(SYS_nanosleep, &(const timespec&)timespec{2, 0}, nullptr);
      _exit(0);
    }
    pause();
  });
  Pause(200);
  Checkpoint checkpoint;
  EXPECT_EQ(checkpoint.Freeze(target.pid(), 300), -ETIMEDOUT);
  EXPECT_EQ(checkpoint.freeze.tid, static_cast<uint32_t>(target.pid()));
  EXPECT(target.Runs(), "the target does not go on");
  Pause(2200);
  EXPECT_EQ(checkpoint.Freeze(target.pid(), 2000), 0);
  return "";
}

TEST(stopped) {
  Target target(Beats);
  kill(target.pid(), SIGSTOP);
  Pause(50);
  EXPECT_EQ(StateOf(target.pid()), 'T');
  for (int round = 0; round < 20; round++) {  // its work stays queued each time
    Checkpoint checkpoint;
    Stream stream = Take(checkpoint, {target.pid()});
    EXPECT(stream.error.empty(), stream.error);
    EXPECT_EQ(stream.At(CRFS_TAG_task, 1).As<crfs_task>().state, static_cast<uint32_t>(CRFS_state_stopped));
    EXPECT_EQ(stream.At(CRFS_TAG_thread, 1).As<crfs_thread>().state, static_cast<uint32_t>(CRFS_state_stopped));
  }
  Checkpoint checkpoint;
  Stream stopped = Take(checkpoint, {target.pid()});
  EXPECT(stopped.error.empty(), stopped.error);
  uint64_t before = target.beats();
  kill(target.pid(), SIGCONT);  // must not escape
  Pause(100);
  EXPECT_EQ(target.beats(), before);
  EXPECT_EQ(checkpoint.Thaw(), 0);
  EXPECT(target.Runs(), "the target does not go on");
  return "";
}

TEST(continued_before_capture) {
  Target target(Beats);
  for (int round = 0; round < 30; round++) {
    kill(target.pid(), SIGSTOP);
    Pause(round % 3);
    Checkpoint checkpoint;
    EXPECT_EQ(checkpoint.Freeze(target.pid()), 0);
    std::thread wake([&] { kill(target.pid(), SIGCONT); });
    Stream stream = Take(checkpoint, {});
    wake.join();
    EXPECT(stream.error.empty(), stream.error);
  }
  EXPECT(target.Runs(), "the target does not go on");
  return "";
}

TEST(killed_while_frozen) {
  for (int round = 0; round < 10; round++) {
    Target target([](Target& self) {
      std::vector<std::thread> threads;
      for (int i = 0; i < 4; i++) threads.emplace_back([] { for (;;) Pause(1); });
      self.Ready();
      pause();
    });
    Checkpoint checkpoint;
    EXPECT_EQ(checkpoint.Freeze(target.pid()), 0);
    if (round % 2) {
      EXPECT_EQ(checkpoint.Capture(), 0);
      Fd memory = checkpoint.Memory(CRFS_TAG_mm, 1);
      kill(target.pid(), SIGKILL);
      char byte;
      EXPECT_EQ(pread(memory.get(), &byte, 1, 0), -1);
    } else {
      kill(target.pid(), SIGKILL);
      Pause(20);
      EXPECT_EQ(checkpoint.Capture(), -ESRCH);
      EXPECT_EQ(checkpoint.capture.pid, static_cast<uint32_t>(target.pid()));
    }
    EXPECT_EQ(target.Wait(), SIGKILL);  // dies although it is frozen
  }
  return "";
}

// Freezes again and again what forks, clones, execs and exits. Each answer must be one of
// those that ioctl.h tells of, and quick.
std::string Storm(const std::function<void(Target&)>& body, int rounds) {
  Target target(body);
  int good = 0;
  for (int round = 0; round < rounds; round++) {
    double start = Seconds();
    Checkpoint checkpoint;
    int error = checkpoint.Freeze(target.pid());
    EXPECT(error == 0 || error == -EPERM || error == -ETIMEDOUT, strerror(-error));
    EXPECT(Seconds() - start < 9, "a freeze took too long");
    if (error) continue;
    Stream stream = Take(checkpoint, {});
    EXPECT(stream.error.empty(), stream.error);
    EXPECT_EQ(stream.Of(CRFS_TAG_thread).size(), static_cast<size_t>(checkpoint.freeze.threads));
    good++;
  }
  EXPECT(target.Runs(8000), "the target does not go on");
  EXPECT(good * 2 > rounds, "only " + std::to_string(good) + " captures");
  return "";
}

TEST(storm_of_threads) {
  return Storm([](Target& self) {
    self.Ready();
    std::vector<std::thread> makers;
    for (int i = 0; i < 3; i++)
      makers.emplace_back([&] {
        for (;;) {
          std::thread([&] { self.Beat(); }).join();
        }
      });
    makers[0].join();
  }, 60);
}

TEST(storm_of_forks) {
  return Storm([](Target& self) {
    self.Ready();
    for (;;) {
      pid_t child = fork();
      if (child == 0) _exit(0);
      waitpid(child, nullptr, 0);
      self.Beat();
    }
  }, 60);
}

TEST(storm_of_execs) {
  Target target([](Target& self) {
    self.Ready();
    execl("/bin/sh", "sh", "-c", "n=$1; exec /bin/sh -c \"$0\" \"$0\" $((n+1))",
          "n=$1; exec /bin/sh -c \"$0\" \"$0\" $((n+1))", "0", nullptr);
  });
  int good = 0, moved = 0;
  for (int round = 0; round < 40; round++) {
    Checkpoint checkpoint;
    int error = checkpoint.Freeze(target.pid());
    EXPECT(error == 0 || error == -EPERM, strerror(-error));
    good += error == 0;
    moved += error != 0;
    if (!error) EXPECT_EQ(checkpoint.Capture(), 0);
  }
  printf("# %d captured, %d told of another program\n", good, moved);
  EXPECT(good > 0, "none captured");
  return "";
}

TEST(storm_of_exits) {
  for (int round = 0; round < 40; round++) {
    Target target([&](Target& self) {
      std::vector<std::thread> threads;
      for (int i = 0; i < 3; i++) threads.emplace_back([] { Pause(30); });
      self.Ready();
      Pause(round % 5);
      _exit(0);
    });
    Checkpoint checkpoint;
    int error = checkpoint.Freeze(target.pid(), 5000);
    EXPECT(error == 0 || error == -ESRCH || error == -EPERM || error == -EACCES || error == -ENOENT,
           strerror(-error));
    if (!error) EXPECT_EQ(checkpoint.Capture(), 0);
    checkpoint.Close();
    EXPECT_EQ(target.Wait(), 0);
  }
  return "";
}

TEST(reader_killed_at_random) {
  Target target([](Target& self) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++) threads.emplace_back([] { for (;;) Pause(1); });
    Beats(self);
  });
  for (int round = 0; round < 25; round++) {
    Target reader([&](Target& self) {
      self.Ready();
      for (;;) {
        Checkpoint checkpoint;
        Stream stream = Take(checkpoint, {target.pid()});
        Fd memory = checkpoint.Memory(CRFS_TAG_mm, 1);
        std::vector<char> buffer(1 << 20);
        for (const Object& object : stream.Of(CRFS_TAG_vma))
          pread(memory.get(), buffer.data(), buffer.size(), static_cast<off_t>(object.As<crfs_vma>().start));
      }
    });
    Pause(round * 2);
    kill(reader.pid(), SIGKILL);
    reader.Wait();
    EXPECT(target.Runs(), "the target does not go on after round " + std::to_string(round));
  }
  return "";
}

TEST(interrupted_freeze) {
  Target target([](Target& self) {
    self.Ready();
    if (vfork() == 0) {
      syscall(SYS_nanosleep, &(const timespec&)timespec{1, 0}, nullptr);
      _exit(0);
    }
    for (;;) self.Beat(), Pause(1);
  });
  Pause(100);
  Target freezer([&](Target& self) {
    self.Ready();
    signal(SIGALRM, [](int) {});
    struct sigaction action {};
    action.sa_handler = [](int) {};
    sigaction(SIGALRM, &action, nullptr);
    ualarm(200000, 0);
    Checkpoint checkpoint;
    _exit(checkpoint.Freeze(target.pid()) == -EINTR ? 0 : 1);
  });
  EXPECT_EQ(freezer.Wait(), 0);
  Pause(1000);
  EXPECT(target.Runs(), "the target does not go on");
  return "";
}

}  // namespace
}  // namespace kmod_test
