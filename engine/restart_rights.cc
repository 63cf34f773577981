// SPDX-License-Identifier: Apache-2.0
//
// What the caller could not have done himself: a restart is no way to more rights.

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "engine/limits.h"
#include "engine/restart_check.h"
#include "engine/restart_engine.h"
#include "engine/restart_given.h"

namespace crfs {
namespace {

constexpr absl::string_view kUids[] = {"uid", "euid", "suid", "fsuid"};
constexpr absl::string_view kGids[] = {"gid", "egid", "sgid", "fsgid"};
// AppArmor's word for a task without a profile.
constexpr absl::string_view kUnconfined = "unconfined";

// Locked, a bit stays as it is (PR_SET_SECUREBITS): each odd bit locks the one below it.
uint64_t LockedBits(uint64_t securebits) {
  const uint64_t locks = securebits & 0xaaaaaaaaaaaaaaaa;
  return locks | locks >> 1;
}

class RightsChecker {
 public:
  explicit RightsChecker(const RestartCheck& check) : check_(check), caller_(check.caller) {}

  void Check() {
    CheckNamespaces();
    absl::flat_hash_set<uint64_t> creds;
    for (const uint64_t id : check_.checkpoint.Ids("thread")) {
      const ObjectView thread = check_.checkpoint.Get("thread", id);
      CheckThread(thread);
      if (thread.Number("cred") != 0) creds.insert(thread.Number("cred"));
    }
    for (const uint64_t id : check_.checkpoint.Ids("cred")) {
      if (creds.contains(id)) CheckCred(check_.checkpoint.Get("cred", id));
    }
    for (const uint64_t id : check_.checkpoint.Ids("task")) {
      CheckTask(check_.checkpoint.Get("task", id));
    }
    for (const uint64_t id : check_.checkpoint.Ids("fs")) {
      CheckRoot(check_.checkpoint.Get("fs", id));
    }
    std::set<uint64_t> pipes;
    for (const uint64_t id : FilesInUse(check_.checkpoint)) {
      pipes.insert(check_.checkpoint.Get("file", id).Number("pipe"));
    }
    for (const uint64_t id : check_.checkpoint.Ids("pipe")) {
      if (!pipes.contains(id)) continue;
      const ObjectView pipe = check_.checkpoint.Get("pipe", id);
      if (pipe.Number("capacity") > check_.machine.pipe_max && !caller_.Can(CAP_SYS_RESOURCE)) {
        Deny(pipe, "capacity", absl::StrCat("and fs.pipe-max-size is ", check_.machine.pipe_max),
             "CAP_SYS_RESOURCE");
      }
    }
    for (const uint64_t id : check_.checkpoint.Ids("mm")) {
      const ObjectView mm = check_.checkpoint.Get("mm", id);
      if (mm.Number("dumpable") == 2 && !caller_.Can(CAP_SYS_ADMIN)) {
        check_.Deny(mm, "dumpable", "is 2: core files are root's", "CAP_SYS_ADMIN");
      }
    }
    for (const uint64_t id : check_.checkpoint.Ids("vma")) {
      const ObjectView vma = check_.checkpoint.Get("vma", id);
      if (vma.KeyNumber() < check_.machine.lowest_address && !caller_.Can(CAP_SYS_RAWIO)) {
        check_.Deny(vma, "prot", "is of memory below vm.mmap_min_addr", "CAP_SYS_RAWIO");
      }
    }
  }

 private:
  void Deny(const ObjectView& object, absl::string_view field, absl::string_view why,
            absl::string_view right) {
    check_.Deny(object, field, absl::StrCat("is ", ShownValue(object, field), ", ", why), right);
  }

