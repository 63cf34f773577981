// SPDX-License-Identifier: Apache-2.0

#include "index/tree_rules.h"

#include <algorithm>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "crfs/schema.h"
#include "index/codec.h"
#include "index/tree_memory.h"

namespace crfs {
namespace {

using Kind = TreeFile::Kind;

constexpr absl::string_view kArch = "x86_64";
// As in index/image_checker.cc.
constexpr uint64_t kAddressEnd = uint64_t{1} << 56;
constexpr uint64_t kPidMax = uint64_t{1} << 22;
constexpr uint64_t kSignalMax = 64;

// Of these, no value is so usual that its file may be left out.
bool NeedsAllFiles(const ObjectType& type) {
  switch (type.tag) {
    case CRFS_TAG_checkpoint:
    case CRFS_TAG_mm:
    case CRFS_TAG_cred:
    case CRFS_TAG_task:
    case CRFS_TAG_thread:
      return true;
    default:
      return false;
  }
}

bool IsNeededReference(const ObjectType& type, const Row& row) {
  switch (type.tag) {
    case CRFS_TAG_checkpoint:
      return row.field == "root";
    case CRFS_TAG_fd:
      return row.field == "file";
    case CRFS_TAG_task:
      return row.field == "mm" || row.field == "fd" || row.field == "fs" || row.field == "sighand";
    case CRFS_TAG_thread:
      return row.field == "cred";
    default:
      return false;
  }
}

// Also if nobody knows: that has been noted, and what follows from it need not be.
bool MayBeZombie(const TreeObject& object) {
  const TreeObject& task = object.type->tag == CRFS_TAG_thread ? *object.owner : object;
  if (task.type->tag != CRFS_TAG_task) return false;
  const TreeFile& state = task.file(*task.type->Find("state"));
  return state.kind != Kind::kValue || state.value.number == CRFS_state_zombie;
}

std::string Shown(const Row& row, const Value& value) {
  constexpr size_t kShown = 60;
  const std::string text = EscapeText(absl::StripSuffix(FormatValue(row, value), "\n"));
  return text.size() <= kShown ? text : absl::StrCat(text.substr(0, kShown), "...");
}

class Checker {
 public:
  Checker(const TreeIndex& index, ProblemList& problems) : index_(index), problems_(problems) {}

  void Check() {
    const auto& checkpoints = index_.All(*FindType(CRFS_TAG_checkpoint));
    if (checkpoints.empty()) {
      problems_.Add("", "has no folder `checkpoint`: give the directory of a tree");
      return;
    }
    format_ = FormatOf(*checkpoints.front());
    for (const ObjectType& type : ObjectTypes()) {
      for (const TreeObject* object : index_.All(type)) CheckObject(*object);
    }
    for (const TreeIndex::Copy& copy : index_.copies()) {
      CheckDerived(*copy.copy, *copy.original);
    }
  }

 private:
  uint64_t FormatOf(const TreeObject& checkpoint) {
    const Row& row = *checkpoint.type->Find("format");
    if (checkpoint.file(row).kind != Kind::kValue) return CRFS_FORMAT_VERSION;
    const uint64_t format = checkpoint.Number("format");
    if (format == 0 || format > CRFS_FORMAT_VERSION) {
      problems_.Add(checkpoint.PathOf(row), "is ", format, ", this crfs knows 1 to ",
                    CRFS_FORMAT_VERSION, ": use a newer crfs");
    }
    return format;
  }

  void CheckObject(const TreeObject& object) {
    for (const Row& row : object.type->rows) {
      if (row.path.empty()) continue;
      if (row.wire == Wire::kRef) {
        CheckReference(object, row);
      } else if (row.wire != Wire::kNone) {
        CheckValue(object, row);
      }
    }
    CheckDerived(object, object);
    switch (object.type->tag) {
      case CRFS_TAG_checkpoint:
        return CheckCheckpoint(object);
      case CRFS_TAG_vma:
        return CheckVma(object);
      case CRFS_TAG_sigaction:
        if (object.name->key < 1 || object.name->key > kSignalMax) {
          problems_.Add(object.path, "is no signal: signals are 1 to ", kSignalMax);
        }
        return;
      case CRFS_TAG_task:
        return CheckTask(object);
      case CRFS_TAG_thread:
        return CheckThread(object);
      default:
        return;
    }
  }

  // ---- what is missing --------------------------------------------------------------------

  void CheckValue(const TreeObject& object, const Row& row) {
    if (object.file(row).kind != Kind::kMissing) return;
    if (row.since > format_) return;  // nobody knew of it then
    const absl::Status fits = row.wire == Wire::kBytes ? absl::OkStatus() : CheckNumber(row, 0);
    if (fits.ok() && !NeedsAllFiles(*object.type)) return;
    problems_.Add(object.PathOf(row), "is missing: copy it again, or write it");
  }

  void CheckReference(const TreeObject& object, const Row& row) {
    if (object.file(row).kind != Kind::kMissing || !IsNeededReference(*object.type, row)) return;
    if (MayBeZombie(object)) return;
    const ObjectType& target = TargetOf(row);
    std::string advice = absl::StrCat("make it a link to ", target.place, "/",
                                      target.key == Key::kId ? "ID" : "PID");
    if (object.type->tag == CRFS_TAG_fd) {
      absl::StrAppend(&advice, ", or delete ", problems_.Whole(object.path));
    }
    problems_.Add(object.PathOf(row), "is missing: ", advice);
  }

