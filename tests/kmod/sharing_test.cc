// SPDX-License-Identifier: Apache-2.0
//
// One object for what is shared, and a blocker for what is shared with others.

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "harness.h"

namespace kmod_test {
namespace {

// A child made by clone(2) with these flags, that waits for ever.
pid_t Clone(unsigned long flags) {
  static char stacks[4][65536];
  static int used;
  return clone([](void*) -> int { for (;;) pause(); }, stacks[used++] + 65536,
               static_cast<int>(flags | SIGCHLD), nullptr);
}

TEST(shared_by_fork) {
  Target target([](Target& self) {
    int file = open("/tmp/shared file", O_RDWR | O_CREAT, 0600);
    dup2(file, 50);
    int ends[2];
    if (pipe(ends) != 0) _exit(9);
    mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = fork();
    if (child == 0) {
      for (int fd = 3; fd < 20; fd++)
        if (fd != file && fd != ends[0]) close(fd);
      for (;;) pause();
    }
    Pause(50);
    self.Ready(static_cast<uint64_t>(child));
    for (;;) pause();
  });
  auto child = static_cast<pid_t>(target.word());
  Checkpoint checkpoint;
  Stream stream = Take(checkpoint, {target.pid(), child});
  kill(child, SIGKILL);
  EXPECT(stream.error.empty(), stream.error);
  EXPECT_EQ(stream.Of(CRFS_TAG_mm).size(), 2u);
  EXPECT_EQ(stream.Of(CRFS_TAG_fdtable).size(), 2u);
  EXPECT_EQ(stream.Of(CRFS_TAG_sighand).size(), 2u);
  std::map<std::string, uint64_t> files;
  std::map<uint64_t, int> uses;
  for (const Object& object : stream.Of(CRFS_TAG_file)) {
    const auto& file = object.As<crfs_file>();
    if (object.Bytes(file.path) == "/tmp/shared file") {
      EXPECT(files.count("file") == 0, "one description, two objects");
      files["file"] = object.id;
    }
  }
  uint64_t pipe_ends = 0;
  for (const Object& object : stream.Of(CRFS_TAG_fd)) uses[object.As<crfs_fd>().file]++;
  EXPECT_EQ(uses[files["file"]], 4);  // fd and its dup, in two tables
  for (const Object& object : stream.Of(CRFS_TAG_file))
    if (object.As<crfs_file>().kind == CRFS_file_kind_pipe && stream.At(CRFS_TAG_pipe, object.As<crfs_file>().pipe).As<crfs_pipe>().writers == 1)
      pipe_ends++;
  EXPECT(pipe_ends >= 2, "the two ends of the pipe");
  for (const Object& object : stream.Of(CRFS_TAG_shmem))
    EXPECT(object.As<crfs_shmem>().size == 4096, "a shmem of another size");
  EXPECT_EQ(stream.Of(CRFS_TAG_shmem).size(), 2u);  // that of the harness, that of the test
  for (const Object& object : stream.Of(CRFS_TAG_task))
    EXPECT_EQ(object.As<crfs_task>().blockers, 0u);
  // Ids count in the order of first encounter, owner by owner.
  uint64_t owner = 1, last = 0;
  for (const Object& object : stream.Of(CRFS_TAG_vma)) {
    const auto& vma = object.As<crfs_vma>();
    if (vma.mm != owner) {
      EXPECT_EQ(vma.mm, ++owner);
      last = 0;
    }
    EXPECT(vma.start >= last, "mappings do not ascend");
    last = vma.end;
  }
  EXPECT_EQ(stream.At(CRFS_TAG_mm, 1).As<crfs_mm>().exe, 1u);
  return "";
}

TEST(shared_by_clone) {
  Target target([](Target& self) {
    pid_t child = Clone(CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND);
    Pause(20);
    self.Ready(static_cast<uint64_t>(child));
    for (;;) pause();
  });
  auto child = static_cast<pid_t>(target.word());
  {
    Checkpoint alone;
    Stream stream = Take(alone, {target.pid()});
    EXPECT(stream.error.empty(), stream.error);
    EXPECT_EQ(stream.At(CRFS_TAG_mm, 1).As<crfs_mm>().blockers, 1u << CRFS_blockers_shared_outside);
    EXPECT_EQ(stream.At(CRFS_TAG_task, 1).As<crfs_task>().blockers, 1u << CRFS_blockers_shared_outside);
  }
  Checkpoint checkpoint;
  Stream stream = Take(checkpoint, {target.pid(), child});
  kill(child, SIGKILL);
  EXPECT(stream.error.empty(), stream.error);
  EXPECT_EQ(stream.Of(CRFS_TAG_mm).size(), 1u);
  EXPECT_EQ(stream.Of(CRFS_TAG_fdtable).size(), 1u);
  EXPECT_EQ(stream.Of(CRFS_TAG_fs).size(), 1u);
  EXPECT_EQ(stream.Of(CRFS_TAG_sighand).size(), 1u);
  EXPECT_EQ(stream.At(CRFS_TAG_mm, 1).As<crfs_mm>().blockers, 0u);
  EXPECT_EQ(stream.At(CRFS_TAG_task, 1).As<crfs_task>().blockers, 0u);
  EXPECT_EQ(stream.At(CRFS_TAG_task, 2).As<crfs_task>().mm, 1u);
  return "";
}

TEST(split_threads_are_blocked) {
  Target target([](Target& self) {
    static char stack[65536];
    clone([](void*) -> int {
      syscall(SYS_unshare, CLONE_FILES);
      for (;;) pause();
    }, stack + sizeof(stack), CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD, nullptr);
    Pause(20);
    self.Ready();
    for (;;) pause();
  });
  Checkpoint checkpoint;
  Stream stream = Take(checkpoint, {target.pid()});
  EXPECT(stream.error.empty(), stream.error);
  EXPECT_EQ(stream.At(CRFS_TAG_task, 1).As<crfs_task>().blockers, 1u << CRFS_blockers_shared_outside);
  return "";
}

// The target holds the checkpoint's own descriptor: who froze it still thaws by its death.
TEST(descriptor_inherited_by_the_target) {
  Target target([](Target& self) {
    Checkpoint checkpoint;
    pid_t child = fork();
    if (child == 0) for (;;) self.Beat(), Pause(1);
    Pause(20);
    self.Ready(static_cast<uint64_t>(child));
    if (checkpoint.Freeze(child) != 0) _exit(1);
    int copy = dup(checkpoint.fd());
    uint64_t before = self.beats();
    close(copy);
    Pause(30);
    _exit(self.beats() == before ? 0 : 2);
  });
  auto child = static_cast<pid_t>(target.word());
  int status = target.Wait();
  bool runs = target.Runs();
  kill(child, SIGKILL);
  EXPECT_EQ(status, 0);
  EXPECT(runs, "the target does not go on");
  return "";
}

// Many descriptors, tasks and mappings; more than any table's first size.
TEST(many_objects) {
  Target target([](Target& self) {
    rlimit limit{4096, 4096};
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < 1500; i++) open("/dev/null", O_RDONLY);
    for (int i = 0; i < 3000; i++)
      mmap(reinterpret_cast<void*>(0x100000000000 + i * 0x4000L), 4096, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    auto* many = static_cast<char*>(mmap(nullptr, 40000 * 4096L, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    madvise(many, 40000 * 4096L, MADV_NOHUGEPAGE);
    for (long i = 0; i < 20000; i += 1) many[i * 8192] = 1;
    self.Ready();
    for (;;) pause();
  });
  Checkpoint checkpoint;
  Stream stream = Take(checkpoint, {target.pid()});
  EXPECT(stream.error.empty(), stream.error);
  EXPECT(stream.Of(CRFS_TAG_fd).size() >= 1500, "descriptors");
  EXPECT(stream.Of(CRFS_TAG_file).size() >= 1500, "files");
  EXPECT(stream.Of(CRFS_TAG_vma).size() >= 3000, "mappings");
  size_t most = 0;
  for (const auto& [owner, extents] : stream.extents) most = std::max(most, extents.size());
  EXPECT(most >= 20000, std::to_string(most));
  return "";
}

}  // namespace
}  // namespace kmod_test