  // Old pids, or new namespaces for them.
  void CheckNamespaces() {
    if (caller_.Can(CAP_SYS_ADMIN)) return;
    const ObjectView checkpoint = check_.checkpoint.Get("checkpoint", 1);
    if (UserNamespaceFor(check_.options) == UserNamespace::kOwn) {
      if (const int error = TryUserNamespace(); error != 0) {
        check_.Add(
            "--pidns",
            absl::StrCat("a user namespace for it cannot be made (", std::strerror(error), ")"),
            "run crfs as root, or allow them (sysctl kernel.unprivileged_userns_clone=1, "
            "user.max_user_namespaces)");
      }
    } else if (check_.options.pid_namespace) {
      check_.Add("--pidns", "a new pid namespace is not permitted without CAP_SYS_ADMIN",
                 "run crfs as root, or without the module (--engine ptrace)");
    } else if (!caller_.Can(CAP_CHECKPOINT_RESTORE)) {
      check_.Add(checkpoint, "root",
                 "and all other tasks are to have their old pids, which is not permitted without "
                 "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN",
                 "restart it in a pid namespace (--pidns), or as root");
    }
  }

  // ---- credentials ----------------------------------------------------------------------------

  void CheckCred(const ObjectView& cred) {
    CheckIds(cred, kUids, caller_.uids, CAP_SETUID, "a user other than yours", "CAP_SETUID");
    CheckIds(cred, kGids, caller_.gids, CAP_SETGID, "a group other than yours", "CAP_SETGID");
    if (!caller_.Can(CAP_SETGID) && Groups(cred) != caller_.groups) {
      Deny(cred, "groups", "not your groups", "CAP_SETGID");
    }
    CheckCapabilities(cred);
    const uint64_t securebits = cred.Number("securebits");
    const uint64_t locked = LockedBits(caller_.securebits);
    if (securebits != caller_.securebits) {
      if (((securebits ^ caller_.securebits) & locked) != 0) {
        check_.Add(cred, "securebits", "differs from yours, which are locked",
                   "run crfs where they are not");
      } else if (!caller_.Can(CAP_SETPCAP)) {
        Deny(cred, "securebits", "not yours", "CAP_SETPCAP");
      }
    }
    CheckLabel(cred);
  }

  template <typename Fields>
  void CheckIds(const ObjectView& cred, const Fields& fields, const std::array<uint32_t, 4>& own,
                int capability, absl::string_view why, absl::string_view right) {
    if (caller_.Can(capability)) return;
    absl::flat_hash_set<uint64_t> denied;  // each id is told once
    for (const absl::string_view field : fields) {
      const uint64_t id = cred.Number(field);
      if (std::find(own.begin(), own.end(), id) != own.end() || !denied.insert(id).second) continue;
      Deny(cred, field, why, right);
    }
  }

  static std::vector<uint32_t> Groups(const ObjectView& cred) {
    const absl::string_view bytes = cred.Bytes("groups");
    std::vector<uint32_t> groups(bytes.size() / sizeof(uint32_t));
    if (!groups.empty()) std::memcpy(groups.data(), bytes.data(), groups.size() * sizeof(uint32_t));
    std::sort(groups.begin(), groups.end());
    return groups;
  }

  void CheckCapabilities(const ObjectView& cred) {
    const uint64_t permitted = cred.Number("cap_permitted");
    const uint64_t inheritable = cred.Number("cap_inheritable");
    const uint64_t bounding = cred.Number("cap_bounding");
    More(cred, "cap_permitted", caller_.cap_permitted);
    More(cred, "cap_bounding", caller_.cap_bounding);
    More(cred, "cap_inheritable",
         caller_.cap_inheritable |
             (caller_.Can(CAP_SETPCAP) ? caller_.cap_bounding : caller_.cap_permitted));
    if ((caller_.cap_bounding & ~bounding) != 0 && !caller_.Can(CAP_SETPCAP)) {
      check_.Deny(cred, "cap_bounding", "has fewer capabilities than yours", "CAP_SETPCAP");
    }
    Beyond(cred, "cap_effective", permitted, "cap_permitted does");
    Beyond(cred, "cap_ambient", permitted & inheritable, "cap_permitted and cap_inheritable do");
  }

