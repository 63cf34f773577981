// SPDX-License-Identifier: Apache-2.0
//
// States that no step of a restart is there for.

#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "crfs/schema.h"
#include "engine/restart_check.h"
#include "index/codec.h"

namespace crfs {
namespace {

constexpr absl::string_view kNamespaces[] = {"ns_mnt",
                                             "ns_uts",
                                             "ns_ipc",
                                             "ns_pid",
                                             "ns_net",
                                             "ns_user",
                                             "ns_time",
                                             "ns_cgroup",
                                             "ns_pid_for_children",
                                             "ns_time_for_children"};

class StateChecker {
 public:
  explicit StateChecker(const RestartCheck& check) : check_(check) {}

  void Check() {
    for (const absl::string_view type : {"mm", "task", "thread"}) {
      for (const uint64_t id : check_.checkpoint.Ids(type)) {
        const ObjectView object = check_.checkpoint.Get(type, id);
        if (object.Number("blockers") == 0) continue;
        check_.Add(
            object, "blockers",
            absl::StrCat("is ", ShownValue(object, "blockers"), ", which cannot be ", "restarted"),
            "checkpoint the program without it (crfs(5), blockers)");
      }
    }
    for (const uint64_t id : check_.checkpoint.Ids("task")) {
      CheckTask(check_.checkpoint.Get("task", id));
    }
    for (const uint64_t id : check_.checkpoint.Ids("thread")) {
      CheckThread(check_.checkpoint.Get("thread", id));
    }
    for (const uint64_t id : check_.checkpoint.Ids("shmem")) {
      const ObjectView shmem = check_.checkpoint.Get("shmem", id);
      if (shmem.Number("sysv") == 0) continue;
      check_.Add(shmem, "sysv", "is 1: a System V segment, which cannot be restarted",
                 "checkpoint the program without it (shmdt(2))");
    }
    CheckUnsupported();
  }

 private:
  // A namespace that was that of crfs becomes that of crfs again.
  void CheckTask(const ObjectView& task) {
    for (const absl::string_view field : kNamespaces) {
      const uint64_t id = task.Number(field);
      if (id == 0) continue;
      const ObjectView ns = check_.checkpoint.Get("ns", id);
      const auto own = check_.caller.namespace_inodes.find(ns.Number("kind"));
      if (ns.Number("level") == 0 ||
          (own != check_.caller.namespace_inodes.end() && own->second == ns.Number("inode"))) {
        continue;
      }
      if (!seen_.insert(id).second) continue;
      check_.Add(task, field,
                 absl::StrCat("is a ", ShownValue(ns, "kind"), " namespace other than that of ",
                              "crfs, which is not made again"),
                 "run crfs in it (nsenter(1)), or checkpoint the program from within it");
    }
  }

  void CheckThread(const ObjectView& thread) {
    if (thread.Number("seccomp") != 0) {
      check_.Add(thread, "seccomp",
                 absl::StrCat("is ", ShownValue(thread, "seccomp"), ", which is not set again"),
                 "checkpoint the program without it");
    }
    constexpr uint64_t kDeadline = 6, kExtensible = 7;  // SCHED_*
    const uint64_t policy = thread.Number("policy");
    if (policy == kDeadline || policy == kExtensible) {
      check_.Add(
          thread, "policy",
          absl::StrCat("is ", ShownValue(thread, "policy"), ", whose parameters are not ", "saved"),
          "write another, such as other");
    }
  }

  // What the checkpoint itself has listed. A line begins with the path of what it is about. What
  // is wrong with descriptors and mappings is found by what they are now; what has been deleted
  // from the tree, or is named already, needs no more words.
  void CheckUnsupported() {
    const ObjectView checkpoint = check_.checkpoint.Get("checkpoint", 1);
    const std::string root = check_.checkpoint.Where(checkpoint);
    const std::string prefix = root.substr(0, root.size() - checkpoint.type().place.size());
    for (const absl::string_view line :
         absl::StrSplit(checkpoint.Bytes("unsupported"), '\0', absl::SkipEmpty())) {
      const absl::string_view place = line.substr(0, line.find(':'));
      if (absl::StartsWith(place, "objects/fdtable/") || absl::StrContains(place, "/vmas/")) {
        continue;
      }
      const std::string whole = absl::StrCat(prefix, place);
      if (IsGone(place, whole) || IsTold(whole)) continue;
      check_.Add(checkpoint, "unsupported", "names a state that cannot be restarted",
                 EscapeText(line));
    }
  }

  bool IsGone(absl::string_view place, absl::string_view whole) const {
    for (const absl::string_view type : {"mm", "task", "thread"}) {
      for (const uint64_t id : check_.checkpoint.Ids(type)) {
        if (check_.checkpoint.Where(check_.checkpoint.Get(type, id)) == whole) return false;
      }
    }
    return absl::StartsWith(place, "objects/mm/") || absl::StartsWith(place, "tasks/");
  }

  bool IsTold(const std::string& place) const {
    for (const std::string& problem : check_.problems) {
      if (absl::StartsWith(problem, absl::StrCat(place, ":")) ||
          absl::StartsWith(problem, absl::StrCat(place, "/"))) {
        return true;
      }
    }
    return false;
  }

  const RestartCheck& check_;
  absl::flat_hash_set<uint64_t> seen_;  // namespaces
};

}  // namespace

void CheckStates(const RestartCheck& check) { StateChecker(check).Check(); }

}  // namespace crfs
