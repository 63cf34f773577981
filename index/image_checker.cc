// SPDX-License-Identifier: Apache-2.0

#include "index/image_checker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "index/codec.h"

namespace crfs {
namespace {

constexpr absl::string_view kArch = "x86_64";
constexpr uint64_t kArchPageSize = 4096;
// User addresses with five-level page tables; without, they end at 1 << 47.
constexpr uint64_t kAddressEnd = uint64_t{1} << 56;
// The greatest pid that a kernel of 64 bits gives (PID_MAX_LIMIT).
constexpr uint64_t kPidMax = uint64_t{1} << 22;
constexpr uint64_t kSignalMax = 64;
// Far more than files have, so that sums of lengths do not overflow.
constexpr uint64_t kDataMax = uint64_t{1} << 62;

// What is remembered of one image is bounded: no image that a kernel gave comes near.
constexpr size_t kIntervalsMax = size_t{1} << 20;
constexpr size_t kSizesMax = size_t{256} << 20;

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::DataLossError(absl::StrCat(parts...));
}

void AppendVarint(std::string& bytes, uint64_t number) {
  for (; number >= 0x80; number >>= 7) bytes += static_cast<char>(number | 0x80);
  bytes += static_cast<char>(number);
}

uint64_t TakeVarint(const std::string& bytes, size_t& position) {
  uint64_t number = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes[position++]);
    number |= uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return number;
  }
}

// Marks `number`, which is at most kPidMax; false if it was marked before.
bool Mark(std::vector<bool>& marks, uint64_t number) {
  if (number >= marks.size()) marks.resize(std::max(number + 1, 2 * marks.size()));
  if (marks[number]) return false;
  marks[number] = true;
  return true;
}

bool HasMemory(const ObjectType& type) {
  return std::any_of(type.rows.begin(), type.rows.end(),
                     [](const Row& row) { return row.codec == Codec::kPages; });
}

}  // namespace

bool IdSet::Add(uint64_t id) {
  if (!intervals_.empty() && intervals_.back().last + 1 == id) {
    intervals_.back().last = id;
    return true;
  }
  if (intervals_.size() == kIntervalsMax) return false;
  intervals_.push_back({id, id});
  return true;
}

bool IdSet::Contains(uint64_t id) const {
  // Before the first interval that begins after `id`.
  const auto after =
      std::upper_bound(intervals_.begin(), intervals_.end(), id,
                       [](uint64_t i, const Interval& interval) { return i < interval.first; });
  return after != intervals_.begin() && id <= std::prev(after)->last;
}

// Which rows of a type need to be looked at; most hold any number.
struct ImageChecker::TypeRules {
  struct Reference {
    const Row* row;
    uint16_t target;  // ObjectType::index
  };
  std::vector<const Row*> numbers;  // not every number is a value
  std::vector<const Row*> bytes;
  std::vector<Reference> references;  // but that to the owner
  uint16_t owner = 0;                 // ObjectType::index
  bool has_memory = false;
  const Row* size = nullptr;  // of the memory, if it is no range

  static const std::vector<TypeRules>& All();
};

const std::vector<ImageChecker::TypeRules>& ImageChecker::TypeRules::All() {
  static const std::vector<TypeRules>& all = *[] {
    auto* made = new std::vector<TypeRules>;
    for (const ObjectType& type : ObjectTypes()) {
      TypeRules rules;
      if (const ObjectType* owner = OwnerOf(type)) rules.owner = owner->index;
      for (const Row& row : type.rows) {
        if (row.wire == Wire::kRef) {
          // The root task is the one reference to what comes later: see EndObjects.
          if (row.access != Access::kOwner && TargetOf(row).tag < type.tag) {
            rules.references.push_back({&row, TargetOf(row).index});
          }
        } else if (row.wire == Wire::kBytes) {
          if (row.codec != Codec::kRaw && row.codec != Codec::kStrings &&
              row.codec != Codec::kHexdump) {
            rules.bytes.push_back(&row);
          }
        } else if (row.codec == Codec::kEnum || row.codec == Codec::kSignal ||
                   row.codec == Codec::kUmask || row.codec == Codec::kPerm) {
          rules.numbers.push_back(&row);
        }
      }
      rules.has_memory = HasMemory(type);
      rules.size = type.key == Key::kRange ? nullptr : type.Find("size");
      made->push_back(std::move(rules));
    }
    return made;
  }();
  return all;
}