  void More(const ObjectView& cred, absl::string_view field, uint64_t own) {
    const uint64_t more = cred.Number(field) & ~own;
    if (more == 0) return;
    check_.Deny(cred, field, "has capabilities that you do not have", Names(cred, field, more));
  }

  void Beyond(const ObjectView& cred, absl::string_view field, uint64_t within,
              absl::string_view what) {
    const uint64_t more = cred.Number(field) & ~within;
    if (more == 0) return;
    check_.Add(cred, field,
               absl::StrCat("has ", Names(cred, field, more), ", which ", what, " not have"),
               "take it out, or put it in there");
  }

  static std::string Names(const ObjectView& cred, absl::string_view field, uint64_t bits) {
    const Row& row = *cred.type().Find(field);
    std::string names;
    for (const Word& word : row.words) {
      if ((bits >> word.value & 1) == 0) continue;
      absl::StrAppend(&names, names.empty() ? "" : " ", word.name);
      bits &= ~(uint64_t{1} << word.value);
    }
    if (bits != 0) {
      absl::StrAppend(&names, names.empty() ? "" : " ", "0x", absl::Hex(bits),
                      " (unknown to this kernel)");
    }
    return names;
  }

  void CheckLabel(const ObjectView& cred) {
    const auto plain = [](absl::string_view label) {
      return label.empty() || label == kUnconfined ? absl::string_view() : label;
    };
    if (plain(cred.Bytes("label")) == plain(caller_.label)) return;
    check_.Add(cred, "label",
               absl::StrCat("is \"", ShownValue(cred, "label"), "\", and yours is \"",
                            caller_.label, "\""),
               "run crfs under that label (runcon(1), aa-exec(1))");
  }

  // ---- threads --------------------------------------------------------------------------------

  void CheckThread(const ObjectView& thread) {
    if (thread.Number("state") == CRFS_state_zombie) return;
    CheckScheduling(thread);
    if (thread.Number("no_new_privs") == 0 && caller_.no_new_privs) {
      check_.Add(thread, "no_new_privs", "is 0, and crfs runs with no_new_privs, which stays",
                 "run crfs without");
    }
    if (thread.Number("seccomp") == 0 && caller_.seccomp != 0) {
      check_.Add(thread, "seccomp",
                 "is disabled, and crfs runs under a seccomp filter, which stays",
                 "run crfs without");
    }
    const std::string_view cpus = Bits(thread.Bytes("cpus")), online = Bits(check_.machine.cpus);
    bool any = cpus.empty() || online.empty();
    for (size_t i = 0; i < std::min(cpus.size(), online.size()); ++i) {
      any |= (cpus[i] & online[i]) != 0;
    }
    if (!any) {
      check_.Add(thread, "cpus",
                 absl::StrCat("is ", ShownValue(thread, "cpus"), ", none of which is online"),
                 "write others, or take those online");
    }
  }

  static std::string_view Bits(absl::string_view bytes) { return {bytes.data(), bytes.size()}; }

  void CheckScheduling(const ObjectView& thread) {
    constexpr uint64_t kFifo = 1, kRoundRobin = 2;  // SCHED_*
    constexpr uint64_t kIoRealTime = 1, kIoClassShift = 13;
    const auto nice = static_cast<int64_t>(thread.Number("nice"));
    if (nice < -20 || nice > 19) {
      check_.Add(thread, "nice", absl::StrCat("is ", nice), "write -20 to 19");
    } else if (nice < caller_.nice && !caller_.Can(CAP_SYS_NICE) &&
               20 - nice >
                   static_cast<int64_t>(std::min<uint64_t>(caller_.limits[RLIMIT_NICE].soft, 40))) {
      Deny(thread, "nice", absl::StrCat("and yours is ", caller_.nice), "CAP_SYS_NICE");
    }
    const uint64_t policy = thread.Number("policy"), priority = thread.Number("priority");
    const bool real_time = policy == kFifo || policy == kRoundRobin;
    if (real_time != (priority != 0)) {
      check_.Add(
          thread, "priority",
          absl::StrCat("is ", priority, ", and the policy is ", ShownValue(thread, "policy")),
          "write 1 to 99 for fifo and rr, 0 for others");
    } else if (real_time && priority > caller_.limits[RLIMIT_RTPRIO].soft &&
               !caller_.Can(CAP_SYS_NICE)) {
      Deny(thread, "policy", "a real-time one", "CAP_SYS_NICE");
    }
    if (thread.Number("ioprio") >> kIoClassShift == kIoRealTime && !caller_.Can(CAP_SYS_NICE) &&
        !caller_.Can(CAP_SYS_ADMIN)) {
      Deny(thread, "ioprio", "the real-time class", "CAP_SYS_NICE");
    }
  }

