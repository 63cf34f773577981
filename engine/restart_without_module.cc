// SPDX-License-Identifier: Apache-2.0
//
// States that calls of user space cannot bring back: only the module can.

#include "absl/strings/str_cat.h"
#include "crfs/words.h"
#include "engine/restart_check.h"
#include "engine/restart_engine.h"

namespace crfs {
namespace {

constexpr uint64_t kCoreDumped = 0x80;  // of an exit status (wait(2))
constexpr absl::string_view kRemedy = "restart it with the module (--engine kernel)";

void CheckSignals(const RestartCheck& check, absl::string_view type) {
  for (const uint64_t id : check.checkpoint.Ids(type)) {
    const ObjectView signal = check.checkpoint.Get(type, id);
    if (signal.Number("queued") != 0) continue;
    check.Add(signal, "queued",
              "is 0: a pending signal without its siginfo, which the ptrace engine cannot make",
              kRemedy);
  }
}

void CheckTask(const RestartCheck& check, const ObjectView& task) {
  if (task.Number("state") == CRFS_state_zombie) {
    if ((task.Number("exit_code") & kCoreDumped) == 0) return;
    check.Add(
        task, "exit_code",
        absl::StrCat("is ", ShownValue(task, "exit_code"),
                     ", the end of one that dumped core, which the ptrace engine cannot make"),
        kRemedy);
    return;
  }
  // The first thread alone may send to the task as a whole.
  const bool has_signals = !check.checkpoint.Owned("signal", task.id()).empty();
  for (const uint64_t id : check.checkpoint.Owned("thread", task.id())) {
    const ObjectView thread = check.checkpoint.Get("thread", id);
    if (!has_signals || thread.KeyNumber() != task.KeyNumber() ||
        thread.Number("state") != CRFS_state_zombie) {
      continue;
    }
    check.Add(
        thread, "state",
        "is zombie, and signals are pending for its task, which the ptrace engine cannot make",
        kRemedy);
  }
}

}  // namespace

void CheckWithoutModule(const RestartCheck& check) {
  CheckSignals(check, "signal");
  CheckSignals(check, "thread_signal");
  for (const uint64_t id : check.checkpoint.Ids("task")) {
    CheckTask(check, check.checkpoint.Get("task", id));
  }
  const uint64_t root = check.checkpoint.Get("checkpoint", 1).Number("root");
  if (UserNamespaceFor(check.options) == UserNamespace::kOwn &&
      check.checkpoint.Get("task", root).KeyNumber() == 1) {
    check.Add("--pidns",
              "the program is the first of its pid namespace, which takes CAP_SYS_ADMIN to make",
              "run crfs as root");
  }
  for (const uint64_t id : check.checkpoint.Ids("mm")) {
    const ObjectView mm = check.checkpoint.Get("mm", id);
    if (mm.Number("dumpable") < 2) continue;
    check.Add(mm, "dumpable", "is 2, which no program can set (prctl(2))",
              absl::StrCat("write 0, or ", kRemedy));
  }
}

}  // namespace crfs
