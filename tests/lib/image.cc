// SPDX-License-Identifier: Apache-2.0

#include "tests/lib/image.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/ptrace/program.h"

namespace crfs {

ImagePath::ImagePath() {
  static int number = 0;
  const char* folder = std::getenv("TMPDIR");
  path_ = absl::StrCat(folder != nullptr ? folder : "/tmp", "/crfs-lib-", ::getpid(), "-", ++number,
                       ".crfs");
}

ImagePath::~ImagePath() { ::unlink(path_.c_str()); }

bool ImagePath::exists() const { return ::access(path_.c_str(), F_OK) == 0; }

LoadedCheckpoint ImagePath::Load() const {
  absl::StatusOr<LoadedCheckpoint> loaded = LoadedCheckpoint::FromImage(path_);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(loaded->VerifyMemory().ok());
  return *std::move(loaded);
}

std::string MemoryAt(const LoadedCheckpoint& saved, pid_t pid, uint64_t address, size_t length) {
  const uint64_t mm = FindObject(saved, "task", "pid", static_cast<uint64_t>(pid)).Number("mm");
  std::string bytes(length, '\0');
  for (const uint64_t id : saved.Ids("vma")) {
    const ObjectView vma = saved.Get("vma", id);
    const uint64_t start = vma.Number("start");
    if (vma.Number("mm") != mm || address < start || address >= vma.Number("end")) continue;
    const absl::StatusOr<LoadedMemory> memory = saved.Memory(vma);
    EXPECT_TRUE(memory.ok());
    for (const LoadedExtent& extent : memory->extents) {
      const uint64_t offset = address - start;
      if (offset < extent.offset || offset + length > extent.offset + extent.length) continue;
      EXPECT_EQ(::pread(memory->fd, bytes.data(), length,
                        static_cast<off_t>(extent.file_offset + offset - extent.offset)),
                static_cast<ssize_t>(length));
      return bytes;
    }
  }
  ADD_FAILURE() << "nothing is saved at " << address;
  return bytes;
}

}  // namespace crfs
