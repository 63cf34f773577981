// SPDX-License-Identifier: Apache-2.0
//
// Calls of the device, of checkpoints and of restarts, with arguments that are nearly right,
// in any order, from several threads and processes that share the descriptors.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "fuzz.h"
#include "harness.h"

namespace kmod_test {
namespace {

// Files of every kind, some of which are not even files.
std::vector<int> OpenAllKinds() {
  std::vector<int> fds{-1, -100, 0x7fffffff};
  int ends[2];
  if (pipe(ends) == 0) fds.insert(fds.end(), ends, ends + 2);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0) fds.insert(fds.end(), ends, ends + 2);
  fds.push_back(epoll_create1(0));
  fds.push_back(eventfd(1, EFD_NONBLOCK));
  fds.push_back(memfd_create("fuzz", MFD_ALLOW_SEALING));
  if (ftruncate(fds.back(), 1 << 20) != 0) fds.pop_back();
  fds.push_back(open("/", O_RDONLY | O_DIRECTORY));
  fds.push_back(open("/tmp", O_RDWR | O_TMPFILE, 0600));
  fds.push_back(open("/tmp", O_PATH));
  fds.push_back(open("/tmp/fuzz-wo", O_WRONLY | O_CREAT, 0600));
  for (const char* path : {"/dev/zero",       "/dev/null",
                           "/dev/full",       "/dev/urandom",
                           "/dev/mem",        "/dev/kmsg",
                           "/dev/ptmx",       "/dev/fuse",
                           "/dev/crfs",       "/dev/vda",
                           "/proc/self/maps", "/proc/self/mem",
                           "/proc/meminfo",   "/proc/self/pagemap",
                           "/proc/kcore",     "/proc/sys/kernel/pid_max",
                           "/proc/version",   "/sys/kernel/mm/transparent_hugepage/enabled",
                           "/proc/self/exe",  "/bin/true",
                           "/etc/passwd"})
    fds.push_back(open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  return fds;
}

// What all threads and processes of a round share.
struct Table {
  std::atomic<int> fds[24];  // of checkpoints and restarts, inherited by all
  std::atomic<uint32_t> pids[8];
};

class Caller {
 public:
  Caller(Table& table, uint64_t seed, const std::vector<int>& files, const std::string& records)
      : table_(table), random_(seed), files_(files), records_(records) {}

  void Run(double seconds) {
    for (double end = Seconds() + seconds; Seconds() < end;) Step();
  }

 private:
  int Fd() { return table_.fds[random_.Below(std::size(table_.fds))]; }
  int File() { return random_.OneIn(6) ? Fd() : random_.Of(files_); }
  uint64_t Number() { return random_.OneIn(3) ? random_.Edge() : random_.Below(4); }
  uint32_t Milliseconds() { return 1 + static_cast<uint32_t>(random_.Below(40)); }
  uint32_t Pid() {
    return random_.OneIn(8) ? static_cast<uint32_t>(random_.Edge())
                            : random_.Of(table_.pids).load();
  }

  template <typename Args>
  void Call(unsigned long command, Args args) {
    args.size = random_.OneIn(10) ? static_cast<uint32_t>(random_.Edge()) : sizeof(args);
    if (random_.OneIn(30)) args.flags = 1u << random_.Below(32);
    void* at = random_.OneIn(50) ? reinterpret_cast<void*>(random_.Edge()) : &args;
    int result = ioctl(Fd(), command, at);
    if (result > 2 && command == CRFS_IOC_MEMORY) ReadMemory(result);
    if (result > 2) close(result);
  }

  void ReadMemory(int fd) {
    char buffer[8192];
    for (int i = 0; i < 4; i++)
      if (pread(fd, buffer, random_.Below(sizeof(buffer)), static_cast<off_t>(random_.Edge())) < 0)
        continue;
  }

  void Freeze() {
    uint32_t pid = Pid();
    std::string path = "/proc/" + std::to_string(pid) + "/" + (random_.OneIn(20) ? "maps" : "mem");
    int mem = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    crfs_ioc_freeze args{};
    args.pid = pid;
    args.mem_fd = random_.OneIn(10) ? File() : mem;
    args.timeout_ms = Milliseconds();
    Call(CRFS_IOC_FREEZE, args);
    close(mem);
  }

  void Fill() {
    crfs_fill ranges[4];
    for (crfs_fill& range : ranges)
      range = {random_.OneIn(2) ? Number() << 12 : random_.Edge(),
               random_.OneIn(2) ? Number() << 12 : random_.Edge(), Number(), File(), 0};
    crfs_ioc_fill args{};
    args.mm = Number();
    args.ranges = random_.OneIn(20) ? random_.Edge() : reinterpret_cast<uint64_t>(ranges);
    args.count = random_.OneIn(10) ? static_cast<uint32_t>(random_.Edge())
                                   : static_cast<uint32_t>(random_.Below(5));
    Call(CRFS_IOC_FILL, args);
  }

  void WriteRecords() {
    std::string bytes = records_;
    if (random_.OneIn(3))
      bytes[random_.Below(bytes.size())] ^= static_cast<char>(1 << random_.Below(8));
    if (random_.OneIn(3)) bytes.resize(random_.Below(bytes.size()));
    if (write(Fd(), bytes.data(), bytes.size()) < 0) return;
  }

