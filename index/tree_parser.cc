// SPDX-License-Identifier: Apache-2.0

#include "index/tree_parser.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "crfs/schema.h"
#include "index/codec.h"
#include "index/open_below.h"
#include "index/pagemap.h"
#include "index/tree_link.h"
#include "index/tree_memory.h"

namespace crfs {
namespace {

using Kind = DirectoryEntry::Kind;

class Parser {
 public:
  Parser(WalkContext& context, TreeObject& object, std::vector<TreeObject*>& found)
      : context_(context), object_(object), shape_(ShapeOf(*object.type)), found_(found) {}

  void Parse() {
    const auto directory = OpenDirectoryBelow(context_.root, object_.path);
    if (!directory.ok()) return Note(object_.path, directory.status());
    ParseFolder(directory->get(), shape_.nodes()[0], object_.path);
    ParseMemory(directory->get());
  }

 private:
  void Note(const std::string& path, const absl::Status& status) {
    context_.problems.Add(path, status.message());
  }

  void ParseFolder(int directory, const ShapeNode& node, const std::string& path) {
    const auto entries = ListDirectory(directory);
    if (!entries.ok()) return Note(path, entries.status());
    for (const DirectoryEntry& entry : *entries) {
      const std::string below = absl::StrCat(path, "/", entry.name);
      const ShapeNode* known = shape_.Find(node, entry.name);
      if (known == nullptr) {
        AddChild(node, entry, below);
      } else if (known->row != nullptr) {
        ParseRow(directory, entry, *known->row, below);
      } else if (entry.kind != Kind::kDirectory) {
        context_.problems.Add(below, "is no directory: put the directory back");
      } else if (const auto folder = OpenDirectoryBelow(directory, entry.name); folder.ok()) {
        ParseFolder(folder->get(), *known, below);
      } else {
        Note(below, folder.status());
      }
    }
  }

  void AddChild(const ShapeNode& node, const DirectoryEntry& entry, const std::string& path) {
    auto child = ParseFolderEntry(context_, node.types, entry, path);
    if (child == nullptr) return;
    child->owner = &object_;
    found_.push_back(child.get());
    object_.children.push_back(std::move(child));
  }

  void ParseRow(int directory, const DirectoryEntry& entry, const Row& row,
                const std::string& path) {
    TreeFile& file = object_.file(row);
    const Row* shown = ShownRow(*object_.type, row);
    if (shown == nullptr || row.codec == Codec::kRefs) return;
    file.kind = TreeFile::Kind::kWrong;
    if (shown->codec == Codec::kRef) return ParseReference(directory, entry, *shown, path, file);
    if (entry.kind != Kind::kFile) {
      context_.problems.Add(path, "is no regular file: put a file in its place");
      return;
    }
    if (row.codec == Codec::kPages) {
      object_.memory.has_pages = true;
      file.kind = TreeFile::Kind::kValue;
      return;
    }
    auto text = ReadWhole(directory, entry.name);
    if (!text.ok()) return Note(path, text.status());
    if (row.codec == Codec::kPagemap) {
      object_.memory.pagemap = *std::move(text);
      file.kind = TreeFile::Kind::kValue;
      return;
    }
    absl::StatusOr<Value> value = ParseText(*shown, *text);
    if (value.ok()) {
      file.value = *std::move(value);
      file.kind = TreeFile::Kind::kValue;
    } else {
      Note(path, value.status());
    }
  }

  static absl::StatusOr<Value> ParseText(const Row& row, absl::string_view text) {
    if (row.wire != Wire::kNone) return ParseValue(row, text);
    Value value;  // id, format
    if (absl::SimpleAtoi(absl::StripSuffix(text, "\n"), &value.number)) return value;
    return absl::InvalidArgumentError(
        absl::StrCat("expected a number, found \"", EscapeText(text.substr(0, 60)), "\""));
  }

  void ParseReference(int directory, const DirectoryEntry& entry, const Row& row,
                      const std::string& path, TreeFile& file) {
    if (entry.kind == Kind::kDirectory) {
      // A copy made without links.
      file.kind = TreeFile::Kind::kCopy;
      file.copy = std::make_unique<TreeObject>(&TargetOf(row), path);
      found_.push_back(file.copy.get());
      return;
    }
    if (entry.kind != Kind::kLink) {
      context_.problems.Add(path, "is no symbolic link: put a link to an object in its place");
      return;
    }
    const auto text = ReadLinkIn(directory, entry.name);
    if (!text.ok()) return Note(path, text.status());
    auto link = ParseLink(*object_.type, row, path, *text);
    if (!link.ok()) return Note(path, link.status());
    file = *std::move(link);
  }

  // ---- memory -----------------------------------------------------------------------------