ImageChecker::ImageChecker()
    : rules_(TypeRules::All()), ids_(ObjectTypes().size()), sizes_(ObjectTypes().size()) {}

ImageChecker::~ImageChecker() = default;

// ---- objects ------------------------------------------------------------------------------

absl::Status ImageChecker::Object(const ObjectView& object) {
  const ObjectType& type = object.type();
  const TypeRules& rules = rules_[type.index];
  absl::Status status = Order(object);
  if (status.ok()) status = Values(object, rules);
  if (status.ok() && !rules.references.empty()) status = References(object, rules);
  if (status.ok() && !type.owner.empty()) status = OwnerAndKey(object);
  if (!status.ok()) return status;
  switch (type.tag) {
    case CRFS_TAG_checkpoint:
      status = Checkpoint(object);
      break;
    case CRFS_TAG_vma:
      status = Vma(object);
      break;
    case CRFS_TAG_sigaction:
      if (object.KeyNumber() < 1 || object.KeyNumber() > kSignalMax) {
        status = Wrong(object.KeyNumber(), " is no signal: signals are 1 to ", kSignalMax);
      }
      break;
    case CRFS_TAG_task:
      status = NewTask(object);
      break;
    case CRFS_TAG_thread:
      status = NewThread(object);
      break;
    default:
      break;
  }
  if (status.ok() && rules.has_memory) status = RememberSize(object);
  if (!status.ok()) return status;
  if (!ids_[type.index].Add(object.id())) {
    return absl::ResourceExhaustedError(absl::StrCat("the ids of objects of type ", type.name,
                                                     " have more than ", kIntervalsMax, " gaps"));
  }
  type_ = &type;
  id_ = object.id();
  owner_ = object.OwnerId();
  key_ = object.KeyNumber();
  ++objects_;
  return absl::OkStatus();
}

absl::Status ImageChecker::Order(const ObjectView& object) {
  const ObjectType& type = object.type();
  const uint64_t id = object.id();
  if (id == 0 || id > CRFS_ID_MAX) return Wrong("its id is not between 1 and ", CRFS_ID_MAX);
  if (type_ == nullptr) {
    if (type.tag != CRFS_TAG_checkpoint) return Wrong("the record of the checkpoint is not first");
    if (id != 1) return Wrong("the id of the checkpoint is not 1");
    return absl::OkStatus();
  }
  if (&type != type_) {
    if (type.tag < type_->tag) return Wrong("it comes after objects of type ", type_->name);
  } else if (type.tag == CRFS_TAG_checkpoint) {
    return Wrong("there is a second checkpoint");
  } else if (id == id_) {
    return Wrong("there are two with this id");
  } else if (id < id_) {
    return Wrong("it comes after ", type.name, " ", id_);
  }
  if (!type.owner.empty()) {
    const uint64_t expected = &type == type_ ? id_ + 1 : 1;
    if (id != expected) return Wrong("its id should be ", expected, ", the next one");
  }
  return absl::OkStatus();
}

absl::Status ImageChecker::Values(const ObjectView& object, const TypeRules& rules) const {
  for (const Row* row : rules.numbers) {
    if (!object.Has(*row)) continue;
    const absl::Status status = CheckNumber(*row, object.Number(*row));
    if (!status.ok()) return Wrong("row ", row->field, ": ", status.message());
  }
  for (const Row* row : rules.bytes) {
    const absl::Status status = CheckBytes(*row, object.Bytes(*row));
    if (!status.ok()) return Wrong("row ", row->field, ": ", status.message());
  }
  return absl::OkStatus();
}

absl::Status ImageChecker::References(const ObjectView& object, const TypeRules& rules) const {
  for (const auto& [row, target] : rules.references) {
    const uint64_t id = object.Number(*row);
    if (id != 0 && !ids_[target].Contains(id)) {
      return Wrong("row ", row->field, ": there is no ", row->target, " ", id);
    }
  }
  return absl::OkStatus();
}

