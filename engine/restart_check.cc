// SPDX-License-Identifier: Apache-2.0

#include "engine/restart_check.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "crfs/ioctl.h"
#include "crfs/schema.h"
#include "engine/restart_engine.h"
#include "engine/restart_given.h"
#include "index/codec.h"
#include "index/unique_fd.h"

namespace crfs {

RestartCheck::RestartCheck(const LoadedCheckpoint& checkpoint, const RestartOptions& options,
                           const Caller& caller, const Machine& machine, Problems& problems)
    : checkpoint(checkpoint),
      options(options),
      caller(caller),
      machine(machine),
      given(GivenFiles(checkpoint, options)),
      problems(problems) {}

void RestartCheck::Add(absl::string_view path, absl::string_view what,
                       absl::string_view remedy) const {
  problems.push_back(absl::StrCat(path, ": ", what, ": ", remedy));
}

void RestartCheck::Add(const ObjectView& object, absl::string_view field, absl::string_view what,
                       absl::string_view remedy) const {
  Add(checkpoint.Where(object, field), what, remedy);
}

void RestartCheck::Deny(const ObjectView& object, absl::string_view field, absl::string_view what,
                        absl::string_view right) const {
  Add(object, field, absl::StrCat(what, ", which is not permitted without ", right),
      "run crfs as root, or with this capability");
}

std::string ShownValue(const ObjectView& object, absl::string_view field) {
  const Row& row = *object.type().Find(field);
  Value value;
  if (row.wire == Wire::kBytes) {
    value.bytes = std::string(object.Bytes(row));
  } else {
    value.number = object.Number(row);
  }
  return EscapeText(absl::StripSuffix(FormatValue(row, value), "\n"));
}

std::string ShownBits(const Row& row, uint64_t bits) {
  const std::string text = FormatValue(row, Value{.number = bits, .bytes = {}});
  return text.substr(0, text.find('\n'));
}

absl::Status FindRestartModule() {
  const UniqueFd device(::open(CRFS_DEVICE_PATH, O_RDWR | O_CLOEXEC));
  if (!device.valid()) {
    if (errno == EACCES || errno == EPERM) {
      return absl::PermissionDeniedError(absl::StrCat(
          CRFS_DEVICE_PATH, ": permission denied, so nothing can be restarted: ask for access"));
    }
    return absl::NotFoundError(
        absl::StrCat(CRFS_DEVICE_PATH, ": is not there, so nothing can be restarted: load the ",
                     "module (modprobe crfs, or insmod crfs.ko)"));
  }
  crfs_ioc_query query = {};
  query.size = sizeof(query);
  if (::ioctl(device.get(), CRFS_IOC_QUERY, &query) < 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat(CRFS_DEVICE_PATH, ": does not say what it is: load the module of this ",
                            "crfs"));
  }
  if (query.format != CRFS_FORMAT_VERSION || (query.features & CRFS_FEATURE_RESTART) == 0) {
    return absl::UnimplementedError(
        absl::StrCat(CRFS_DEVICE_PATH, ": the loaded module cannot restart format ",
                     CRFS_FORMAT_VERSION, ": load the module of this crfs"));
  }
  return absl::OkStatus();
}

void CheckRestart(const LoadedCheckpoint& checkpoint, const RestartOptions& options,
                  Problems& problems) {
  const Caller caller = DescribeCaller();
  const Machine machine = DescribeHost();
  const RestartCheck check(checkpoint, options, caller, machine, problems);
  if (ChooseRestartEngine(options.engine) == Engine::kPtrace) {
    CheckWithoutModule(check);
  } else if (const absl::Status module = FindRestartModule(); !module.ok()) {
    problems.emplace_back(module.message());
  }
  CheckValues(check);
  CheckMappings(check);
  CheckExtendedState(check);
  CheckPids(check);
  CheckDescriptors(check);
  CheckFiles(check);
  CheckRights(check);
  CheckStates(check);
}

}  // namespace crfs
