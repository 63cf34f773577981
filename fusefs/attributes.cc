// SPDX-License-Identifier: Apache-2.0

#include "fusefs/attributes.h"

namespace crfs {
namespace {

timespec TimespecOf(int64_t ns) {
  constexpr int64_t kSecond = 1'000'000'000;
  timespec time = {.tv_sec = ns / kSecond, .tv_nsec = ns % kSecond};
  if (time.tv_nsec < 0) {
    time.tv_nsec += kSecond;
    --time.tv_sec;
  }
  return time;
}

}  // namespace

struct stat StatOf(const Attributes& attributes) {
  struct stat result = {};
  result.st_ino = attributes.inode;
  result.st_mode = attributes.mode;
  result.st_nlink = attributes.nlink;
  result.st_uid = attributes.uid;
  result.st_gid = attributes.gid;
  result.st_size = static_cast<off_t>(attributes.size);
  result.st_blocks = static_cast<blkcnt_t>(attributes.blocks);
  result.st_blksize = 4096;
  result.st_mtim = TimespecOf(attributes.time_ns);
  result.st_ctim = result.st_mtim;
  result.st_atim = result.st_mtim;
  return result;
}

fuse_entry_param EntryOf(const Attributes& attributes, Belief belief) {
  fuse_entry_param entry = {};
  entry.ino = attributes.inode;
  entry.attr = StatOf(attributes);
  entry.attr_timeout = belief.attributes;
  entry.entry_timeout = belief.name;
  return entry;
}

}  // namespace crfs
