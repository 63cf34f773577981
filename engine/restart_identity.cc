// SPDX-License-Identifier: Apache-2.0

#include "engine/restart_identity.h"

#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "crfs/schema.h"
#include "crfs/words.h"
#include "engine/raw_call.h"

namespace crfs {
namespace {

constexpr int kIoprioWhoProcess = 1;
constexpr uint64_t kAllCapabilities = (uint64_t{1} << 41) - 1;

uint64_t BoundingSet() {
  uint64_t bounding = 0;
  for (int capability = 0; capability < 64; ++capability) {
    const int has = ::prctl(PR_CAPBSET_READ, capability);
    if (has < 0) break;
    bounding |= static_cast<uint64_t>(has) << capability;
  }
  return bounding;
}

uint64_t AmbientSet() {
  uint64_t ambient = 0;
  for (int capability = 0; capability < 64; ++capability) {
    const int has = ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0);
    if (has < 0) break;
    ambient |= static_cast<uint64_t>(has) << capability;
  }
  return ambient;
}

// Whether a call went well; else the board gets to know of it, with a name for what it set.
class Applier {
 public:
  Applier(const ThreadPlan& plan, Board& board) : plan_(plan), board_(board) {}

  bool Thread(long result, const char* field) {
    return Check(result, field, CRFS_TAG_thread, plan_.id);
  }
  bool Cred(long result, const char* field) {
    return Check(result, field, CRFS_TAG_cred, plan_.cred.id);
  }

 private:
  bool Check(long result, const char* field, uint32_t type, uint64_t id) {
    if (result >= 0) return true;
    board_.Fail(field, type, id, static_cast<int>(-result));
    return false;
  }

  const ThreadPlan& plan_;
  Board& board_;
};

long SetCapabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  for (int i = 0; i < 2; ++i) {
    data[i].effective = static_cast<uint32_t>(effective >> (32 * i));
    data[i].permitted = static_cast<uint32_t>(permitted >> (32 * i));
    data[i].inheritable = static_cast<uint32_t>(inheritable >> (32 * i));
  }
  return RawCall(SYS_capset, &header, &data[0]);
}

long Prctl(int option, uint64_t two = 0, uint64_t three = 0) {
  return RawCall(SYS_prctl, option, two, three, 0, 0);
}

bool SameIds(const CredPlan& one, const CredPlan& other) {
  return one.uid == other.uid && one.euid == other.euid && one.suid == other.suid &&
         one.gid == other.gid && one.egid == other.egid && one.sgid == other.sgid;
}

