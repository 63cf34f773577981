// SPDX-License-Identifier: Apache-2.0
//
// Directories and small files of a tree that lies in any file system. Nothing is followed,
// nothing waits, nothing is read beyond what a tree can hold. Stateless; any thread.

#ifndef CRFS_INDEX_TREE_DIRECTORY_H_
#define CRFS_INDEX_TREE_DIRECTORY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace crfs {

struct DirectoryEntry {
  enum class Kind { kFile, kDirectory, kLink, kOther };
  std::string name;
  Kind kind;
};

// All entries but . and .., in no order, of a descriptor that was just opened: its position
// moves. Errors, without a path: as errno has it.
absl::StatusOr<std::vector<DirectoryEntry>> ListDirectory(int directory);

// The whole of a file in `directory`. Errors, without a path: FAILED_PRECONDITION that it is
// no regular file, RESOURCE_EXHAUSTED that it is longer than any value, others as errno has
// it.
absl::StatusOr<std::string> ReadWhole(int directory, const std::string& name);

// Errors likewise.
absl::StatusOr<std::string> ReadLinkIn(int directory, const std::string& name);

// What crfs itself vouches for: of a mount that cannot be written, that every file is as it
// was made. Elsewhere, nothing.
enum class CrfsMount { kNone, kReadOnly, kWritable };
CrfsMount FindCrfsMount(int directory);

}  // namespace crfs

#endif  // CRFS_INDEX_TREE_DIRECTORY_H_
