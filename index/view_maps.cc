// SPDX-License-Identifier: Apache-2.0

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "crfs/schema.h"
#include "index/codec.h"
#include "index/views.h"

namespace crfs {
namespace {

// Names begin at this column: 25 + 6 * sizeof(void *) in the kernel (show_map_vma).
constexpr size_t kNameColumn = 73;

struct Backing {
  uint64_t dev = 0;
  uint64_t inode = 0;
  std::string name;
};

std::string NameOf(const ObjectView& vma) {
  const std::string name(vma.Bytes("name"));
  switch (vma.Number("kind")) {
    case CRFS_vma_kind_heap:
      return "[heap]";
    case CRFS_vma_kind_stack:
      return "[stack]";
    case CRFS_vma_kind_vdso:
      return "[vdso]";
    case CRFS_vma_kind_vvar:
      return name.empty() ? "[vvar]" : name;
    case CRFS_vma_kind_special:
      return name;
    case CRFS_vma_kind_shmem:
      return name.empty() ? "" : absl::StrCat("[anon_shmem:", name, "]");
    default:
      return name.empty() ? "" : absl::StrCat("[anon:", name, "]");
  }
}

absl::StatusOr<Backing> BackingOf(const ObjectCache& objects, const ObjectView& vma) {
  Backing backing;
  if (const uint64_t id = vma.Number("file"); id != 0) {
    auto object = objects.Get(*FindType(CRFS_TAG_file), id);
    if (!object.ok()) return object.status();
    const ObjectView& file = (*object)->view();
    backing = {file.Number("dev"), file.Number("inode"), std::string(file.Bytes("path"))};
    if (file.Number("deleted") == 1) backing.name += " (deleted)";
    return backing;
  }
  if (const uint64_t id = vma.Number("shmem"); id != 0) {
    auto object = objects.Get(*FindType(CRFS_TAG_shmem), id);
    if (!object.ok()) return object.status();
    const ObjectView& shmem = (*object)->view();
    backing = {shmem.Number("dev"), shmem.Number("inode"), std::string(shmem.Bytes("name"))};
  }
  const std::string name = NameOf(vma);
  if (!name.empty()) backing.name = name;
  return backing;
}

// MAJOR:MINOR, at least two hexadecimal digits each: the kernel's user-visible encoding, as
// the `dev` codec has it.
std::string DevText(uint64_t dev) {
  static const Row& row = *FindType(CRFS_TAG_file)->Find("dev");
  std::string text = FormatValue(row, {.number = dev, .bytes = {}});
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

absl::Status AppendLine(const ObjectCache& objects, const ObjectView& vma, std::string* out) {
  static const Row& prot_row = *vma.type().Find("prot");
  auto backing = BackingOf(objects, vma);
  if (!backing.ok()) return backing.status();
  std::string prot = FormatValue(prot_row, {.number = vma.Number(prot_row), .bytes = {}});
  if (!prot.empty()) prot.pop_back();  // the newline
  // An offset counts only in a file or shared memory.
  const bool backed = vma.Number("file") != 0 || vma.Number("shmem") != 0;
  std::string line =
      absl::StrFormat("%s %s %08x %s %u ", vma.DirectoryName(), prot,
                      backed ? vma.Number("offset") : 0, DevText(backing->dev), backing->inode);
  if (!backing->name.empty()) {
    line.resize(std::max(line.size(), kNameColumn), ' ');
    // The kernel escapes newlines in names, and nothing else.
    line += absl::StrReplaceAll(backing->name, {{"\n", "\\012"}});
  }
  absl::StrAppend(out, line, "\n");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> MapsText(const Index& index, const ObjectCache& objects,
                                     uint64_t task_id) {
  auto task = objects.Get(*FindType(CRFS_TAG_task), task_id);
  if (!task.ok()) return task.status();
  const ObjectType& type = *FindType(CRFS_TAG_vma);
  std::string text;
  absl::Status failed;
  auto status = index.ListKeys(type, (*task)->view().Number("mm"), 0, [&](uint64_t, uint64_t id) {
    auto vma = objects.Get(type, id);
    failed = vma.ok() ? AppendLine(objects, (*vma)->view(), &text) : vma.status();
    return failed.ok();
  });
  if (!status.ok()) return status;
  if (!failed.ok()) return failed;
  return text;
}

}  // namespace crfs
