// SPDX-License-Identifier: Apache-2.0

#include "engine/doctor.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "engine/device.h"
#include "engine/own_mappings.h"
#include "engine/pid_namespace.h"
#include "engine/proc_file.h"
#include "engine/ptrace_kcmp.h"
#include "engine/ptrace_pages.h"
#include "engine/restart_caller.h"
#include "engine/restart_check.h"
#include "index/index_cache.h"

namespace crfs {
namespace {

Finding ExamineArchitecture() {
  utsname name = {};
  ::uname(&name);
  const bool fits = absl::string_view(name.machine) == "x86_64";
  return {fits, "machine", absl::StrCat(name.machine, ", kernel ", name.release),
          "crfs knows x86_64 only"};
}

Finding ExamineKernelEngine() {
  const absl::StatusOr<KernelCheckpoint> checkpoint = KernelCheckpoint::Open();
  if (checkpoint.ok()) return {true, "kernel engine", "the module crfs is loaded", ""};
  // The message holds the remedy.
  return {false, "kernel engine", std::string(checkpoint.status().message()), ""};
}

Finding ExamineProcChildren() {
  const bool there = ReadProcFile(absl::StrCat("/proc/self/task/", ::getpid(), "/children")).ok();
  return {there, "task trees",
          there ? "/proc/PID/task/TID/children is there" : "/proc/PID/task/TID/children is missing",
          "a kernel with CONFIG_PROC_CHILDREN is needed to find descendants"};
}

Finding ExaminePtrace() {
  const absl::StatusOr<std::string> scope = ReadProcFile("/proc/sys/kernel/yama/ptrace_scope");
  if (::geteuid() == 0) {
    const bool allowed = !scope.ok() || absl::StripAsciiWhitespace(*scope) != "3";
    return {allowed, "right to checkpoint", "root: any program",
            "kernel.yama.ptrace_scope is 3, which forbids ptrace until the next boot"};
  }
  if (scope.ok() && absl::StripAsciiWhitespace(*scope) != "0") {
    return {false, "right to checkpoint",
            absl::StrCat("kernel.yama.ptrace_scope is ", absl::StripAsciiWhitespace(*scope)),
            "run crfs as root, or set it to 0 (sysctl kernel.yama.ptrace_scope=0)"};
  }
  return {true, "right to checkpoint", "your own programs", ""};
}

// Whether the ptrace engine can do without the module.
Finding ExaminePtraceEngine() {
  if (const absl::Status status = FindKcmp(); !status.ok()) {
    return {false, "ptrace engine", std::string(status.message()), ""};  // with the remedy
  }
  if (::access("/proc/self/timers", F_OK) != 0 || ::access("/proc/self/pagemap", R_OK) != 0) {
    return {false, "ptrace engine", "/proc/PID/timers or /proc/PID/pagemap is missing",
            "use a kernel with CONFIG_CHECKPOINT_RESTORE and CONFIG_PROC_PAGE_MONITOR"};
  }
  return {true, "ptrace engine",
          absl::StrCat("kcmp, timers, pagemap",
                       HasPagemapScan() ? " with PAGEMAP_SCAN" : ": sparse memory takes long"),
          ""};
}

// What of a program only privileged processes may read.
Finding ExaminePtraceRights() {
  const Caller caller = DescribeCaller();
  std::string lacks;
  const std::string remedy = "run crfs as root";
  if (!caller.Can(CAP_SYS_PTRACE)) lacks = "programs of others (CAP_SYS_PTRACE)";
  if (!caller.Can(CAP_CHECKPOINT_RESTORE) && !caller.Can(CAP_SYS_ADMIN)) {
    absl::StrAppend(&lacks, lacks.empty() ? "" : ", ",
                    "nameless shared memory (CAP_CHECKPOINT_RESTORE)");
  }
  if (!caller.Can(CAP_SYS_ADMIN)) {
    absl::StrAppend(&lacks, lacks.empty() ? "" : ", ", "programs under seccomp (CAP_SYS_ADMIN)");
  }
  if (lacks.empty()) return {true, "ptrace rights", "all that it can save", ""};
  return {false, "ptrace rights", absl::StrCat("not ", lacks), remedy};
}

Finding ExamineRestartModule() {
  const absl::Status module = FindRestartModule();
  if (module.ok()) return {true, "kernel restarts", "the module can restart this format", ""};
  // The message holds the remedy.
  return {false, "kernel restarts", std::string(module.message()), ""};
}

// What the ptrace engine's restarts ask of the kernel.
Finding ExaminePtraceRestart() {
  constexpr int kMapSize = 15;  // PR_SET_MM_MAP_SIZE
  unsigned size = 0;
  if (::prctl(PR_SET_MM, kMapSize, &size, 0, 0) != 0) {
    return {false, "ptrace restarts", "prctl(PR_SET_MM_MAP) is missing",
            "use a kernel with CONFIG_CHECKPOINT_RESTORE"};
  }
  if (FindSyscallInVdso() == 0) {
    return {false, "ptrace restarts", "the kernel maps no vdso", "boot it without vdso=0"};
  }
  return {true, "ptrace restarts", "PR_SET_MM_MAP, vdso", ""};
}

Finding ExamineRestartRights() {
  const Caller caller = DescribeCaller();
  const bool anything = caller.Can(CAP_SYS_ADMIN) && caller.Can(CAP_SETUID) &&
                        caller.Can(CAP_SETGID) && caller.Can(CAP_SETPCAP) &&
                        caller.Can(CAP_SYS_RESOURCE);
  if (anything) return {true, "right to restart", "root: any program", ""};
  if (caller.Can(CAP_CHECKPOINT_RESTORE) || caller.Can(CAP_SYS_ADMIN)) {
    return {true, "right to restart", "your own programs, with their old pids", ""};
  }
  const int error = TryUserNamespace();
  if (error == 0) return {true, "right to restart", "your own programs, with --pidns", ""};
  return {
      false, "right to restart",
      absl::StrCat("neither old pids (CAP_CHECKPOINT_RESTORE) nor a user namespace for --pidns (",
                   std::strerror(error), ")"),
      "run crfs as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
      "user.max_user_namespaces)"};
}

// A filter may forbid what crfs asks the kernel for, ptrace(2) and clone3(2) above all.
Finding ExamineSeccomp() {
  if (DescribeCaller().seccomp == 0) return {true, "seccomp", "crfs runs under no filter", ""};
  return {false, "seccomp", "crfs runs under a filter, and the module restarts nothing then",
          "start it without one (podman: --security-opt seccomp=unconfined)"};
}

Finding ExamineFuse() {
  const UniqueFd fuse(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!fuse.valid()) {
    return {false, "mounts", absl::StrCat("/dev/fuse: ", std::strerror(errno)),
            "load the module fuse (modprobe fuse), or ask for access to /dev/fuse"};
  }
  if (::geteuid() != 0) {
    for (const char* helper : {"/usr/bin/fusermount3", "/bin/fusermount3"}) {
      if (::access(helper, X_OK) == 0) return {true, "mounts", "/dev/fuse and fusermount3", ""};
    }
    return {false, "mounts", "fusermount3 is missing", "install fuse3"};
  }
  return {true, "mounts", "/dev/fuse", ""};
}

// The folder, or the nearest one above it that there is: indexes make their folder.
Finding ExamineIndexFolder(const std::string& directory) {
  const std::string folder = directory.empty() ? DefaultIndexDirectory() : directory;
  const std::string remedy = "name a folder that can be written with --index";
  if (folder.empty()) return {false, "indexes", "neither XDG_CACHE_HOME nor HOME is set", remedy};
  std::string existing = folder;
  while (existing.size() > 1 && ::access(existing.c_str(), F_OK) != 0) {
    const size_t slash = existing.rfind('/');
    existing = slash == std::string::npos ? "." : slash == 0 ? "/" : existing.substr(0, slash);
    if (existing == ".") break;
  }
  if (::access(existing.c_str(), W_OK | X_OK) != 0) {
    return {false, "indexes", absl::StrCat(existing, ": ", std::strerror(errno)), remedy};
  }
  return {true, "indexes", folder, ""};
}

}  // namespace

std::vector<Finding> ExamineMachine(const std::string& index_directory) {
  return {ExamineArchitecture(),  ExamineKernelEngine(),  ExamineProcChildren(),
          ExaminePtrace(),        ExaminePtraceEngine(),  ExaminePtraceRights(),
          ExamineRestartModule(), ExaminePtraceRestart(), ExamineRestartRights(),
          ExamineSeccomp(),       ExamineFuse(),          ExamineIndexFolder(index_directory)};
}

}  // namespace crfs
