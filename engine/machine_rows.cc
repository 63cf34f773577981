// SPDX-License-Identifier: Apache-2.0

#include "engine/machine_rows.h"

#include <sys/random.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>

namespace crfs {
namespace {

uint64_t Now(clockid_t clock) {
  timespec now = {};
  ::clock_gettime(clock, &now);  // cannot fail for these clocks
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// RFC 4122, version 4.
absl::StatusOr<std::string> RandomUuid() {
  std::string uuid(16, '\0');
  if (::getrandom(uuid.data(), uuid.size(), 0) != static_cast<ssize_t>(uuid.size())) {
    return absl::ErrnoToStatus(errno, "no random numbers for a uuid");
  }
  uuid[6] = static_cast<char>((uuid[6] & 0x0f) | 0x40);
  uuid[8] = static_cast<char>((uuid[8] & 0x3f) | 0x80);
  return uuid;
}

}  // namespace

absl::StatusOr<ObjectBuilder> DescribeMachine(crfs_engine engine) {
  utsname name = {};
  if (::uname(&name) != 0) return absl::ErrnoToStatus(errno, "uname");
  const absl::StatusOr<std::string> uuid = RandomUuid();
  if (!uuid.ok()) return uuid.status();
  ObjectBuilder checkpoint(*FindType("checkpoint"));
  checkpoint.SetBytes("uuid", *uuid)
      .SetBytes("arch", name.machine)
      .SetNumber("page_size", static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)))
      .SetBytes("kernel", name.release)
      .SetBytes("hostname", name.nodename)
      .SetNumber("time", Now(CLOCK_REALTIME))
      .SetNumber("boottime", Now(CLOCK_BOOTTIME))
      .SetNumber("engine", engine);
  return checkpoint;
}

}  // namespace crfs
