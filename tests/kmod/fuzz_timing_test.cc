// SPDX-License-Identifier: Apache-2.0
//
// Restarts that are right, and what comes in between: joined threads and the holder die, files
// shrink, descriptors are closed, at any moment of any step. Whatever happens, the end is a
// program that runs, or nothing.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "fuzz.h"
#include "harness.h"

namespace kmod_test {
namespace {

enum Event {
  kKillTask,
  kKillThread,
  kStopTask,
  kClose,
  kDie,
  kTruncate,
  kSignal,
  kFill,
  kSupply,
  kEvents
};
const char* const kNames[] = {"kill task", "kill thread", "stop task", "close", "holder dies",
                              "truncate",  "signals",     "fill",      "supply"};

struct Scene {
  Saved saved;
  pid_t pid;
  pid_t tid;  // of another thread
};

void Happen(Event event, Scene& scene, Restart& restart, int memory) {
  switch (event) {
    case kKillTask:
      kill(scene.pid, SIGKILL);
      break;
    case kKillThread:
      kill(scene.tid, SIGKILL);
      break;
    case kStopTask:
      kill(scene.pid, SIGSTOP);
      break;
    case kClose:
      close(restart.fd());
      break;
    case kDie:
      kill(getpid(), SIGKILL);
      break;
    case kTruncate:
      if (ftruncate(memory, 8192) != 0) _exit(1);
      break;
    case kSignal:
      for (int i = 0; i < 200; i++) kill(scene.pid, SIGRTMIN + i % 3);
      break;
    default:
      break;
  }
}

// Its ranges come from, and its mappings are of, files that are not fit for it.
std::string LoadWrong(Event event, Random& random, Scene& scene, Restart& restart) {
  static const char* const kPaths[] = {"/dev/zero",
                                       "/dev/urandom",
                                       "/proc/meminfo",
                                       "/proc/version",
                                       "/bin/true",
                                       "/dev/null",
                                       "/dev/full",
                                       "/sys/kernel/mm/transparent_hugepage/enabled",
                                       "/proc/sys/kernel/pid_max"};
  Fd file(open(random.Of(kPaths), random.OneIn(3) ? O_RDWR : O_RDONLY));
  if (event == kFill) scene.saved.memory = Fd(dup(file.get()));
  if (event == kSupply)
    for (auto& [id, fd] : random.OneIn(2) ? scene.saved.files : scene.saved.shmems)
      if (random.OneIn(2)) fd = Fd(dup(file.get()));
  return restart.Load(scene.saved);
}

std::string Steps(Restart& restart) {
  int error = restart.Gather(4000);
  const char* step = "gather";
  if (!error) error = restart.Build(8000), step = "build";
  if (!error) error = restart.Start(4000), step = "start";
  return std::string(step) + " " + (error ? strerrorname_np(-error) : "ok");
}

std::string Round(Random& random, Tally& tally) {
  Scene scene{Copy(ProgramToSpoil()), 0, 0};
  for (const Object& thread : scene.saved.stream.Of(CRFS_TAG_thread))
    scene.tid = static_cast<pid_t>(thread.As<crfs_thread>().tid);
  scene.pid = static_cast<pid_t>(scene.saved.Wire<crfs_task>(CRFS_TAG_task, 1).pid);
  auto event = static_cast<Event>(random.Below(kEvents));
  int memory = memfd_create("copy", MFD_CLOEXEC);
  std::vector<char> bytes(static_cast<size_t>(lseek(scene.saved.memory.get(), 0, SEEK_END)));
  if (pread(scene.saved.memory.get(), bytes.data(), bytes.size(), 0) < 0 ||
      write(memory, bytes.data(), bytes.size()) < 0)
    return "copying memory";
  scene.saved.memory = Fd(dup(memory));
  auto delay = static_cast<unsigned>(random.Below(random.OneIn(2) ? 3000 : 40000));
  bool early = random.OneIn(4);  // already while they join
  std::string outcome = Apart(30, [&] {
    Restart restart;
    if (!LoadWrong(event, random, scene, restart).empty()) return std::string("load refuses");
    auto later = [&] {
      usleep(delay);
      Happen(event, scene, restart, memory);
    };
    std::thread happens;
    if (early) happens = std::thread(later);
    std::string end = restart.Make(scene.saved, nullptr).empty() ? "" : "make fails";
    if (!early) happens = std::thread(later);
    if (end.empty()) end = Steps(restart);
    happens.join();
    // Started: it is there, unless it was killed. Not: nothing of it is left.
    if (event == kClose || end == "make fails") return end;
    for (int i = 0; i < 300 && end != "start ok" && StateOf(scene.pid) != 'Z'; i++) Pause(10);
    if (end != "start ok" && StateOf(scene.pid) != 'Z') return end + "\nits task is still there";
    if (end == "start ok" && StateOf(scene.pid) == 'Z' && event >= kTruncate && event < kFill)
      return end + "\nbut its task is dead";
    return end;
  });
  close(memory);
  if (outcome.empty()) outcome = "killed";
  size_t line = outcome.find('\n');
  tally.Add(std::string(kNames[event]) + ": " + outcome.substr(0, line));
  return line == std::string::npos ? "" : kNames[event] + (": " + outcome);
}

TEST(fuzz_timing) {
  EXPECT(ProgramToSpoil().error.empty(), ProgramToSpoil().error);
  return Fuzz("fuzz_timing", 10, Round);
}

}  // namespace
}  // namespace kmod_test
