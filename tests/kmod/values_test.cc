// SPDX-License-Identifier: Apache-2.0
//
// The values against what /proc and system calls say of the same frozen target.

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <sstream>
#include <thread>

#include "harness.h"

namespace kmod_test {
namespace {

std::string Proc(pid_t pid, const std::string& name) { return "/proc/" + std::to_string(pid) + "/" + name; }

uint64_t Dev(dev_t dev) { return uint64_t{gnu_dev_major(dev)} << 32 | gnu_dev_minor(dev); }

uint64_t Hex(const std::string& text) { return std::stoull(text, nullptr, 16); }

std::string Link(const std::string& path) {
  char target[4096];
  ssize_t length = readlink(path.c_str(), target, sizeof(target));
  return length < 0 ? "?" : std::string(target, static_cast<size_t>(length));
}

// Field `number` of /proc/PID/stat, as proc(5) counts them.
std::string Stat(pid_t pid, int number) {
  std::string text = ReadFile(Proc(pid, "stat"));
  std::istringstream in(text.substr(text.rfind(')') + 2));
  std::string field;
  for (int i = 3; i <= number; i++) in >> field;
  return field;
}

std::atomic<int> ready_threads;

void Prepare(Target& self) {
  prctl(PR_SET_NAME, "values target");
  prctl(PR_SET_TIMERSLACK, 77000);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  umask(0127);
  personality(ADDR_NO_RANDOMIZE);
  setpriority(PRIO_PROCESS, 0, 3);
  gid_t groups[] = {5, 77, 1000};
  setgroups(3, groups);
  setresgid(10, 11, 12);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  rlimit limit{123, 4567};
  setrlimit(RLIMIT_NOFILE, &limit);
  itimerval timer{{100, 0}, {200, 0}};
  setitimer(ITIMER_REAL, &timer, nullptr);
  setitimer(ITIMER_PROF, &timer, nullptr);
  struct sigaction action {};
  action.sa_sigaction = [](int, siginfo_t*, void*) {};
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigaddset(&action.sa_mask, SIGUSR2);
  sigaction(SIGUSR1, &action, nullptr);
  signal(SIGHUP, SIG_IGN);
  static char stack[65536];
  stack_t alt{stack, 0, sizeof(stack)};
  sigaltstack(&alt, nullptr);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGRTMIN + 2);
  sigprocmask(SIG_BLOCK, &blocked, nullptr);
  sigval value{};
  value.sival_int = 4711;
  sigqueue(getpid(), SIGRTMIN + 2, value);
  sigqueue(getpid(), SIGRTMIN + 2, value);
  syscall(SYS_tgkill, getpid(), gettid(), SIGTERM);
  chdir("/tmp");
  int file = open("/tmp/values file", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (write(file, "twelve bytes", 12) != 12) _exit(90);
  lseek(file, 7, SEEK_SET);
  fcntl(file, F_SETOWN, getpid());
  fcntl(file, F_SETSIG, SIGUSR1);
  int gone = open("/tmp/values gone", O_RDWR | O_CREAT, 0600);
  unlink("/tmp/values gone");
  dup2(gone, 100);
  int ends[2];
  if (pipe2(ends, O_NONBLOCK) != 0) _exit(91);
  fcntl(ends[0], F_SETPIPE_SZ, 8192);
  open("/dev/null", O_WRONLY);
  open("/tmp", O_RDONLY | O_DIRECTORY);
  open("/tmp", O_PATH);
  open("/proc/self/status", O_RDONLY);
  open("/proc/self/ns/net", O_RDONLY);
  socket(AF_UNIX, SOCK_STREAM, 0);
  epoll_create1(0);
  eventfd(3, 0);
  timerfd_create(CLOCK_MONOTONIC, 0);
  signalfd(-1, &blocked, 0);
  inotify_init();
  syscall(SYS_pidfd_open, getpid(), 0);
  if (open("/dev/ptmx", O_RDWR | O_NOCTTY) < 0) open("/dev/ttyS0", O_RDWR | O_NOCTTY | O_NONBLOCK);
  mkfifo("/tmp/values fifo", 0600);
  open("/tmp/values fifo", O_RDWR);
  mmap(nullptr, 8192, PROT_READ, MAP_SHARED, file, 0);
  char* more = static_cast<char*>(mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  madvise(more, 1 << 16, MADV_DONTDUMP);
  madvise(more + (1 << 17), 1 << 16, MADV_DONTFORK);
  madvise(more + (1 << 18), 1 << 16, MADV_NOHUGEPAGE);
  mlock(more + (1 << 19), 8192);
  for (int i = 0; i < 3; i++) {
    std::thread([] {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(0, &one);
      sched_setaffinity(0, sizeof(one), &one);
      prctl(PR_SET_NAME, "a thread");
      sched_param param{};
      if (ready_threads++ == 1) sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &param);
      pause();
    }).detach();
  }
  while (ready_threads < 3) Pause(1);
  Pause(20);
  self.Ready();
  for (;;) self.Beat(), Pause(1);
}

std::string CheckCred(Stream& stream, pid_t pid, const crfs_thread& thread) {
  const Object& object = stream.At(CRFS_TAG_cred, thread.cred);
  const auto& cred = object.As<crfs_cred>();
  std::ostringstream uid, gid, groups;
  uid << cred.uid << '\t' << cred.euid << '\t' << cred.suid << '\t' << cred.fsuid;
  gid << cred.gid << '\t' << cred.egid << '\t' << cred.sgid << '\t' << cred.fsgid;
  std::string_view list = object.Bytes(cred.groups);
  for (size_t i = 0; i + 4 <= list.size(); i += 4) {
    uint32_t group;
    memcpy(&group, list.data() + i, 4);
    groups << (i ? " " : "") << group;
  }
  EXPECT_EQ(uid.str(), Status(pid, "Uid"));
  EXPECT_EQ(gid.str(), Status(pid, "Gid"));
  EXPECT_EQ(groups.str(), Status(pid, "Groups"));
  EXPECT_EQ(cred.cap_inheritable, Hex(Status(pid, "CapInh")));
  EXPECT_EQ(cred.cap_permitted, Hex(Status(pid, "CapPrm")));
  EXPECT_EQ(cred.cap_effective, Hex(Status(pid, "CapEff")));
  EXPECT_EQ(cred.cap_bounding, Hex(Status(pid, "CapBnd")));
  EXPECT_EQ(cred.cap_ambient, Hex(Status(pid, "CapAmb")));
  return "";
}

std::string CheckTask(Stream& stream, pid_t pid) {
  const Object& object = stream.At(CRFS_TAG_task, 1);
  const auto& task = object.As<crfs_task>();
  EXPECT_EQ(task.pid, static_cast<uint32_t>(pid));
  EXPECT_EQ(task.ppid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(task.pgid, static_cast<uint32_t>(getpgid(pid)));
  EXPECT_EQ(task.sid, static_cast<uint32_t>(getsid(pid)));
  EXPECT_EQ(task.exit_signal, static_cast<uint32_t>(SIGCHLD));
  EXPECT_EQ(task.child_subreaper, 1u);
  EXPECT_EQ(task.blockers, 0u);
  EXPECT_EQ(task.oom_score_adj, std::stoi(ReadFile(Proc(pid, "oom_score_adj"))));
  EXPECT_EQ(std::string(object.Bytes(task.argv)), std::string(ReadFile(Proc(pid, "cmdline"))));
  EXPECT_EQ(std::string(object.Bytes(task.environ)), std::string(ReadFile(Proc(pid, "environ"))));
  uint32_t nspid;
  EXPECT_EQ(object.Bytes(task.nspid).size(), 4u);
  memcpy(&nspid, object.Bytes(task.nspid).data(), 4);
  EXPECT_EQ(nspid, task.pid);
  rlimit limit;
#define CHECK_LIMIT(name, number)                               \
  prlimit(pid, number, nullptr, &limit);                        \
  EXPECT_EQ(task.rlimit_##name##_soft, uint64_t{limit.rlim_cur}); \
  EXPECT_EQ(task.rlimit_##name##_hard, uint64_t{limit.rlim_max});
  CHECK_LIMIT(cpu, RLIMIT_CPU)
  CHECK_LIMIT(fsize, RLIMIT_FSIZE)
  CHECK_LIMIT(data, RLIMIT_DATA)
  CHECK_LIMIT(stack, RLIMIT_STACK)
  CHECK_LIMIT(core, RLIMIT_CORE)
  CHECK_LIMIT(rss, RLIMIT_RSS)
  CHECK_LIMIT(nproc, RLIMIT_NPROC)
  CHECK_LIMIT(nofile, RLIMIT_NOFILE)
  CHECK_LIMIT(memlock, RLIMIT_MEMLOCK)
  CHECK_LIMIT(as, RLIMIT_AS)
  CHECK_LIMIT(locks, RLIMIT_LOCKS)
  CHECK_LIMIT(sigpending, RLIMIT_SIGPENDING)
  CHECK_LIMIT(msgqueue, RLIMIT_MSGQUEUE)
  CHECK_LIMIT(nice, RLIMIT_NICE)
  CHECK_LIMIT(rtprio, RLIMIT_RTPRIO)
  CHECK_LIMIT(rttime, RLIMIT_RTTIME)
  EXPECT_EQ(task.itimer_real_interval, 100000000000u);
  EXPECT(task.itimer_real_value < 200000000000u && task.itimer_real_value > 190000000000u,
         std::to_string(task.itimer_real_value));
  EXPECT_EQ(task.itimer_prof_interval, 100000000000u);
  EXPECT(task.itimer_prof_value <= 200100000000u && task.itimer_prof_value > 190000000000u,
         std::to_string(task.itimer_prof_value));
  EXPECT_EQ(task.itimer_virtual_value, 0u);
  const auto& fs = stream.At(CRFS_TAG_fs, task.fs).As<crfs_fs>();
  EXPECT_EQ(fs.umask, 0127u);
  const Object& cwd = stream.At(CRFS_TAG_file, fs.cwd);
  EXPECT_EQ(std::string(cwd.Bytes(cwd.As<crfs_file>().path)), std::string(Link(Proc(pid, "cwd"))));
  EXPECT_EQ(cwd.As<crfs_file>().kind, static_cast<uint32_t>(CRFS_file_kind_path));
  return "";
}

std::string CheckSignals(Stream& stream, pid_t pid) {
  uint64_t caught = 0, ignored = 0;
  for (const Object& object : stream.Of(CRFS_TAG_sigaction)) {
    const auto& action = object.As<crfs_sigaction>();
    uint64_t bit = 1ULL << (action.signal - 1);
    if (action.handler > 1) caught |= bit;
    if (action.handler == 1) ignored |= bit;
    if (action.signal == SIGUSR1) {
      EXPECT_EQ(action.mask, 1ULL << (SIGUSR2 - 1));
      EXPECT_EQ(action.flags, uint64_t{SA_SIGINFO | SA_RESTART | 0x04000000});
      EXPECT(action.restorer != 0, "no restorer");
    }
  }
  EXPECT_EQ(caught, Hex(Status(pid, "SigCgt")));
  EXPECT_EQ(ignored, Hex(Status(pid, "SigIgn")));
  EXPECT_EQ(stream.Of(CRFS_TAG_signal).size(), 2u);
  for (uint64_t id = 1; id <= 2; id++) {
    const Object& object = stream.At(CRFS_TAG_signal, id);
    const auto& signal = object.As<crfs_signal>();
    EXPECT_EQ(signal.index, id - 1);
    EXPECT_EQ(signal.signo, SIGRTMIN + 2);
    EXPECT_EQ(signal.code, SI_QUEUE);
    EXPECT_EQ(signal.queued, 1u);
    siginfo_t info{};
    std::string_view fields = object.Bytes(signal.fields);
    memcpy(reinterpret_cast<char*>(&info) + 16, fields.data(), fields.size());
    EXPECT_EQ(info.si_pid, pid);
    EXPECT_EQ(info.si_value.sival_int, 4711);
    EXPECT(fields.back() != 0, "zeros at the end");
  }
  EXPECT_EQ(stream.Of(CRFS_TAG_thread_signal).size(), 1u);
  EXPECT_EQ(stream.At(CRFS_TAG_thread_signal, 1).As<crfs_thread_signal>().signo, SIGTERM);
  return "";
}

std::string CheckThread(Stream& stream, const Object& object, pid_t pid) {
  const auto& thread = object.As<crfs_thread>();
  auto tid = static_cast<pid_t>(thread.tid);
  std::string comm = ReadFile(Proc(pid, "task/" + std::to_string(tid) + "/comm"));
  EXPECT_EQ(std::string(object.Bytes(thread.comm)) + "\n", comm);
  EXPECT_EQ(thread.state, static_cast<uint32_t>(CRFS_state_running));
  EXPECT_EQ(thread.blockers, 0u);
  EXPECT_EQ(thread.sigmask, Hex(Status(tid, "SigBlk")));
  EXPECT_EQ(thread.seccomp, static_cast<uint32_t>(std::stoul(Status(tid, "Seccomp"))));
  EXPECT_EQ(thread.no_new_privs, static_cast<uint32_t>(std::stoul(Status(tid, "NoNewPrivs"))));
  EXPECT_EQ(thread.nice, getpriority(PRIO_PROCESS, static_cast<id_t>(tid)));
  int policy = sched_getscheduler(tid);
  EXPECT_EQ(thread.policy, static_cast<uint32_t>(policy & ~SCHED_RESET_ON_FORK));
  EXPECT_EQ(thread.reset_on_fork, policy & SCHED_RESET_ON_FORK ? 1u : 0u);
  EXPECT_EQ(Hex(Status(tid, "Cpus_allowed")), static_cast<uint64_t>(static_cast<uint8_t>(object.Bytes(thread.cpus)[0])));
  EXPECT_EQ(thread.personality, static_cast<uint32_t>(ADDR_NO_RANDOMIZE));
  EXPECT_EQ(thread.ioprio, static_cast<uint32_t>(syscall(SYS_ioprio_get, 1, tid)));
  void* list = nullptr;
  size_t length = 0;
  syscall(SYS_get_robust_list, tid, &list, &length);
  EXPECT_EQ(thread.robust_list, reinterpret_cast<uint64_t>(list));
  EXPECT_EQ(thread.timerslack, 77000u);
  EXPECT_EQ(thread.rseq_signature, 0x53053053u);
  EXPECT(thread.rseq_address != 0 && thread.rseq_length == 32, "rseq");
  EXPECT(thread.clear_child_tid != 0, "clear_child_tid");
  EXPECT_EQ(thread.cs, 0x33u);
  EXPECT_EQ(thread.ss, 0x2bu);
  EXPECT(thread.fs_base != 0, "fs_base");
  std::string_view fpu = object.Bytes(thread.fpu);
  EXPECT(fpu.size() >= 576, "fpu");
  // Where it sleeps: nanosleep or pause, at the syscall instruction's end.
  EXPECT(thread.syscall_restart == CRFS_syscall_restart_nohand || tid == pid, std::to_string(thread.syscall_restart));
  if (tid != pid) {
    EXPECT_EQ(thread.syscall_nr, int64_t{SYS_pause});
    EXPECT_EQ(thread.altstack_size, 0u);
    EXPECT_EQ(thread.pdeath_signal, 0u);
  } else {
    EXPECT_EQ(thread.altstack_size, 65536u);
    EXPECT_EQ(thread.pdeath_signal, static_cast<uint32_t>(SIGKILL));
  }
  return tid == pid ? CheckCred(stream, pid, thread) : "";
}

std::string CheckMm(Stream& stream, pid_t pid) {
  const Object& object = stream.At(CRFS_TAG_mm, 1);
  const auto& mm = object.As<crfs_mm>();
  EXPECT_EQ(std::to_string(mm.start_code), Stat(pid, 26));
  EXPECT_EQ(std::to_string(mm.end_code), Stat(pid, 27));
  EXPECT_EQ(std::to_string(mm.start_stack), Stat(pid, 28));
  EXPECT_EQ(std::to_string(mm.start_data), Stat(pid, 45));
  EXPECT_EQ(std::to_string(mm.end_data), Stat(pid, 46));
  EXPECT_EQ(std::to_string(mm.start_brk), Stat(pid, 47));
  EXPECT_EQ(std::to_string(mm.arg_start), Stat(pid, 48));
  EXPECT_EQ(std::to_string(mm.arg_end), Stat(pid, 49));
  EXPECT_EQ(std::to_string(mm.env_start), Stat(pid, 50));
  EXPECT_EQ(std::to_string(mm.env_end), Stat(pid, 51));
  EXPECT_EQ(std::string(object.Bytes(mm.auxv)), std::string(ReadFile(Proc(pid, "auxv"))));
  EXPECT_EQ(mm.coredump_filter, static_cast<uint32_t>(Hex(ReadFile(Proc(pid, "coredump_filter")))));
  EXPECT_EQ(mm.blockers, 0u);
  EXPECT_EQ(mm.thp_disable, 0u);
  const Object& exe = stream.At(CRFS_TAG_file, mm.exe);
  EXPECT_EQ(std::string(exe.Bytes(exe.As<crfs_file>().path)), std::string(Link(Proc(pid, "exe"))));
  return "";
}

// Every mapping against /proc/PID/smaps.
std::string CheckVmas(Stream& stream, pid_t pid) {
  static const char* const names[] = {
#define NAME(bit, name) #name,
      CRFS_BITS_vma_flags(NAME)};
  std::istringstream in(ReadFile(Proc(pid, "smaps")));
  size_t number = 0;
  std::string line, range, perm, offset, dev, inode, path;
  const Object* object = nullptr;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    words >> range;
    if (range.find('-') != std::string::npos && range.find(':') == std::string::npos) {
      words >> perm >> offset >> dev >> inode >> std::ws;
      path.clear();
      std::getline(words, path);
      if (path == "[vsyscall]") break;
      object = &stream.At(CRFS_TAG_vma, ++number);
      const auto& vma = object->As<crfs_vma>();
      char text[64];
      snprintf(text, sizeof(text), "%08llx-%08llx", vma.start, vma.end);
      EXPECT_EQ(std::string(text), range);
      snprintf(text, sizeof(text), "%c%c%c%c", vma.prot & 1 ? 'r' : '-', vma.prot & 2 ? 'w' : '-',
               vma.prot & 4 ? 'x' : '-', vma.prot & 8 ? 's' : 'p');
      EXPECT_EQ(std::string(text), perm);
      EXPECT_EQ(vma.offset, Hex(offset));
      if (path == "[heap]") EXPECT_EQ(vma.kind, static_cast<uint32_t>(CRFS_vma_kind_heap));
      if (path == "[stack]") EXPECT_EQ(vma.kind, static_cast<uint32_t>(CRFS_vma_kind_stack));
      if (path == "[vdso]") EXPECT_EQ(vma.kind, static_cast<uint32_t>(CRFS_vma_kind_vdso));
      if (path == "[vvar]") EXPECT_EQ(vma.kind, static_cast<uint32_t>(CRFS_vma_kind_vvar));
      if (vma.kind == CRFS_vma_kind_file) {
        const Object& file = stream.At(CRFS_TAG_file, vma.file);
        const auto& row = file.As<crfs_file>();
        EXPECT_EQ(std::string(file.Bytes(row.path)) + (row.deleted ? " (deleted)" : ""), path);
        EXPECT_EQ(std::to_string(row.inode), inode);
        snprintf(text, sizeof(text), "%02x:%02x", static_cast<unsigned>(row.dev >> 32), static_cast<unsigned>(row.dev));
        EXPECT_EQ(std::string(text), dev);
      }
    } else if (line.compare(0, 8, "VmFlags:") == 0) {
      std::string flags;
      for (int bit = 0; bit < 34; bit++)
        if (object->As<crfs_vma>().flags >> bit & 1) flags += std::string(" ") + names[bit];
      std::vector<std::string> ours, theirs;
      std::istringstream a(flags), b(line.substr(8));
      for (std::string word; a >> word;) ours.push_back(word);
      for (std::string word; b >> word;)
        if (word != "sd") theirs.push_back(word);
      std::sort(ours.begin(), ours.end());
      std::sort(theirs.begin(), theirs.end());
      EXPECT(ours == theirs, path + ":" + flags + " against" + line.substr(8));
    }
  }
  EXPECT_EQ(number, stream.Of(CRFS_TAG_vma).size());
  return "";
}

std::string CheckFds(Stream& stream, pid_t pid) {
  const auto& table = stream.At(CRFS_TAG_fdtable, 1).As<crfs_fdtable>();
  EXPECT_EQ(std::to_string(table.size), Status(pid, "FDSize"));
  std::map<uint32_t, int> kinds;
  uint32_t last = 0;
  for (const Object& object : stream.Of(CRFS_TAG_fd)) {
    const auto& fd = object.As<crfs_fd>();
    EXPECT(object.id == 1 || fd.fd > last, "descriptors do not ascend");
    last = fd.fd;
    const Object& file = stream.At(CRFS_TAG_file, fd.file);
    const auto& row = file.As<crfs_file>();
    std::string name = Proc(pid, "fd/" + std::to_string(fd.fd));
    EXPECT_EQ(std::string(file.Bytes(row.path)) + (row.deleted ? " (deleted)" : ""), Link(name));
    std::istringstream info(ReadFile(Proc(pid, "fdinfo/" + std::to_string(fd.fd))));
    std::string word, pos, flags, mount, inode;
    info >> word >> pos >> word >> flags >> word >> mount >> word >> inode;
    EXPECT_EQ(std::to_string(row.inode), inode);
    EXPECT_EQ(std::to_string(row.pos), pos);
    EXPECT_EQ(uint64_t{row.flags} | (fd.cloexec ? O_CLOEXEC : 0), std::stoull(flags, nullptr, 8));
    struct stat st {};
    if (stat(name.c_str(), &st) == 0) {
      EXPECT_EQ(row.mode, st.st_mode);
      // overlayfs has other numbers for stat(2)
      if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) EXPECT_EQ(row.dev, Dev(st.st_dev));
      EXPECT_EQ(row.rdev, Dev(st.st_rdev));
      EXPECT_EQ(row.nlink, static_cast<uint32_t>(st.st_nlink));
      if (S_ISREG(st.st_mode) && row.kind == CRFS_file_kind_regular) {
        EXPECT_EQ(row.size, static_cast<uint64_t>(st.st_size));
        EXPECT_EQ(row.mtime, st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
      }
    }
    kinds[row.kind]++;
    if (file.Bytes(row.path) == "/tmp/values file") {
      EXPECT_EQ(row.owner_signal, static_cast<uint32_t>(SIGUSR1));
      EXPECT_EQ(row.owner_pid, pid);
      EXPECT_EQ(fd.cloexec, 1u);
    }
    if (row.kind == CRFS_file_kind_pipe || row.kind == CRFS_file_kind_fifo) {
      const auto& pipe = stream.At(CRFS_TAG_pipe, row.pipe).As<crfs_pipe>();
      EXPECT_EQ(pipe.inode, row.inode);
    }
  }
  for (uint32_t kind : {CRFS_file_kind_regular, CRFS_file_kind_pipe, CRFS_file_kind_chardev,
                        CRFS_file_kind_directory, CRFS_file_kind_path, CRFS_file_kind_proc,
                        CRFS_file_kind_ns, CRFS_file_kind_socket, CRFS_file_kind_epoll,
                        CRFS_file_kind_eventfd, CRFS_file_kind_timerfd, CRFS_file_kind_signalfd,
                        CRFS_file_kind_inotify, CRFS_file_kind_pidfd, CRFS_file_kind_tty,
                        CRFS_file_kind_fifo})
    EXPECT(kinds[kind] > 0, "no file of kind " + std::to_string(kind));
  EXPECT_EQ(kinds[CRFS_file_kind_other], 0);
  bool found = false;
  for (const Object& object : stream.Of(CRFS_TAG_pipe))
    found = found || (object.As<crfs_pipe>().capacity == 8192 && object.As<crfs_pipe>().readers == 1 &&
                      object.As<crfs_pipe>().writers == 1);
  EXPECT(found, "the pipe of 8192 bytes");
  return "";
}

TEST(values_agree_with_proc) {
  Target target(Prepare);
  Checkpoint checkpoint;
  Stream stream = Take(checkpoint, {target.pid()});
  EXPECT(stream.error.empty(), stream.error);
  EXPECT_EQ(stream.Of(CRFS_TAG_thread).size(), 4u);
  std::string why = CheckTask(stream, target.pid());
  if (why.empty()) why = CheckSignals(stream, target.pid());
  for (const Object& thread : stream.Of(CRFS_TAG_thread))
    if (why.empty()) why = CheckThread(stream, thread, target.pid());
  if (why.empty()) why = CheckMm(stream, target.pid());
  if (why.empty()) why = CheckVmas(stream, target.pid());
  if (why.empty()) why = CheckFds(stream, target.pid());
  EXPECT(why.empty(), why);
  EXPECT_EQ(checkpoint.Thaw(), 0);
  EXPECT(target.Runs(), "the target does not go on");
  return "";
}

TEST(registers) {
  Target target([](Target& self) {
    self.Ready();
    asm volatile(
        "mov $0x1111, %%r15\n mov $0x2222, %%r14\n mov $0x3333, %%rbx\n"
        "mov $0x4444, %%rax\n movq %%rax, %%xmm5\n"
        "1: pause\n jmp 1b" ::: "memory");
  });
  Pause(50);
  Checkpoint checkpoint;
  Stream stream = Take(checkpoint, {target.pid()});
  EXPECT(stream.error.empty(), stream.error);
  const Object& object = stream.At(CRFS_TAG_thread, 1);
  const auto& thread = object.As<crfs_thread>();
  EXPECT_EQ(thread.r15, 0x1111u);
  EXPECT_EQ(thread.r14, 0x2222u);
  EXPECT_EQ(thread.rbx, 0x3333u);
  EXPECT_EQ(thread.rax, 0x4444u);
  EXPECT_EQ(thread.orig_rax, ~0ULL);
  EXPECT_EQ(thread.syscall_nr, -1);
  EXPECT_EQ(thread.syscall_restart, 0u);
  uint64_t xmm5;
  memcpy(&xmm5, object.Bytes(thread.fpu).data() + 160 + 5 * 16, 8);
  EXPECT_EQ(xmm5, 0x4444u);
  return "";
}

}  // namespace
}  // namespace kmod_test
