// SPDX-License-Identifier: Apache-2.0

#include "restarter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <sstream>
#include <thread>

#include "harness.h"

namespace kmod_test {

namespace {

constexpr uint32_t kTypes[] = {CRFS_TAG_mm,     CRFS_TAG_vma,    CRFS_TAG_sighand, CRFS_TAG_sigaction,
                               CRFS_TAG_task,   CRFS_TAG_signal, CRFS_TAG_thread,  CRFS_TAG_thread_signal};

std::string Errno(const std::string& what, int error) { return what + ": " + strerror(error < 0 ? -error : error); }

// New threads have no thread area of their own: no libc, not even errno.
long Raw(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

// clone3 whose child, on its own stack, calls body(argument), which never returns.
long CloneThread(clone_args* args, void (*body)(void*), void* argument) {
  long result;
  register void (*r12)(void*) asm("r12") = body;
  register void* r13 asm("r13") = argument;
  asm volatile(
      "syscall\n"
      "test %%rax, %%rax\n"
      "jnz 1f\n"
      "xor %%ebp, %%ebp\n"
      "mov %%r13, %%rdi\n"
      "call *%%r12\n"
      "ud2\n"
      "1:\n"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(r12), "r"(r13)
      : "rcx", "r11", "memory");
  return result;
}

struct Board {  // shared by all that is made
  std::atomic<uint32_t> joined;
  std::atomic<int> error;
  std::atomic<uint64_t> where;
};

struct Place {
  Board* board;
  int restart;
  uint64_t id;
  const crfs_thread* thread;
  bool zombie;
};

void Fail(Board* board, int error, uint64_t where) {
  int none = 0;
  if (board->error.compare_exchange_strong(none, error ? error : 1)) board->where = where;
}

// Joins and waits, in the call that the record asks for.
[[noreturn]] void TakePlace(void* argument) {
  const Place& place = *static_cast<Place*>(argument);
  crfs_ioc_join join{sizeof(join), 0, place.id};
  long result = Raw(SYS_ioctl, place.restart, CRFS_IOC_JOIN, reinterpret_cast<long>(&join));
  if (result < 0) Fail(place.board, static_cast<int>(-result), place.id);
  place.board->joined++;
  if (place.zombie) Raw(SYS_exit, 0);
  static int word;
  timespec time{100000, 0};
  bool block = place.thread->syscall_restart == CRFS_syscall_restart_block;
  switch (block ? place.thread->syscall_block : 0) {
    case CRFS_restart_block_nanosleep:
      Raw(SYS_nanosleep, reinterpret_cast<long>(&time), 0);
      break;
    case CRFS_restart_block_poll:
      Raw(SYS_poll, 0, 0, 100000000);
      break;
    case CRFS_restart_block_futex:
      Raw(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAIT_PRIVATE, 0, reinterpret_cast<long>(&time));
      break;
    default:
      Raw(SYS_pause);
  }
  for (;;) Raw(SYS_exit_group, 97);
}

struct Range {
  uint64_t start = 0, end = 0;
};

Range FindMapping(const std::string& name) {
  std::istringstream in(ReadFile("/proc/self/maps"));
  Range found;
  for (std::string line; std::getline(in, line);) {
    unsigned long long start, end;
    if (line.find(name) == std::string::npos || sscanf(line.c_str(), "%llx-%llx", &start, &end) != 2) continue;
    if (!found.start) found.start = start;
    found.end = end;
  }
  return found;
}

// Brings the kernel's own mappings to where the records have them.
void MoveVdso(Saved& saved, uint64_t mm, Board* board) {
  Range want_vvar, want_vdso;
  for (const Object& object : saved.stream.Of(CRFS_TAG_vma)) {
    const auto& vma = object.As<crfs_vma>();
    if (vma.mm != mm) continue;
    Range* want = vma.kind == CRFS_vma_kind_vvar ? &want_vvar : vma.kind == CRFS_vma_kind_vdso ? &want_vdso : nullptr;
    if (!want) continue;
    if (!want->start) want->start = vma.start;
    want->end = vma.end;
  }
  Range vvar = FindMapping("[vvar"), vdso = FindMapping("[vdso]");
  for (auto [have, want] : {std::pair{vvar, want_vvar}, std::pair{vdso, want_vdso}}) {
    if (have.start == want.start || !want.start) continue;
    long result = Raw(SYS_mremap, static_cast<long>(have.start), static_cast<long>(have.end - have.start),
                      static_cast<long>(have.end - have.start), MREMAP_MAYMOVE | MREMAP_FIXED,
                      static_cast<long>(want.start));
    if (result < 0) Fail(board, static_cast<int>(-result), have.start);
  }
}

class Maker {
 public:
  Maker(Saved& saved, int restart, Board* board, const std::function<void()>& before_join)
      : saved_(saved), restart_(restart), board_(board), before_join_(before_join) {}

  // Makes the task as a child of the caller, with its children; in the child does not return.
  pid_t MakeTask(const Object& object) {
    const auto& task = object.As<crfs_task>();
    pid_t tid = static_cast<pid_t>(task.pid);
    clone_args args{};
    args.exit_signal = SIGCHLD;
    args.set_tid = reinterpret_cast<uint64_t>(&tid);
    args.set_tid_size = 1;
    long pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid < 0) Fail(board_, errno, task.pid);
    if (pid == 0) Become(object);
    return static_cast<pid_t>(pid);
  }

 private:
  [[noreturn]] void Become(const Object& object) {
    const auto& task = object.As<crfs_task>();
    if (before_join_) before_join_();
    for (const Object& child : saved_.stream.Of(CRFS_TAG_task))
      if (child.As<crfs_task>().ppid == task.pid) MakeTask(child);
    if (task.state != CRFS_state_zombie) MoveVdso(saved_, task.mm, board_);
    std::vector<Place*> places;
    for (const Object& thread : saved_.stream.Of(CRFS_TAG_thread)) {
      const auto& row = thread.As<crfs_thread>();
      if (row.task != object.id) continue;
      places.push_back(new Place{board_, restart_, thread.id, &row,
                                 row.state == CRFS_state_zombie || task.state == CRFS_state_zombie});
    }
    Place* own = nullptr;
    for (Place* place : places) {
      if (place->thread->tid == task.pid)
        own = place;
      else
        MakeThread(place);
    }
    if (!own) Raw(SYS_exit_group, 96);
    TakePlace(own);
  }

  void MakeThread(Place* place) {
    constexpr size_t kStack = 16384;
    void* stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pid_t tid = static_cast<pid_t>(place->thread->tid);
    clone_args args{};
    args.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    args.stack = reinterpret_cast<uint64_t>(stack);
    args.stack_size = kStack;
    args.set_tid = reinterpret_cast<uint64_t>(&tid);
    args.set_tid_size = 1;
    long result = CloneThread(&args, TakePlace, place);
    if (result < 0) Fail(board_, static_cast<int>(-result), place->id);
  }

  Saved& saved_;
  int restart_;
  Board* board_;
  const std::function<void()>& before_join_;
};

std::string AddMemory(Saved& saved, Checkpoint& checkpoint) {
  saved.memory = Fd(memfd_create("memory", MFD_CLOEXEC));
  uint64_t end = 0;
  std::vector<char> buffer(1 << 20);
  for (const auto& [owner, extents] : saved.stream.extents) {
    bool shared = owner.first == CRFS_TAG_shmem;
    const crfs_vma* vma = shared ? nullptr : &saved.Wire<crfs_vma>(CRFS_TAG_vma, owner.second);
    Fd from = shared ? checkpoint.Memory(CRFS_TAG_shmem, owner.second) : checkpoint.Memory(CRFS_TAG_mm, vma->mm);
    uint64_t origin = shared ? 0 : vma->start;
    saved.at[owner] = end;
    for (const Extent& extent : extents) {
      for (uint64_t done = 0; done < extent.length;) {
        size_t part = std::min<uint64_t>(buffer.size(), extent.length - done);
        ssize_t got = pread(from.get(), buffer.data(), part, static_cast<off_t>(origin + extent.offset + done));
        if (got <= 0) return Errno("reading memory", errno);
        if (pwrite(saved.memory.get(), buffer.data(), static_cast<size_t>(got), static_cast<off_t>(end + done)) != got)
          return Errno("writing memory", errno);
        done += static_cast<uint64_t>(got);
      }
      end += extent.length;
    }
  }
  return "";
}

std::string OpenFile(Saved& saved, uint64_t id, bool write) {
  if (saved.files.count(id)) return "";
  const Object& file = saved.stream.At(CRFS_TAG_file, id);
  std::string path(file.Bytes(file.As<crfs_file>().path));
  Fd fd(open(path.c_str(), (write ? O_RDWR : O_RDONLY) | O_CLOEXEC));
  if (!fd.ok()) return Errno(path, errno);
  saved.files[id] = std::move(fd);
  return "";
}

// What is mapped: files by their paths, shared memory by the mapping of a task that has it.
std::string OpenFiles(Saved& saved) {
  std::map<uint64_t, uint32_t> pids;
  for (const Object& task : saved.stream.Of(CRFS_TAG_task)) pids[task.As<crfs_task>().mm] = task.As<crfs_task>().pid;
  for (const Object& object : saved.stream.Of(CRFS_TAG_vma)) {
    const auto& vma = object.As<crfs_vma>();
    if (vma.shmem && !saved.shmems.count(vma.shmem)) {
      char name[128];
      snprintf(name, sizeof(name), "/proc/%u/map_files/%llx-%llx", pids[vma.mm], vma.start, vma.end);
      Fd fd(open(name, O_RDWR | O_CLOEXEC));
      if (!fd.ok()) return Errno(name, errno);
      saved.shmems[vma.shmem] = std::move(fd);
    }
    if (vma.kind != CRFS_vma_kind_file) continue;
    std::string error = OpenFile(saved, vma.file, (vma.prot & 8) && (vma.flags >> CRFS_vma_flags_mw & 1));
    if (!error.empty()) return error;
  }
  for (const Object& mm : saved.stream.Of(CRFS_TAG_mm)) {
    std::string error = OpenFile(saved, mm.As<crfs_mm>().exe, false);
    if (!error.empty()) return error;
  }
  return "";
}

}  // namespace

void Kill(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

Saved Save(const std::vector<pid_t>& pids) {
  Saved saved;
  Checkpoint checkpoint;
  saved.stream = Take(checkpoint, pids);
  saved.error = saved.stream.error;
  if (saved.error.empty()) saved.error = AddMemory(saved, checkpoint);
  if (saved.error.empty()) saved.error = OpenFiles(saved);
  return saved;
}

std::string SaveAndKill(Target& target, Saved* saved) {
  *saved = Save({target.pid()});
  EXPECT(saved->error.empty(), saved->error);
  Kill(target.pid());
  return "";
}

std::string RecordOf(uint32_t type, uint64_t id, const std::string& body) {
  crfs_record record{};
  record.type = type;
  record.id = id;
  record.length = body.size();
  record.body_crc = Crc32c(body.data(), body.size());
  record.header_crc = Crc32c(&record, offsetof(crfs_record, header_crc));
  std::string bytes(reinterpret_cast<const char*>(&record), sizeof(record));
  bytes += body;
  bytes.resize((bytes.size() + 7) / 8 * 8);
  return bytes;
}

std::string RecordsOf(const Stream& stream) {
  std::string bytes;
  for (uint32_t type : kTypes) {
    auto found = stream.objects.find(type);
    if (found == stream.objects.end()) continue;
    for (const Object& object : found->second) bytes += RecordOf(type, object.id, object.body);
  }
  return bytes;
}

Restart::Restart() {
  Fd device(open(CRFS_DEVICE_PATH, O_RDWR | O_CLOEXEC));
  crfs_ioc_restart args{sizeof(args), 0};
  if (device.ok()) fd_ = Fd(ioctl(device.get(), CRFS_IOC_RESTART, &args));
}

int Restart::Write(const std::string& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    ssize_t n = write(fd_.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0) return -errno;
    done += static_cast<size_t>(n);
  }
  return 0;
}

int Restart::Supply(uint32_t type, uint64_t id, int file) {
  crfs_ioc_supply args{sizeof(args), type, id, file, 0};
  return ioctl(fd_.get(), CRFS_IOC_SUPPLY, &args) < 0 ? -errno : 0;
}

Fd Restart::Shmem(uint64_t length, int* error) {
  crfs_ioc_shmem args{sizeof(args), 0, length};
  int fd = ioctl(fd_.get(), CRFS_IOC_SHMEM, &args);
  if (error) *error = fd < 0 ? errno : 0;
  return Fd(fd);
}

int Restart::Fill(uint64_t mm, std::vector<crfs_fill> ranges) {
  crfs_ioc_fill args{};
  args.size = sizeof(args);
  args.mm = mm;
  args.ranges = reinterpret_cast<uint64_t>(ranges.data());
  args.count = static_cast<uint32_t>(ranges.size());
  return ioctl(fd_.get(), CRFS_IOC_FILL, &args) < 0 ? -errno : 0;
}

int Restart::Join(uint64_t id) {
  crfs_ioc_join args{sizeof(args), 0, id};
  return ioctl(fd_.get(), CRFS_IOC_JOIN, &args) < 0 ? -errno : 0;
}

int Restart::Step(unsigned long command, uint32_t timeout_ms) {
  step = {};
  step.size = sizeof(step);
  step.timeout_ms = timeout_ms;
  return ioctl(fd_.get(), command, &step) < 0 ? -errno : 0;
}

int Restart::Help() {
  crfs_ioc_help args{sizeof(args), 0};
  return ioctl(fd_.get(), CRFS_IOC_HELP, &args) < 0 ? -errno : 0;
}

int Restart::BuildWithHelp(int threads) {
  std::vector<std::thread> helpers;
  std::atomic<int> failed{0};
  for (int i = 0; i < threads; i++)
    helpers.emplace_back([&] {
      if (int error = Help()) failed = error;
    });
  int error = Build();
  for (std::thread& helper : helpers) helper.join();
  return error ?: failed.load();
}

std::string Restart::Fault() const {
  char text[100];
  snprintf(text, sizeof(text), " (type %#x, id %llu, at %#llx)", step.type, step.id, step.detail);
  return text;
}

std::string Restart::Load(Saved& saved) {
  int error = Write(RecordsOf(saved.stream));
  if (error) return Errno("write", error);
  for (const auto& [id, fd] : saved.files)
    if ((error = Supply(CRFS_TAG_file, id, fd.get()))) return Errno("supply file", error);
  for (const auto& [id, fd] : saved.shmems)
    if ((error = Supply(CRFS_TAG_shmem, id, fd.get()))) return Errno("supply shmem", error);
  std::map<uint64_t, std::map<uint64_t, crfs_fill>> fills;  // by mm, by address
  for (const auto& [owner, extents] : saved.stream.extents) {
    if (owner.first != CRFS_TAG_vma) continue;
    const auto& vma = saved.Wire<crfs_vma>(CRFS_TAG_vma, owner.second);
    uint64_t at = saved.at[owner];
    for (const Extent& extent : extents) {
      fills[vma.mm][vma.start + extent.offset] = {vma.start + extent.offset, extent.length, at, saved.memory.get(), 0};
      at += extent.length;
    }
  }
  for (const auto& [mm, ranges] : fills) {
    std::vector<crfs_fill> list;
    for (const auto& [address, range] : ranges) list.push_back(range);
    if ((error = Fill(mm, std::move(list)))) return Errno("fill", error);
  }
  return "";
}

std::string Restart::Make(Saved& saved, std::vector<pid_t>* made, const std::function<void()>& before_join) {
  auto* board =
      static_cast<Board*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  sigset_t all, before;
  sigfillset(&all);
  fflush(nullptr);
  sigprocmask(SIG_SETMASK, &all, &before);
  Maker maker(saved, fd(), board, before_join);
  std::map<uint32_t, bool> inside;
  for (const Object& task : saved.stream.Of(CRFS_TAG_task)) inside[task.As<crfs_task>().pid] = true;
  for (const Object& task : saved.stream.Of(CRFS_TAG_task)) {
    if (inside.count(task.As<crfs_task>().ppid)) continue;
    pid_t pid = maker.MakeTask(task);
    if (pid > 0 && made) made->push_back(pid);
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
  size_t threads = saved.stream.Of(CRFS_TAG_thread).size();
  double end = Seconds() + 20;
  while (board->joined < threads && !board->error && Seconds() < end) Pause(2);
  for (const Object& thread : saved.stream.Of(CRFS_TAG_thread)) {
    std::string tid = std::to_string(thread.As<crfs_thread>().tid);
    while (!board->error && Seconds() < end && StateOf(std::stoi(tid)) == 'R') Pause(1);
  }
  std::string why;
  if (board->error) why = Errno("making tasks", board->error) + " at " + std::to_string(board->where);
  else if (board->joined < threads) why = "not all threads have joined";
  munmap(board, 4096);
  return why;
}

std::string Restart::Run(Saved& saved, std::vector<pid_t>* made) {
  std::string why = Load(saved);
  if (why.empty()) why = Make(saved, made);
  if (!why.empty()) return why;
  int error = Gather();
  if (error) return Errno("gather", error) + Fault();
  error = BuildWithHelp(1);
  if (error) return Errno("build", error) + Fault();
  error = Start();
  if (error) return Errno("start", error) + Fault();
  return "";
}

}  // namespace kmod_test
