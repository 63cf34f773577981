// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/healthy_program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/match.h"
#include "crfs/schema.h"
#include "index/image_writer.h"

namespace crfs {
namespace {

// A pid that no process has: nothing is this high on the machines that run tests.
constexpr uint64_t kPid = (1 << 22) - 7;

ObjectBuilder Make(absl::string_view type) { return ObjectBuilder(*FindType(type)); }

std::string Xsave() {
  std::string area(832, '\0');
  const uint64_t components = 7;  // x87, SSE, AVX
  std::memcpy(area.data() + 464, &components, sizeof(components));
  std::memcpy(area.data() + 512, &components, sizeof(components));
  const uint32_t mxcsr = 0x1f80;
  std::memcpy(area.data() + 24, &mxcsr, sizeof(mxcsr));
  return area;
}

ObjectBuilder Descriptor(uint64_t number, uint64_t file) {
  return Make("fd").SetNumber("fdtable", 1).SetNumber("fd", number).SetNumber("file", file);
}

ObjectBuilder Vma(uint64_t start, uint64_t end, uint64_t kind, uint64_t prot, uint64_t file) {
  uint64_t flags = uint64_t{1} << CRFS_vma_flags_mr | uint64_t{1} << CRFS_vma_flags_mw |
                   uint64_t{1} << CRFS_vma_flags_me;
  for (unsigned bit = 0; bit < 3; ++bit) flags |= prot & 1 << bit;  // rd wr ex
  return Make("vma")
      .SetNumber("mm", 1)
      .SetNumber("start", start)
      .SetNumber("end", end)
      .SetNumber("kind", kind)
      .SetNumber("prot", prot)
      .SetNumber("flags", flags)
      .SetNumber("file", file);
}

ObjectBuilder Mm() {
  ObjectBuilder mm = Make("mm");
  for (const absl::string_view field :
       {"start_code", "start_data", "start_brk", "start_stack", "arg_start", "env_start"}) {
    mm.SetNumber(field, 0x400000);
  }
  for (const absl::string_view field : {"end_code", "end_data", "brk", "arg_end", "env_end"}) {
    mm.SetNumber(field, 0x401000);
  }
  return mm.SetNumber("dumpable", 1)
      .SetNumber("coredump_filter", 0x33)
      .SetNumber("exe", HealthyProgram::kProgram);
}

ObjectBuilder Thread() {
  return Make("thread")
      .SetNumber("task", 1)
      .SetNumber("tid", kPid)
      .SetNumber("state", CRFS_state_running)
      .SetNumber("cred", 1)
      .SetNumber("rip", 0x400100)
      .SetNumber("cs", 0x33)
      .SetNumber("ss", 0x2b)
      .SetNumber("eflags", 0x246)
      .SetNumber("rsp", 0x7ffffffde000)
      .SetBytes("comm", "program")
      .SetBytes("fpu", Xsave())
      .SetBytes("cpus", std::string("\x03", 1));
}

Caller PlainUser() {
  Caller caller;
  caller.uids = {1000, 1000, 1000, 1000};
  caller.gids = {100, 100, 100, 100};
  caller.groups = {4, 24};
  caller.cap_permitted = caller.cap_effective = uint64_t{1} << CAP_CHECKPOINT_RESTORE;
  caller.cap_bounding = (uint64_t{1} << 41) - 1;
  for (Caller::Limit& limit : caller.limits) limit = {1024, 4096};
  caller.limits[RLIMIT_NICE].soft = 0;
  caller.has_terminal = true;
  caller.namespace_inodes[CRFS_ns_kind_net] = 77;
  return caller;
}

Machine PlainMachine() {
  Machine machine;
  machine.xstate = 7;
  machine.xstate_ends[2] = 832;
  machine.address_end = (uint64_t{1} << 47) - 4096;
  machine.lowest_address = 65536;
  machine.pid_max = 1 << 22;
  machine.fd_max = 1 << 20;
  machine.pipe_max = 1 << 20;
  machine.pid_namespaces = 100;
  machine.kernel = 601;
  machine.cpus = std::string("\x01", 1);
  return machine;
}

}  // namespace

HealthyProgram::HealthyProgram() : caller(PlainUser()), machine(PlainMachine()) {
  WriteFile(program(), "a program");
  WriteFile(output(), "its output");
  ::chmod(program().c_str(), 0755);
  Add(Make("checkpoint")
          .SetBytes("uuid", "healthy-program-")
          .SetNumber("engine", CRFS_engine_kernel)
          .SetBytes("arch", "x86_64")
          .SetNumber("page_size", 4096)
          .SetNumber("root", 1));
  Add(Make("ns").SetNumber("kind", CRFS_ns_kind_net).SetNumber("inode", 5));
  Add(Make("pipe").SetNumber("capacity", 65536).SetNumber("readers", 1).SetNumber("writers", 1));
  Add(Make("shmem").SetNumber("size", 4096));
  Add(Regular(program(), O_RDONLY));
  Add(Regular(output(), O_WRONLY));
  Add(Make("file")
          .SetNumber("kind", CRFS_file_kind_path)
          .SetNumber("mode", S_IFDIR | 0755)
          .SetBytes("path", "/"));
  const ObjectBuilder end = Make("file")
                                .SetNumber("kind", CRFS_file_kind_pipe)
                                .SetNumber("mode", S_IFIFO | 0600)
                                .SetNumber("pipe", 1)
                                .SetBytes("path", "pipe:[99]");
  Add(ObjectBuilder(end).SetNumber("flags", O_RDONLY));
  Add(ObjectBuilder(end).SetNumber("flags", O_WRONLY));
  Add(Make("file")
          .SetNumber("kind", CRFS_file_kind_tty)
          .SetNumber("mode", S_IFCHR | 0620)
          .SetNumber("flags", O_RDWR)
          .SetNumber("rdev", uint64_t{136} << 32 | 4)
          .SetBytes("path", "/dev/pts/4"));
  Add(Make("file")
          .SetNumber("kind", CRFS_file_kind_chardev)
          .SetNumber("mode", S_IFCHR | 0666)
          .SetNumber("flags", O_RDWR)
          .SetNumber("rdev", uint64_t{1} << 32 | 3)
          .SetBytes("path", "/dev/null"));
  Add(Make("fs").SetNumber("cwd", kRootDirectory).SetNumber("root", kRootDirectory));
  Add(Mm());
  Add(Vma(0x400000, 0x401000, CRFS_vma_kind_file, 5, kProgram));
  Add(Vma(0x500000, 0x501000, CRFS_vma_kind_anon, 3, 0));
  Add(Make("fdtable"));
  Add(Descriptor(0, kProgram));
  Add(Descriptor(1, kOutput));
  Add(Descriptor(3, kReadEnd));
  Add(Descriptor(4, kWriteEnd));
  Add(Descriptor(5, kTerminal));
  Add(Descriptor(6, kNull));
  Add(Make("sighand"));
  Add(Make("sigaction").SetNumber("sighand", 1).SetNumber("signal", 10).SetNumber("handler", 1));
  ObjectBuilder cred = Make("cred");
  for (const absl::string_view field : {"uid", "euid", "suid", "fsuid"}) {
    cred.SetNumber(field, 1000);
  }
  for (const absl::string_view field : {"gid", "egid", "sgid", "fsgid"}) cred.SetNumber(field, 100);
  Add(cred.SetBytes("groups", std::string("\x04\0\0\0\x18\0\0\0", 8))
          .SetNumber("cap_bounding", (uint64_t{1} << 41) - 1));
  ObjectBuilder task = Make("task");
  for (const Row& row : FindType("task")->rows) {
    if (absl::StartsWith(row.field, "rlimit_")) task.SetNumber(row, 4096);
  }
  Add(task.SetNumber("pid", kPid)
          .SetNumber("ppid", 1)
          .SetNumber("pgid", 50)
          .SetNumber("sid", 50)
          .SetNumber("state", CRFS_state_running)
          .SetNumber("mm", 1)
          .SetNumber("fd", 1)
          .SetNumber("fs", 1)
          .SetNumber("sighand", 1)
          .SetNumber("rlimit_data_soft", 8192)
          .SetNumber("rlimit_data_hard", 8192)
          .SetNumber("ns_net", 1));
  caller.limits[RLIMIT_DATA].hard = 8192;
  Add(Thread());
}

ObjectBuilder HealthyProgram::Regular(const std::string& path, uint64_t flags) const {
  struct stat stat = {};
  EXPECT_EQ(::stat(path.c_str(), &stat), 0);
  ObjectBuilder file = Make("file");
  return file.SetNumber("kind", CRFS_file_kind_regular)
      .SetNumber("mode", stat.st_mode)
      .SetNumber("flags", flags)
      .SetNumber("size", static_cast<uint64_t>(stat.st_size))
      .SetNumber("inode", stat.st_ino)
      .SetNumber("mtime",
                 static_cast<uint64_t>(stat.st_mtim.tv_sec * 1'000'000'000 + stat.st_mtim.tv_nsec))
      .SetBytes("path", path);
}

std::vector<ObjectBuilder>& HealthyProgram::Of(absl::string_view type) {
  return objects_[FindType(type)->tag];
}

HealthyProgram& HealthyProgram::Set(absl::string_view type, uint64_t id, absl::string_view field,
                                    uint64_t number) {
  Of(type).at(id - 1).SetNumber(field, number);
  return *this;
}

HealthyProgram& HealthyProgram::Set(absl::string_view type, uint64_t id, absl::string_view field,
                                    absl::string_view bytes) {
  Of(type).at(id - 1).SetBytes(field, bytes);
  return *this;
}

uint64_t HealthyProgram::Add(const ObjectBuilder& object) {
  std::vector<ObjectBuilder>& all = objects_[object.type().tag];
  all.push_back(object);
  return all.size();
}

ObjectBuilder HealthyProgram::Copy(absl::string_view type, uint64_t id) const {
  return objects_.at(FindType(type)->tag).at(id - 1);
}

std::vector<std::string> HealthyProgram::Problems(void (*part)(const RestartCheck&)) const {
  const std::string path = folder_ / "image";
  std::string image;
  StringSink sink(&image);
  ImageWriter writer(&sink);
  for (const auto& [tag, all] : objects_) {
    uint64_t id = 0;
    for (const ObjectBuilder& object : all) {
      const auto body = object.Build();
      if (!body.ok()) {
        ADD_FAILURE() << body.status();
        return {};
      }
      const absl::Status written = writer.Object(object.type(), ++id, *body);
      if (!written.ok()) {
        ADD_FAILURE() << written;
        return {};
      }
    }
  }
  EXPECT_TRUE(writer.Finish().ok());
  WriteFile(path, image);
  const auto loaded = LoadedCheckpoint::FromImage(path);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  std::vector<std::string> problems;
  if (!loaded.ok()) return problems;
  part(RestartCheck(*loaded, options, caller, machine, problems));
  const std::string prefix = path + ": ";
  for (std::string& problem : problems) {
    for (size_t at; (at = problem.find(prefix)) != std::string::npos;) {
      problem.erase(at, prefix.size());
    }
  }
  return problems;
}

}  // namespace crfs