// Only what differs: somebody without privileges may restart what is as he is himself.
bool ApplyCred(const CredPlan& cred, const CredPlan& own, Applier check) {
  if (cred.groups != own.groups &&
      !check.Cred(RawCall(SYS_setgroups, cred.groups.size(), cred.groups.data()), "groups")) {
    return false;
  }
  for (int capability = 0; capability < 41; ++capability) {
    const uint64_t bit = uint64_t{1} << capability;
    if ((own.bounding & bit) != 0 && (cred.bounding & bit) == 0 &&
        !check.Cred(Prctl(PR_CAPBSET_DROP, static_cast<uint64_t>(capability)), "cap_bounding")) {
      return false;
    }
  }
  if (!SameIds(cred, own)) {
    // Or the new ids would take what is to be kept.
    if (own.permitted != 0 && (own.securebits & SECBIT_KEEP_CAPS_LOCKED) == 0 &&
        !check.Cred(Prctl(PR_SET_KEEPCAPS, 1), "securebits")) {
      return false;
    }
    if (!check.Cred(RawCall(SYS_setresgid, cred.gid, cred.egid, cred.sgid), "gid") ||
        !check.Cred(RawCall(SYS_setresuid, cred.uid, cred.euid, cred.suid), "uid")) {
      return false;
    }
  }
  const bool same_caps = cred.inheritable == own.inheritable && cred.permitted == own.permitted &&
                         cred.effective == own.effective && cred.ambient == own.ambient &&
                         cred.securebits == own.securebits && SameIds(cred, own);
  const bool same_fs = cred.fsuid == cred.euid && cred.fsgid == cred.egid;
  if (!same_fs || !same_caps) {
    if (!same_caps && !check.Cred(SetCapabilities(own.permitted, own.permitted, cred.inheritable),
                                  "cap_inheritable")) {
      return false;
    }
    // They return what was before, never an error.
    RawCall(SYS_setfsgid, cred.fsgid);
    RawCall(SYS_setfsuid, cred.fsuid);
    if (static_cast<uint32_t>(RawCall(SYS_setfsuid, -1)) != cred.fsuid ||
        static_cast<uint32_t>(RawCall(SYS_setfsgid, -1)) != cred.fsgid) {
      return check.Cred(-EPERM, "fsuid");
    }
  }
  if (same_caps) return true;
  for (int capability = 0; capability < 41; ++capability) {
    const uint64_t bit = uint64_t{1} << capability;
    const bool wanted = (cred.ambient & bit) != 0;
    if (wanted == ((own.ambient & bit) != 0) && SameIds(cred, own)) continue;
    const long result =
        RawCall(SYS_prctl, PR_CAP_AMBIENT, wanted ? PR_CAP_AMBIENT_RAISE : PR_CAP_AMBIENT_LOWER,
                capability, 0, 0);
    if (wanted && !check.Cred(result, "cap_ambient")) return false;
  }
  // KEEP_CAPS, which was set above, is one of them.
  if ((cred.securebits != own.securebits || !SameIds(cred, own)) && own.permitted != 0 &&
      !check.Cred(Prctl(PR_SET_SECUREBITS, cred.securebits), "securebits")) {
    return false;
  }
  return check.Cred(SetCapabilities(cred.effective, cred.permitted, cred.inheritable),
                    "cap_permitted");
}

bool ApplyScheduling(const ThreadPlan& plan, Applier check) {
  // The nice value also of those whose policy leaves it for later: sched_setattr(2) does not.
  return check.Thread(RawCall(SYS_setpriority, static_cast<int>(PRIO_PROCESS), 0, plan.sched.nice),
                      "sched/nice") &&
         check.Thread(RawCall(SYS_sched_setattr, 0, &plan.sched, 0), "sched/policy") &&
         check.Thread(RawCall(SYS_ioprio_set, kIoprioWhoProcess, 0, plan.ioprio), "sched/ioprio") &&
         check.Thread(Prctl(PR_SET_TIMERSLACK, plan.timerslack), "timerslack") &&
         check.Thread(plan.cpus.empty()
                          ? 0
                          : RawCall(SYS_sched_setaffinity, 0, plan.cpus.size() * sizeof(uint64_t),
                                    plan.cpus.data()),
                      "sched/cpus");
}

template <typename T>
std::vector<T> NumbersOf(absl::string_view bytes) {
  std::vector<T> numbers(bytes.size() / sizeof(T));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(T));
  return numbers;
}

CredPlan PlanCred(const ObjectView& cred) {
  const auto id = [&](absl::string_view field) {
    return static_cast<uint32_t>(cred.Number(field));
  };
  return {.id = cred.id(),
          .uid = id("uid"),
          .euid = id("euid"),
          .suid = id("suid"),
          .fsuid = id("fsuid"),
          .gid = id("gid"),
          .egid = id("egid"),
          .sgid = id("sgid"),
          .fsgid = id("fsgid"),
          .groups = NumbersOf<gid_t>(cred.Bytes("groups")),
          .inheritable = cred.Number("cap_inheritable"),
          .permitted = cred.Number("cap_permitted"),
          .effective = cred.Number("cap_effective"),
          .bounding = cred.Number("cap_bounding"),
          .ambient = cred.Number("cap_ambient"),
          .securebits = cred.Number("securebits")};
}

}  // namespace