absl::Status ImageChecker::OwnerAndKey(const ObjectView& object) {
  const ObjectType& type = object.type();
  const uint64_t owner = object.OwnerId();
  if (!ids_[rules_[type.index].owner].Contains(owner)) {
    return Wrong("it belongs to ", type.owner, " ", owner, ", which there is not");
  }
  if (&type != type_) return absl::OkStatus();
  if (owner < owner_) {
    return Wrong("it belongs to ", type.owner, " ", owner, " and comes after one of ", type.owner,
                 " ", owner_);
  }
  if (owner == owner_ && object.KeyNumber() <= key_) {
    return Wrong(object.KeyNumber() == key_ ? "there are two named " : "it is out of order: ",
                 object.DirectoryName(), " in ", type.owner, " ", owner);
  }
  return absl::OkStatus();
}

absl::Status ImageChecker::Checkpoint(const ObjectView& object) {
  const absl::string_view arch = object.Bytes("arch");
  if (arch != kArch) {
    return absl::UnimplementedError(absl::StrCat("the checkpoint is of architecture \"",
                                                 EscapeText(arch.substr(0, 32)), "\": this crfs ",
                                                 "knows ", kArch, " alone"));
  }
  page_size_ = object.Number("page_size");
  if (page_size_ != kArchPageSize) {
    return Wrong("row page_size: ", page_size_, " is not the page size of ", kArch);
  }
  root_ = object.Number("root");
  return absl::OkStatus();
}

absl::Status ImageChecker::Vma(const ObjectView& object) {
  static const Row& end_row = *object.type().Find("end");
  const uint64_t start = object.KeyNumber();
  const uint64_t end = object.Number(end_row);
  if (start >= end) return Wrong("it ends (0x", absl::Hex(end), ") where it has not begun");
  if (start % page_size_ != 0 || end % page_size_ != 0) {
    return Wrong("its addresses (", object.DirectoryName(), ") are not on page boundaries");
  }
  if (end > kAddressEnd) {
    return Wrong("its addresses (", object.DirectoryName(), ") are not those of user memory");
  }
  if (type_ == &object.type() && object.OwnerId() == owner_ && start < range_end_) {
    return Wrong("it overlaps the mapping before it, which ends at 0x", absl::Hex(range_end_));
  }
  range_end_ = end;
  return absl::OkStatus();
}

// ---- tasks and threads --------------------------------------------------------------------

absl::Status ImageChecker::NewTask(const ObjectView& object) {
  static const Row& state_row = *object.type().Find("state");
  static const Row* const needed[] = {object.type().Find("mm"), object.type().Find("fd"),
                                      object.type().Find("fs"), object.type().Find("sighand")};
  const uint64_t pid = object.KeyNumber();
  if (pid == 0 || pid > kPidMax) return Wrong("its pid, ", pid, ", is not between 1 and ", kPidMax);
  if (!Mark(pids_, pid)) return Wrong("there are two tasks with pid ", pid);
  const bool zombie = object.Number(state_row) == CRFS_state_zombie;
  for (const Row* row : needed) {
    if (!zombie && object.Number(*row) == 0) {
      return Wrong("it is no zombie and row ", row->field, " is empty");
    }
  }
  tasks_.push_back({object.id(), static_cast<uint32_t>(pid), zombie});
  return absl::OkStatus();
}

absl::Status ImageChecker::NewThread(const ObjectView& object) {
  const uint64_t tid = object.KeyNumber();
  if (tid == 0 || tid > kPidMax) return Wrong("its tid, ", tid, ", is not between 1 and ", kPidMax);
  if (!Mark(tids_, tid)) return Wrong("there are two threads with tid ", tid);
  if (absl::Status status = EndTasks(object.OwnerId()); !status.ok()) return status;
  has_threads_ = true;
  has_leader_ = has_leader_ || tid == tasks_[task_].pid;
  return absl::OkStatus();
}