  void Replace() {  // a new one, or a copy, or nothing, in place of another
    int device = open(CRFS_DEVICE_PATH, O_RDWR | O_CLOEXEC);
    crfs_ioc_checkpoint args{sizeof(args), 0};
    int made =
        random_.OneIn(5)
            ? dup(Fd())
            : ioctl(device, random_.OneIn(2) ? CRFS_IOC_CHECKPOINT : CRFS_IOC_RESTART, &args);
    close(device);
    int old = table_.fds[random_.Below(std::size(table_.fds))].exchange(made);
    if (old > 2) close(old);
  }

  // A process that joins, and does something else than it should.
  void JoinAndStray() {
    uint64_t what = random_.Next();
    uint64_t id = Number();
    int fd = Fd();
    if (fork() != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    crfs_ioc_join args{sizeof(args), 0, id};
    ioctl(fd, CRFS_IOC_JOIN, &args);
    if (what & 1) usleep(what >> 8 & 0x3fff);
    switch (what >> 4 & 3) {
      case 0:
        execl("/bin/true", "true", nullptr);
        break;
      case 1:
        for (int i = 0; i < 20; i++) usleep(1000);
        break;
      case 2:
        if (fork() == 0) _exit(0);
        break;
    }
    _exit(0);
  }

  void Step() {
    switch (random_.Below(16)) {
      case 0:
        return Replace();
      case 1:
        return Freeze();
      case 2:
        return Call(CRFS_IOC_CAPTURE, crfs_ioc_capture{});
      case 3:
        return Call(
            CRFS_IOC_MEMORY,
            crfs_ioc_memory{0, random_.OneIn(2) ? CRFS_TAG_mm : CRFS_TAG_shmem, Number(), 0, 0});
      case 4:
        return Call(CRFS_IOC_THAW, crfs_ioc_thaw{});
      case 5:
        return Call(CRFS_IOC_SUPPLY,
                    crfs_ioc_supply{0, random_.OneIn(2) ? CRFS_TAG_file : CRFS_TAG_shmem, Number(),
                                    File(), 0});
      case 6:
        return Call(CRFS_IOC_SHMEM, crfs_ioc_shmem{0, 0, Number()});
      case 7:
        return Fill();
      case 8:
        return Call(CRFS_IOC_JOIN, crfs_ioc_join{0, 0, Number()});
      case 9:
        return random_.OneIn(4) ? JoinAndStray() : WriteRecords();
      case 10:
        return WriteRecords();
      case 11: {
        char buffer[4096];
        if (read(Fd(), buffer, random_.Below(sizeof(buffer))) < 0) return;
        return;
      }
      case 12:
        kill(static_cast<pid_t>(random_.Of(table_.pids).load()),
             random_.OneIn(2) ? SIGSTOP : SIGCONT);
        return;
      case 13:
        return random_.OneIn(10) ? static_cast<void>(ioctl(Fd(), random_.Next(), random_.Edge()))
                                 : void();
      default: {
        if (random_.OneIn(4)) return Call(CRFS_IOC_HELP, crfs_ioc_help{});
        crfs_ioc_step args{};
        args.timeout_ms = Milliseconds();
        return Call(CRFS_IOC_GATHER + random_.Below(3), args);
      }
    }
  }

  Table& table_;
  Random random_;
  const std::vector<int>& files_;
  const std::string& records_;
};

std::string Round(Random& random, Tally& tally) {
  static const std::string records = RecordsOf(ProgramToSpoil().stream);
  auto* table = static_cast<Table*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  uint64_t seed = random.Next();
  Apart(8, [&] {
    signal(SIGUSR1, [](int) {});
    std::vector<int> files = OpenAllKinds();
    for (std::atomic<int>& fd : table->fds) fd = -1;
    for (size_t i = 0; i < std::size(table->pids); i++) {
      pid_t pid = fork();
      if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) i % 2 ? static_cast<void>(usleep(500)) : static_cast<void>(pause());
      }
      table->pids[i] = static_cast<uint32_t>(pid);
    }
    // Descriptors that both processes have, under the same numbers.
    Caller(*table, seed, files, records).Run(0.2);
    pid_t other = fork();
    if (other == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::vector<std::thread> threads;
    std::atomic<bool> over[3] = {};
    for (uint64_t i = 0; i < 3; i++)
      threads.emplace_back([&, i] {
        Caller(*table, seed + i + (other ? 1 : 101), files, records).Run(1);
        over[i] = true;
      });
    // Some wait for what only a signal ends.
    for (size_t i = 0; i < 3; i++) {
      while (!over[i]) pthread_kill(threads[i].native_handle(), SIGUSR1), usleep(20000);
      threads[i].join();
    }
    return std::string();
  });
  tally.Add("rounds of six threads");
  munmap(table, 4096);
  return "";
}

TEST(fuzz_calls) {
  EXPECT(ProgramToSpoil().error.empty(), ProgramToSpoil().error);
  return Fuzz("fuzz_calls", 8, Round);
}

}  // namespace
}  // namespace kmod_test
