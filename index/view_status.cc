// SPDX-License-Identifier: Apache-2.0

#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "crfs/schema.h"
#include "index/views.h"

namespace crfs {
namespace {

// What a task's status is made of; those that it does not have are null.
struct Parts {
  std::shared_ptr<const Object> task;
  std::shared_ptr<const Object> leader;
  std::shared_ptr<const Object> cred;
  std::shared_ptr<const Object> fs;
  std::shared_ptr<const Object> fdtable;
  std::shared_ptr<const Object> mm;
};

const ObjectType& TypeOf(uint32_t tag) { return *FindType(tag); }

absl::Status Fetch(const ObjectCache& objects, uint32_t tag, uint64_t id,
                   std::shared_ptr<const Object>* out) {
  if (id == 0) return absl::OkStatus();
  auto object = objects.Get(TypeOf(tag), id);
  if (!object.ok()) return object.status();
  *out = *std::move(object);
  return absl::OkStatus();
}

absl::StatusOr<Parts> FetchParts(const Index& index, const ObjectCache& objects, uint64_t task_id) {
  Parts parts;
  if (auto s = Fetch(objects, CRFS_TAG_task, task_id, &parts.task); !s.ok()) return s;
  if (parts.task == nullptr) return absl::NotFoundError("there is no such task");
  const ObjectView& task = parts.task->view();
  auto leader = index.FindKey(TypeOf(CRFS_TAG_thread), task_id, task.KeyNumber());
  if (leader.ok()) {
    if (auto s = Fetch(objects, CRFS_TAG_thread, *leader, &parts.leader); !s.ok()) return s;
    const uint64_t cred = parts.leader->view().Number("cred");
    if (auto s = Fetch(objects, CRFS_TAG_cred, cred, &parts.cred); !s.ok()) return s;
  } else if (!absl::IsNotFound(leader.status())) {
    return leader.status();
  }
  if (auto s = Fetch(objects, CRFS_TAG_fs, task.Number("fs"), &parts.fs); !s.ok()) return s;
  if (auto s = Fetch(objects, CRFS_TAG_mm, task.Number("mm"), &parts.mm); !s.ok()) return s;
  const uint64_t fd = task.Number("fd");
  if (auto s = Fetch(objects, CRFS_TAG_fdtable, fd, &parts.fdtable); !s.ok()) return s;
  return parts;
}

// Little-endian u32s, each after a separator.
std::string Numbers(absl::string_view bytes, absl::string_view before, absl::string_view after) {
  std::string text;
  for (; bytes.size() >= sizeof(uint32_t); bytes.remove_prefix(sizeof(uint32_t))) {
    uint32_t number;
    std::memcpy(&number, bytes.data(), sizeof(number));
    absl::StrAppend(&text, before, number, after);
  }
  return text;
}

uint64_t SignalBit(uint64_t signal) {
  return signal >= 1 && signal <= 64 ? uint64_t{1} << (signal - 1) : 0;
}

// The set of the signals that are pending for a task or thread.
absl::StatusOr<uint64_t> Pending(const Index& index, const ObjectCache& objects, uint32_t tag,
                                 uint64_t owner_id) {
  uint64_t set = 0;
  absl::Status failed;
  auto status = index.ListKeys(TypeOf(tag), owner_id, 0, [&](uint64_t, uint64_t id) {
    std::shared_ptr<const Object> signal;
    failed = Fetch(objects, tag, id, &signal);
    if (failed.ok() && signal != nullptr) set |= SignalBit(signal->view().Number("signo"));
    return failed.ok();
  });
  if (!status.ok()) return status;
  if (!failed.ok()) return failed;
  return set;
}

struct Handlers {
  uint64_t ignored = 0;
  uint64_t caught = 0;
};

absl::StatusOr<Handlers> HandlersOf(const Index& index, const ObjectCache& objects,
                                    uint64_t sighand_id) {
  Handlers handlers;
  absl::Status failed;
  const ObjectType& type = TypeOf(CRFS_TAG_sigaction);
  auto status = index.ListKeys(type, sighand_id, 0, [&](uint64_t signal, uint64_t id) {
    std::shared_ptr<const Object> action;
    failed = Fetch(objects, CRFS_TAG_sigaction, id, &action);
    if (!failed.ok() || action == nullptr) return failed.ok();
    const uint64_t handler = action->view().Number("handler");
    if (handler == 1) handlers.ignored |= SignalBit(signal);
    if (handler > 1) handlers.caught |= SignalBit(signal);
    return true;
  });
  if (!status.ok()) return status;
  if (!failed.ok()) return failed;
  return handlers;
}

absl::string_view StateText(uint64_t state) {
  switch (state) {
    case CRFS_state_stopped:
      return "T (stopped)";
    case CRFS_state_zombie:
      return "Z (zombie)";
    default:
      return "R (running)";
  }
}

void AppendSet(std::string* out, absl::string_view name, uint64_t set) {
  absl::StrAppendFormat(out, "%s:\t%016x\n", name, set);
}

void AppendIds(std::string* out, absl::string_view name, const ObjectView& cred,
               absl::string_view real, absl::string_view effective, absl::string_view saved,
               absl::string_view file_system) {
  absl::StrAppend(out, name, ":\t", cred.Number(real), "\t", cred.Number(effective), "\t",
                  cred.Number(saved), "\t", cred.Number(file_system), "\n");
}

void AppendIdentity(std::string* out, const Parts& parts) {
  const ObjectView& task = parts.task->view();
  if (parts.leader != nullptr) {
    const std::string comm(parts.leader->view().Bytes("comm"));
    absl::StrAppend(out, "Name:\t", absl::StrReplaceAll(comm, {{"\\", "\\\\"}, {"\n", "\\n"}}),
                    "\n");
  }
  if (parts.fs != nullptr) {
    absl::StrAppendFormat(out, "Umask:\t%#04o\n", parts.fs->view().Number("umask"));
  }
  absl::StrAppend(out, "State:\t", StateText(task.Number("state")), "\n");
  absl::StrAppend(out, "Tgid:\t", task.KeyNumber(), "\n");
  absl::StrAppend(out, "Pid:\t", task.KeyNumber(), "\n");
  absl::StrAppend(out, "PPid:\t", task.Number("ppid"), "\n");
  if (parts.cred != nullptr) {
    AppendIds(out, "Uid", parts.cred->view(), "uid", "euid", "suid", "fsuid");
    AppendIds(out, "Gid", parts.cred->view(), "gid", "egid", "sgid", "fsgid");
  }
  const uint64_t slots = parts.fdtable == nullptr ? 0 : parts.fdtable->view().Number("size");
  absl::StrAppend(out, "FDSize:\t", slots, "\n");
  if (parts.cred != nullptr) {
    // The kernel prints a blank at the end, and also where there are none.
    const std::string groups = Numbers(parts.cred->view().Bytes("groups"), "", " ");
    absl::StrAppend(out, "Groups:\t", groups.empty() ? " " : groups, "\n");
  }
  if (!task.Bytes("nspid").empty()) {
    absl::StrAppend(out, "NStgid:", Numbers(task.Bytes("nspid"), "\t", ""), "\n");
  }
  if (parts.leader != nullptr && !parts.leader->view().Bytes("nstid").empty()) {
    absl::StrAppend(out, "NSpid:", Numbers(parts.leader->view().Bytes("nstid"), "\t", ""), "\n");
  }
  if (parts.mm != nullptr) {
    absl::StrAppend(out, "THP_enabled:\t", parts.mm->view().Number("thp_disable") == 0 ? 1 : 0,
                    "\n");
  }
}

}  // namespace

absl::StatusOr<std::string> StatusText(const Index& index, const ObjectCache& objects,
                                       uint64_t task_id) {
  auto parts = FetchParts(index, objects, task_id);
  if (!parts.ok()) return parts.status();
  const ObjectView& task = parts->task->view();
  std::string text;
  AppendIdentity(&text, *parts);

  uint64_t threads = 0;
  auto listed = index.ListKeys(TypeOf(CRFS_TAG_thread), task_id, 0,
                               [&](uint64_t, uint64_t) { return ++threads != 0; });
  if (!listed.ok()) return listed;
  absl::StrAppend(&text, "Threads:\t", threads, "\n");

  if (parts->leader != nullptr) {
    const ObjectView& leader = parts->leader->view();
    auto own = Pending(index, objects, CRFS_TAG_thread_signal, leader.id());
    if (!own.ok()) return own.status();
    AppendSet(&text, "SigPnd", *own);
  }
  auto shared = Pending(index, objects, CRFS_TAG_signal, task_id);
  if (!shared.ok()) return shared.status();
  AppendSet(&text, "ShdPnd", *shared);
  if (parts->leader != nullptr) {
    AppendSet(&text, "SigBlk", parts->leader->view().Number("sigmask"));
  }
  auto handlers = HandlersOf(index, objects, task.Number("sighand"));
  if (!handlers.ok()) return handlers.status();
  AppendSet(&text, "SigIgn", handlers->ignored);
  AppendSet(&text, "SigCgt", handlers->caught);
  if (parts->cred != nullptr) {
    const ObjectView& cred = parts->cred->view();
    AppendSet(&text, "CapInh", cred.Number("cap_inheritable"));
    AppendSet(&text, "CapPrm", cred.Number("cap_permitted"));
    AppendSet(&text, "CapEff", cred.Number("cap_effective"));
    AppendSet(&text, "CapBnd", cred.Number("cap_bounding"));
    AppendSet(&text, "CapAmb", cred.Number("cap_ambient"));
  }
  if (parts->leader != nullptr) {
    const ObjectView& leader = parts->leader->view();
    absl::StrAppend(&text, "NoNewPrivs:\t", leader.Number("no_new_privs"), "\n");
    absl::StrAppend(&text, "Seccomp:\t", leader.Number("seccomp"), "\n");
  }
  return text;
}

}  // namespace crfs