absl::Status ImageChecker::EndTasks(uint64_t next) {
  for (; task_ < tasks_.size() && tasks_[task_].id < next; ++task_) {
    const Task& task = tasks_[task_];
    // Of a zombie, its first thread is all there can be, and there need not be that.
    if (!has_leader_ && (has_threads_ || !task.zombie)) {
      return Wrong("task ", task.id, " (pid ", task.pid, ") has no thread ", task.pid);
    }
    has_threads_ = has_leader_ = false;
  }
  return absl::OkStatus();
}

absl::Status ImageChecker::EndObjects() {
  if (type_ == nullptr) return Wrong("there is no checkpoint record");
  if (absl::Status status = EndTasks(CRFS_ID_MAX + 1); !status.ok()) return status;
  if (!ids_[FindType(CRFS_TAG_task)->index].Contains(root_)) {
    return Wrong("the checkpoint's root is task ", root_, ", which there is not");
  }
  return absl::OkStatus();
}

// ---- memory -------------------------------------------------------------------------------

absl::Status ImageChecker::RememberSize(const ObjectView& object) {
  const TypeRules& rules = rules_[object.type().index];
  const uint64_t size =
      rules.size != nullptr ? object.Number(*rules.size) : range_end_ - object.KeyNumber();
  Sizes& sizes = sizes_[object.type().index];
  if (sizes.bytes.size() > kSizesMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are too many objects of type ", object.type().name));
  }
  AppendVarint(sizes.bytes, object.id() - sizes.last_id);
  AppendVarint(sizes.bytes, size / page_size_ + (size % page_size_ != 0 ? 1 : 0));
  sizes.last_id = object.id();
  return absl::OkStatus();
}

absl::Status ImageChecker::FindOwner(uint32_t owner_type, uint64_t owner_id, uint64_t& pages) {
  const ObjectType* type = FindType(owner_type);
  if (type == nullptr || !rules_[type->index].has_memory) {
    return Wrong("objects of type 0x", absl::Hex(owner_type), " have no memory");
  }
  Sizes& sizes = sizes_[type->index];
  while (sizes.id < owner_id && sizes.position < sizes.bytes.size()) {
    sizes.id += TakeVarint(sizes.bytes, sizes.position);
    sizes.pages = TakeVarint(sizes.bytes, sizes.position);
  }
  if (sizes.id != owner_id || owner_id == 0) {
    return Wrong("they belong to ", type->name, " ", owner_id, ", which there is not");
  }
  pages = sizes.pages;
  return absl::OkStatus();
}

absl::Status ImageChecker::Extents(uint32_t owner_type, uint64_t owner_id,
                                   std::span<const crfs_extent> extents) {
  if (owner_type != extents_type_ || owner_id != extents_id_) {
    if (owner_type < extents_type_ || (owner_type == extents_type_ && owner_id < extents_id_)) {
      return Wrong("they come after those of a later object");
    }
    if (absl::Status status = FindOwner(owner_type, owner_id, extents_pages_); !status.ok()) {
      return status;
    }
    extents_type_ = owner_type;
    extents_id_ = owner_id;
    extents_end_ = 0;
    extents_count_ = 0;
  } else if (extents_count_ % CRFS_EXTENTS_MAX != 0) {
    return Wrong("the record before it is not full and has the same owner");
  }
  for (const crfs_extent& extent : extents) {
    if (extent.offset % page_size_ != 0 || extent.length % page_size_ != 0 || extent.length == 0) {
      return Wrong("the extent at 0x", absl::Hex(extent.offset), " is not made of whole pages");
    }
    if (extents_count_ > 0 && extent.offset <= extents_end_) {
      return Wrong("the extent at 0x", absl::Hex(extent.offset), " does not lie apart from the ",
                   "one before it");
    }
    const uint64_t first = extent.offset / page_size_, count = extent.length / page_size_;
    if (first >= extents_pages_ || count > extents_pages_ - first) {
      return Wrong("the extent at 0x", absl::Hex(extent.offset), " ends beyond its owner");
    }
    if (extent.length > kDataMax - data_) return Wrong("there are more than 2^62 bytes of memory");
    extents_end_ = extent.offset + extent.length;
    data_ += extent.length;
    ++extents_count_;
    ++extents_;
  }
  return absl::OkStatus();
}

}  // namespace crfs
