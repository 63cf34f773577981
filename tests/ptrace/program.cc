// SPDX-License-Identifier: Apache-2.0

#include "tests/ptrace/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/proc_file.h"
#include "engine/proc_status.h"

namespace crfs {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

// An image that goes away with what has read it.
std::string ImagePath() {
  const char* folder = std::getenv("TMPDIR");
  static int number = 0;
  return absl::StrCat(folder != nullptr ? folder : "/tmp", "/crfs-ptrace-", ::getpid(), "-",
                      ++number, ".crfs");
}

}  // namespace

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

Program::Program(const std::function<void(Board&)>& body, int ready) {
  void* memory =
      ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  board_ = new (memory) Board();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // of its first thread alone
    body(*board_);
    ::_exit(board_->wrong == 0 ? 0 : 1);
  }
  EXPECT_TRUE(Eventually([&] { return board_->ready >= ready; })) << "the program is not ready";
}

Program::~Program() {
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  ::munmap(board_, sizeof(Board));
}

LoadedCheckpoint Program::SaveTask(pid_t pid) {
  CheckpointOptions options;
  options.pid = pid;
  options.engine = Engine::kPtrace;
  options.image = ImagePath();
  options.inspect = true;
  const absl::StatusOr<CheckpointResult> result = TakeCheckpoint(options);
  EXPECT_TRUE(result.ok()) << result.status();
  absl::StatusOr<LoadedCheckpoint> loaded = LoadedCheckpoint::FromImage(options.image);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(loaded->VerifyMemory().ok());
  ::unlink(options.image.c_str());
  return *std::move(loaded);
}

absl::StatusOr<CheckpointResult> Program::Try(pid_t pid) {
  CheckpointOptions options;
  options.pid = pid;
  options.engine = Engine::kPtrace;
  options.image = ImagePath();
  absl::StatusOr<CheckpointResult> result = TakeCheckpoint(options);
  EXPECT_EQ(::access(options.image.c_str(), F_OK) == 0, result.ok());
  ::unlink(options.image.c_str());
  return result;
}

int Program::Wait() {
  int status = 0;
  if (!Eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

long SleepsIn(pid_t tid) {
  const std::string text = ReadProcFile(ProcPath(tid, "syscall")).value_or("");
  long number;
  return absl::SimpleAtoi(text.substr(0, text.find(' ')), &number) ? number : -1;
}

char StateOf(pid_t pid) { return ThreadState(pid, pid).value_or('?'); }

ObjectView FindObject(const LoadedCheckpoint& checkpoint, absl::string_view type,
                      absl::string_view field, uint64_t number) {
  for (const uint64_t id : checkpoint.Ids(type)) {
    const ObjectView object = checkpoint.Get(type, id);
    if (object.Number(field) == number) return object;
  }
  ADD_FAILURE() << "no " << type << " has " << field << " " << number;
  return checkpoint.Get(type, checkpoint.Ids(type).front());
}

ObjectView FdOf(const LoadedCheckpoint& checkpoint, pid_t pid, int fd) {
  const uint64_t table =
      FindObject(checkpoint, "task", "pid", static_cast<uint64_t>(pid)).Number("fd");
  for (const uint64_t id : checkpoint.Owned("fd", table)) {
    const ObjectView descriptor = checkpoint.Get("fd", id);
    if (descriptor.Number("fd") == static_cast<uint64_t>(fd)) return descriptor;
  }
  ADD_FAILURE() << "task " << pid << " has no descriptor " << fd;
  return checkpoint.Get("fd", checkpoint.Ids("fd").front());
}

ObjectView FileOf(const LoadedCheckpoint& checkpoint, pid_t pid, int fd) {
  return checkpoint.Get("file", FdOf(checkpoint, pid, fd).Number("file"));
}

std::vector<pid_t> ProcessesNamed(absl::string_view name) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    pid_t pid;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    const std::string comm = ReadProcFile(ProcPath(pid, "comm")).value_or("");
    if (comm == absl::StrCat(name, "\n") && StateOf(pid) != 'Z') found.push_back(pid);
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string StatusLine(pid_t pid, absl::string_view name) {
  const absl::StatusOr<ProcStatus> status = ReadThreadStatus(pid, pid);
  return status.ok() ? std::string(status->Text(name)) : "";
}

}  // namespace crfs