  void ParseMemory(int directory) {
    TreeMemory& memory = object_.memory;
    if (!memory.has_pages && !memory.pagemap.has_value()) return;
    const Row& pages_row = *object_.type->Find("pages");
    const Row& pagemap_row = *object_.type->Find("pagemap");
    const bool is_vma = object_.type->key == Key::kRange;
    const uint64_t size =
        is_vma ? (object_.name.has_value() ? object_.name->end - object_.name->key : 0)
               : object_.Number("size");
    std::vector<crfs_extent> listed;
    if (memory.pagemap.has_value()) {
      auto parsed = ParsePagemap(*memory.pagemap, size, kTreePageSize);
      if (!parsed.ok()) return Note(object_.PathOf(pagemap_row), parsed.status());
      listed = *std::move(parsed);
    }
    if (!memory.has_pages) {
      if (listed.empty() || object_.file(pages_row).kind == TreeFile::Kind::kWrong) return;
      context_.problems.Add(object_.PathOf(pages_row), "is missing, and ",
                            context_.problems.Whole(object_.PathOf(pagemap_row)),
                            " lists pages of it: copy it again, or empty that file");
      return;
    }
    const absl::Status status = ParsePages(directory, std::string(pages_row.path), size, listed);
    if (!status.ok()) Note(object_.PathOf(pages_row), status);
    memory.pagemap.reset();
  }

  absl::Status ParsePages(int directory, const std::string& name, uint64_t size,
                          const std::vector<crfs_extent>& listed) {
    TreeMemory& memory = object_.memory;
    const auto fd = OpenFileBelow(directory, name);
    if (!fd.ok()) return fd.status();
    struct stat status;
    if (::fstat(fd->get(), &status) != 0) return absl::ErrnoToStatus(errno, "cannot be read");
    memory.file_size = static_cast<uint64_t>(status.st_size);
    const uint64_t wanted = std::min<uint64_t>(size, INT64_MAX);
    if (memory.file_size != wanted) {
      return absl::InvalidArgumentError(
          absl::StrCat("is ", memory.file_size, " bytes long, but its memory is ", wanted,
                       ": make it that long (truncate -s ", wanted, ")"));
    }
    // A mount's own is exact; to search each hole would take long, and to no end.
    if (context_.mount != CrfsMount::kNone && memory.pagemap.has_value()) {
      memory.extents = listed;
      memory.image = FindInImage(fd->get(), listed);
      return absl::OkStatus();
    }
    // Only what nothing else stands behind can be all zeros without being saved.
    const bool keep_zeros = !memory.pagemap.has_value() && object_.type->key == Key::kRange &&
                            (IsThere("file") || IsThere("shmem"));
    auto found = FindPages(fd->get(), memory.file_size, listed, keep_zeros);
    if (!found.ok()) return found.status();
    memory.extents = Unite(listed, *found);
    return absl::OkStatus();
  }

  // Small memory is read as fast through the mount.
  std::optional<ImagePlace> FindInImage(int pages, const std::vector<crfs_extent>& saved) const {
    constexpr uint64_t kWorthwhile = 1 << 20;
    uint64_t size = 0;
    for (const crfs_extent& extent : saved) size += extent.length;
    if (size < kWorthwhile) return std::nullopt;
    // What somebody has written through a mapping is to be told, too.
    if (context_.mount == CrfsMount::kWritable) ::sync_file_range(pages, 0, 0, kFlush);
    std::string text(64 << 10, '\0');
    const ssize_t length = ::fgetxattr(pages, kImageXattr, text.data(), text.size());
    if (length < 0) return std::nullopt;
    return ParseImageXattr(absl::string_view(text).substr(0, static_cast<size_t>(length)));
  }
  static constexpr unsigned kFlush =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

  bool IsThere(absl::string_view field) const {
    return object_.file(*object_.type->Find(field)).kind != TreeFile::Kind::kMissing;
  }

  WalkContext& context_;
  TreeObject& object_;
  const Shape& shape_;
  std::vector<TreeObject*>& found_;
};

// Scratch files of rsync and editors.
bool IsScratch(absl::string_view name) {
  return absl::StartsWith(name, ".") || absl::EndsWith(name, "~");
}

}  // namespace

const Row* ShownRow(const ObjectType& type, const Row& row) {
  if (row.codec == Codec::kViaLeader) return FindType(CRFS_TAG_thread)->Find(row.field);
  if (row.codec == Codec::kVia) return TargetOf(*type.Find(row.target)).Find(row.field);
  return &row;
}

void ParseTreeObject(WalkContext& context, TreeObject& object, std::vector<TreeObject*>& found) {
  Parser(context, object, found).Parse();
  std::ranges::sort(object.children, {}, [](const std::unique_ptr<TreeObject>& child) {
    return std::pair(child->type->index, child->name->key);
  });
}

std::unique_ptr<TreeObject> ParseFolderEntry(WalkContext& context,
                                             const std::vector<const ObjectType*>& types,
                                             const DirectoryEntry& entry, const std::string& path) {
  if (types.empty() || entry.kind != Kind::kDirectory || IsScratch(entry.name)) {
    context.AddLeftover(path);
    return nullptr;
  }
  for (const ObjectType* type : types) {
    const auto name = ParseObjectName(*type, entry.name);
    if (!name.has_value()) continue;
    auto object = std::make_unique<TreeObject>(type, path);
    object->name = name;
    return object;
  }
  // The root is no folder of objects: what else lies there is somebody's own.
  if (types.front()->key == Key::kSingle) {
    context.AddLeftover(path);
    return nullptr;
  }
  context.problems.Add(path, "is no name of a ", types.front()->name,
                       ": rename it, or take it out of the tree");
  return nullptr;
}

}  // namespace crfs