  // ---- tasks ----------------------------------------------------------------------------------

  void CheckTask(const ObjectView& task) {
    if (task.Number("state") == CRFS_state_zombie) return;
    for (const auto& [which, soft, field] : kLimitRows) {
      const uint64_t hard = task.Number(field);
      if (which == RLIMIT_NOFILE && hard > check_.machine.fd_max) {
        check_.Add(task, field,
                   absl::StrCat("is ", ShownValue(task, field), ", and fs.nr_open is ",
                                check_.machine.fd_max),
                   "raise that (sysctl), or write less");
      } else if (hard > caller_.limits[which].hard && !caller_.Can(CAP_SYS_RESOURCE)) {
        Deny(task, field, "more than your hard limit", "CAP_SYS_RESOURCE");
      }
    }
    const auto oom = static_cast<int64_t>(task.Number("oom_score_adj"));
    if (oom < -1000 || oom > 1000) {
      check_.Add(task, "oom_score_adj", absl::StrCat("is ", oom), "write -1000 to 1000");
    } else if (oom < caller_.oom_score_adj && !caller_.Can(CAP_SYS_RESOURCE)) {
      Deny(task, "oom_score_adj", absl::StrCat("and yours is ", caller_.oom_score_adj),
           "CAP_SYS_RESOURCE");
    }
    CheckLocked(task);
  }

  // Locked memory (mlock(2)) is locked again with the program's own rights.
  void CheckLocked(const ObjectView& task) {
    const uint64_t mm = task.Number("mm"), limit = task.Number("rlimit_memlock_soft");
    uint64_t locked = 0;
    for (const uint64_t id : check_.checkpoint.Owned("vma", mm)) {
      const ObjectView vma = check_.checkpoint.Get("vma", id);
      if ((vma.Number("flags") >> CRFS_vma_flags_lo & 1) == 0) continue;
      locked += vma.Number("end") - vma.KeyNumber();
    }
    if (locked <= limit) return;
    for (const uint64_t id : check_.checkpoint.Owned("thread", task.id())) {
      const ObjectView thread = check_.checkpoint.Get("thread", id);
      if (thread.Number("cred") == 0) continue;
      const ObjectView cred = check_.checkpoint.Get("cred", thread.Number("cred"));
      if ((cred.Number("cap_effective") >> CAP_IPC_LOCK & 1) != 0) continue;
      return check_.Add(task, "rlimit_memlock_soft",
                        absl::StrCat("is ", limit, ", and ", locked, " bytes are locked"),
                        "write as much, here and as the hard limit");
    }
  }

  void CheckRoot(const ObjectView& fs) {
    if (fs.Number("root") == 0 || caller_.Can(CAP_SYS_CHROOT)) return;
    if (check_.checkpoint.Get("file", fs.Number("root")).Bytes("path") == "/") return;
    check_.Deny(fs, "root", "is not yours", "CAP_SYS_CHROOT");
  }

  const RestartCheck& check_;
  const Caller& caller_;
};

}  // namespace

void CheckRights(const RestartCheck& check) { RightsChecker(check).Check(); }

}  // namespace crfs