  // ---- what is computed -------------------------------------------------------------------

  // `original` is the object that `object` is or is a copy of.
  void CheckDerived(const TreeObject& object, const TreeObject& original) {
    for (const Row& row : object.type->rows) {
      const TreeFile& file = object.file(row);
      if (!IsVia(row) || file.kind == Kind::kMissing || file.kind == Kind::kWrong) continue;
      const Row& shown = *ShownRow(*object.type, row);
      const TreeObject* holder = Holder(original, row);
      if (holder == nullptr) {
        problems_.Add(object.PathOf(row), "shows what there is not: delete it");
        continue;
      }
      const TreeFile& source = holder->file(shown);
      if (source.kind == Kind::kWrong || source.value == file.value) continue;
      const std::string path = problems_.Whole(holder->PathOf(shown));
      if (shown.codec == Codec::kRef) {
        problems_.Add(object.PathOf(row), "leads elsewhere than ", path,
                      ", which it shows: the other one counts: delete this, or make it the same");
      } else {
        problems_.Add(object.PathOf(row), "says \"", Shown(shown, file.value), "\", but shows ",
                      path, ", which says \"", Shown(shown, source.value),
                      "\": the other one counts: delete this, or make it the same");
      }
    }
  }

  const TreeObject* Holder(const TreeObject& object, const Row& row) const {
    if (row.codec == Codec::kViaLeader) {
      return TreeIndex::FindChild(object, *FindType(CRFS_TAG_thread),
                                  object.name.has_value() ? object.name->key : 0);
    }
    const Row& reference = *object.type->Find(row.target);
    const TreeFile& file = object.file(reference);
    if (file.kind != Kind::kLink && file.kind != Kind::kCopy) return nullptr;
    return index_.Find(TargetOf(reference), file.value.number);
  }

  // ---- rules of single types ----------------------------------------------------------------

  void CheckCheckpoint(const TreeObject& object) {
    const Row& arch = *object.type->Find("arch");
    if (object.file(arch).kind == Kind::kValue && object.file(arch).value.bytes != kArch) {
      problems_.Add(object.PathOf(arch), "is ", Shown(arch, object.file(arch).value),
                    ": this crfs knows ", kArch, " alone");
    }
    const Row& page_size = *object.type->Find("page_size");
    if (object.file(page_size).kind == Kind::kValue &&
        object.Number("page_size") != kTreePageSize) {
      problems_.Add(object.PathOf(page_size), "is not the page size of ", kArch, ": write ",
                    kTreePageSize);
    }
  }

  void CheckVma(const TreeObject& object) {
    const auto [start, end] = *object.name;
    if (start >= end) {
      problems_.Add(object.path, "ends where it has not begun: rename it");
    } else if (start % kTreePageSize != 0 || end % kTreePageSize != 0) {
      problems_.Add(object.path, "does not begin and end between pages: rename it");
    } else if (end > kAddressEnd) {
      problems_.Add(object.path, "is not in the memory of a user: rename it");
    } else if (last_vma_ != nullptr && last_vma_->owner == object.owner &&
               start < last_vma_->name->end) {
      problems_.Add(object.path, "overlaps ", problems_.Whole(last_vma_->path),
                    ": rename one, or delete one");
    }
    last_vma_ = &object;
  }

  void CheckTask(const TreeObject& object) {
    const uint64_t pid = object.name->key;
    if (pid == 0 || pid > kPidMax) {
      problems_.Add(object.path, "is no pid: pids are 1 to ", kPidMax);
    }
    const ObjectType& thread = *FindType(CRFS_TAG_thread);
    const bool has_threads = std::ranges::any_of(
        object.children, [&](const auto& child) { return child->type == &thread; });
    const bool has_leader = TreeIndex::FindChild(object, thread, pid) != nullptr;
    // Of a zombie, its first thread is all there can be, and there need not be that.
    if (!has_leader && (has_threads || !MayBeZombie(object))) {
      problems_.Add(absl::StrCat(object.path, "/threads/", pid),
                    "is missing: a task has a thread with its pid: copy it again");
    }
  }

  void CheckThread(const TreeObject& object) {
    const uint64_t tid = object.name->key;
    if (tid == 0 || tid > kPidMax) {
      problems_.Add(object.path, "is no tid: tids are 1 to ", kPidMax);
    }
    const auto [found, added] = tids_.try_emplace(tid, &object);
    if (!added) {
      problems_.Add(object.path, "has the same tid as ", problems_.Whole(found->second->path),
                    ": delete one");
    }
  }

  const TreeIndex& index_;
  ProblemList& problems_;
  uint64_t format_ = CRFS_FORMAT_VERSION;
  const TreeObject* last_vma_ = nullptr;
  absl::flat_hash_map<uint64_t, const TreeObject*> tids_;
};

}  // namespace

void CheckTree(const TreeIndex& index, ProblemList& problems) { Checker(index, problems).Check(); }

}  // namespace crfs