CredPlan OwnCred() {
  CredPlan own;
  ::getresuid(&own.uid, &own.euid, &own.suid);
  ::getresgid(&own.gid, &own.egid, &own.sgid);
  own.fsuid = static_cast<uint32_t>(::setfsuid(-1));
  own.fsgid = static_cast<uint32_t>(::setfsgid(-1));
  const int count = ::getgroups(0, nullptr);
  own.groups.resize(static_cast<size_t>(std::max(count, 0)));
  ::getgroups(count, own.groups.data());
  std::ranges::sort(own.groups);
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  RawCall(SYS_capget, &header, &data[0]);
  const auto both = [&data](auto member) {
    return (data[0].*member | uint64_t{data[1].*member} << 32) & kAllCapabilities;
  };
  own.effective = both(&__user_cap_data_struct::effective);
  own.permitted = both(&__user_cap_data_struct::permitted);
  own.inheritable = both(&__user_cap_data_struct::inheritable);
  own.bounding = BoundingSet();
  own.ambient = AmbientSet();
  own.securebits = static_cast<uint64_t>(::prctl(PR_GET_SECUREBITS));
  return own;
}

ThreadPlan PlanThread(const LoadedCheckpoint& checkpoint, const ObjectView& thread) {
  const auto number = [&](absl::string_view field) {
    return static_cast<uint32_t>(thread.Number(field));
  };
  ThreadPlan plan;
  plan.id = thread.id();
  plan.tid = static_cast<pid_t>(thread.Number("tid"));
  const ObjectView task = checkpoint.Get("task", thread.OwnerId());
  plan.zombie_task = task.Number("state") == CRFS_state_zombie;
  plan.zombie = plan.zombie_task || thread.Number("state") == CRFS_state_zombie;
  plan.exit_code = static_cast<uint32_t>((plan.zombie_task ? task : thread).Number("exit_code"));
  plan.sigmask = thread.Number("sigmask");
  const absl::string_view comm = thread.Bytes("comm");
  std::memcpy(plan.comm.data(), comm.data(), std::min(comm.size(), plan.comm.size() - 1));
  plan.sched.size = sizeof(plan.sched);
  plan.sched.policy = number("policy");
  plan.sched.flags = number("reset_on_fork") != 0 ? SCHED_FLAG_RESET_ON_FORK : 0;
  plan.sched.nice = static_cast<int32_t>(thread.Number("nice"));
  plan.sched.priority = number("priority");
  const absl::string_view cpus = thread.Bytes("cpus");
  plan.cpus.resize((cpus.size() + sizeof(uint64_t) - 1) / sizeof(uint64_t));
  std::memcpy(plan.cpus.data(), cpus.data(), cpus.size());
  plan.ioprio = number("ioprio");
  plan.timerslack = thread.Number("timerslack");
  plan.personality = number("personality");
  plan.pdeath_signal = number("pdeath_signal");
  plan.no_new_privs = number("no_new_privs") != 0;
  if (number("syscall_restart") == CRFS_syscall_restart_block)
    plan.waits_in = number("syscall_block");
  plan.cred = PlanCred(checkpoint.Get("cred", thread.Number("cred")));
  return plan;
}

bool ApplyThread(const ThreadPlan& plan, const CredPlan& own, Board& board) {
  Applier check(plan, board);
  return check.Thread(RawCall(SYS_prctl, PR_SET_NAME, plan.comm.data()), "comm") &&
         check.Thread(RawCall(SYS_personality, plan.personality), "personality") &&
         ApplyScheduling(plan, check) && ApplyCred(plan.cred, own, check) &&
         // New credentials take it away, so it comes after them.
         check.Thread(Prctl(PR_SET_PDEATHSIG, plan.pdeath_signal), "pdeath_signal") &&
         check.Thread(plan.no_new_privs ? Prctl(PR_SET_NO_NEW_PRIVS, 1) : 0, "no_new_privs");
}

}  // namespace crfs
