// SPDX-License-Identifier: Apache-2.0

#include "index/diff.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "index/codec.h"
#include "index/diff_memory.h"
#include "index/image_reader.h"
#include "index/memory.h"

namespace crfs {
namespace {

std::string Shortened(absl::string_view text) {
  constexpr size_t kShown = 120;
  if (text.size() <= kShown) return std::string(text);
  return absl::StrCat(text.substr(0, kShown), "... (", text.size(), " bytes)");
}

std::string TextOf(const Row& row, const ObjectView& object) {
  Value value;
  if (row.wire == Wire::kBytes) {
    value.bytes = std::string(object.Bytes(row));
  } else {
    value.number = object.Number(row);
  }
  return FormatValue(row, value);
}

class Differ {
 public:
  Differ(const LoadedCheckpoint& one, const LoadedCheckpoint& other, const DiffOptions& options,
         ByteSink& out)
      : one_(one), other_(other), options_(options), out_(out) {}

  absl::StatusOr<bool> Run() {
    // As in the listing of the root: tasks come before what they refer to.
    for (const absl::string_view folder : {"checkpoint", "tasks", "objects"}) {
      for (const ObjectType& type : ObjectTypes()) {
        if (!type.owner.empty() || type.place.substr(0, folder.size()) != folder) continue;
        DiffObjects(type, one_.Ids(type), other_.Ids(type), std::string(type.place));
      }
    }
    Flush();
    if (!status_.ok()) return status_;
    return differs_;
  }

 private:
  template <typename... Parts>
  void Line(const Parts&... parts) {
    differs_ = true;
    absl::StrAppend(&text_, parts..., "\n");
    if (text_.size() >= 1 << 16) Flush();
  }

  void Flush() {
    if (status_.ok()) status_ = out_.Write(text_);
    text_.clear();
  }

  // ---- objects ----------------------------------------------------------------------------

  // What orders the objects of a folder, and tells which of the two checkpoints' are the same.
  static std::pair<uint64_t, uint64_t> NameOf(const ObjectView& object) {
    const bool is_range = object.type().key == Key::kRange;
    return {object.KeyNumber(), is_range ? object.Number("end") : 0};
  }

  static std::vector<ObjectView> InOrder(const LoadedCheckpoint& checkpoint, const ObjectType& type,
                                         std::span<const uint64_t> ids) {
    std::vector<ObjectView> objects;
    objects.reserve(ids.size());
    for (const uint64_t id : ids) objects.push_back(checkpoint.Get(type, id));
    std::ranges::sort(objects, {}, NameOf);
    return objects;
  }

  void DiffObjects(const ObjectType& type, std::span<const uint64_t> one_ids,
                   std::span<const uint64_t> other_ids, const std::string& folder) {
    const std::vector<ObjectView> ones = InOrder(one_, type, one_ids);
    const std::vector<ObjectView> others = InOrder(other_, type, other_ids);
    const auto path = [&](const ObjectView& object) {
      return type.key == Key::kSingle ? folder : absl::StrCat(folder, "/", object.DirectoryName());
    };
    auto a = ones.begin();
    auto b = others.begin();
    while (status_.ok() && (a != ones.end() || b != others.end())) {
      const bool a_first = b == others.end() || (a != ones.end() && NameOf(*a) < NameOf(*b));
      const bool b_first = a == ones.end() || (b != others.end() && NameOf(*b) < NameOf(*a));
      if (a_first) {
        Line("only in ", one_.path(), ": ", path(*a++));
      } else if (b_first) {
        Line("only in ", other_.path(), ": ", path(*b++));
      } else {
        DiffObject(*a, *b, path(*a));
        ++a, ++b;
      }
    }
  }

  void DiffObject(const ObjectView& a, const ObjectView& b, const std::string& path) {
    const ObjectType& type = a.type();
    for (const Row& row : type.rows) {
      if (row.path.empty()) continue;
      if (options_.restored_only && row.restart != Restart::kRestore) continue;
      const std::string file = absl::StrCat(path, "/", row.path);
      if (row.codec == Codec::kPages) {
        DiffPages(a, b, file);
      } else if (row.wire == Wire::kRef) {
        DiffReference(row, a, b, file);
      } else if (row.wire == Wire::kBytes) {
        if (a.Bytes(row) != b.Bytes(row)) DiffBytes(row, a, b, file);
      } else if (row.wire != Wire::kNone && a.Number(row) != b.Number(row)) {
        DiffText(row, a, b, file);
      }
    }
    for (const ObjectType& child : ObjectTypes()) {
      if (child.owner != type.name) continue;
      DiffObjects(child, one_.Owned(child, a.id()), other_.Owned(child, b.id()),
                  child.place.empty() ? path : absl::StrCat(path, "/", child.place));
    }
  }

  // ---- values -----------------------------------------------------------------------------

  static std::string TargetPath(const LoadedCheckpoint& checkpoint, const Row& row,
                                const ObjectView& object) {
    const uint64_t id = object.Number(row);
    const ObjectType& type = TargetOf(row);
    for (const Inherited& each : checkpoint.inherited()) {
      const bool is_this = object.type().name == "fd" && each.fd_id == object.id();
      if (is_this) return absl::StrCat("inherit/", each.number);
    }
    if (id == 0 || !checkpoint.Has(type, id)) return "(none)";
    return absl::StrCat(type.place, "/", checkpoint.Get(type, id).DirectoryName());
  }

  void DiffReference(const Row& row, const ObjectView& a, const ObjectView& b,
                     const std::string& file) {
    const std::string was = TargetPath(one_, row, a), is = TargetPath(other_, row, b);
    if (was != is) Line(file, ": ", was, " -> ", is);
  }

  void DiffText(const Row& row, const ObjectView& a, const ObjectView& b, const std::string& file) {
    const std::string was = TextOf(row, a), is = TextOf(row, b);
    Line(file, ": ", Shortened(absl::StripSuffix(was, "\n")), " -> ",
         Shortened(absl::StripSuffix(is, "\n")));
  }

  void DiffBytes(const Row& row, const ObjectView& a, const ObjectView& b,
                 const std::string& file) {
    if (row.codec == Codec::kRaw) return DiffRaw(a.Bytes(row), b.Bytes(row), file);
    if (row.codec != Codec::kStrings && row.codec != Codec::kAuxv && row.codec != Codec::kRanges) {
      return DiffText(row, a, b, file);
    }
    const std::string was_text = TextOf(row, a), is_text = TextOf(row, b);
    const std::vector<absl::string_view> was = absl::StrSplit(was_text, '\n');
    const std::vector<absl::string_view> is = absl::StrSplit(is_text, '\n');
    size_t line = 0;
    while (line < was.size() && line < is.size() && was[line] == is[line]) ++line;
    const auto shown = [line](const std::vector<absl::string_view>& lines) {
      return line < lines.size() ? Shortened(lines[line]) : std::string("(none)");
    };
    Line(file, ": line ", line + 1, ": ", shown(was), " -> ", shown(is));
  }

  void DiffRaw(absl::string_view was, absl::string_view is, const std::string& file) {
    const size_t common = std::min(was.size(), is.size());
    for (size_t i = 0; i < common; ++i) {
      if (was[i] == is[i]) continue;
      const size_t begin = i;
      while (i < common && was[i] != is[i]) ++i;
      Line(file, ": bytes ", begin, "-", i, " differ");
    }
    if (was.size() != is.size()) Line(file, ": ", was.size(), " -> ", is.size(), " bytes");
  }

  // ---- memory -----------------------------------------------------------------------------

  void DiffPages(const ObjectView& a, const ObjectView& b, const std::string& file) {
    const auto was = one_.Memory(a);
    const auto is = was.ok() ? other_.Memory(b) : absl::StatusOr<LoadedMemory>(was.status());
    if (!is.ok()) {
      status_ = is.status();
      return;
    }
    const uint64_t base = a.type().key == Key::kRange ? a.KeyNumber() : 0;
    const absl::Status status =
        DiffMemory(*was, *is, [&](uint64_t offset, uint64_t length, PageDifference difference) {
          const std::string range = FormatRange(base + offset, base + offset + length);
          if (difference == PageDifference::kDiffers) {
            Line(file, ": ", range, " differs");
          } else {
            const bool in_one = difference == PageDifference::kOnlyInOne;
            Line(file, ": ", range, " is saved in ", (in_one ? one_ : other_).path(), " alone");
          }
        });
    if (!status.ok()) status_ = WithPath(status, file);
  }

  const LoadedCheckpoint& one_;
  const LoadedCheckpoint& other_;
  const DiffOptions options_;
  ByteSink& out_;
  std::string text_;
  absl::Status status_;
  bool differs_ = false;
};

}  // namespace

absl::StatusOr<bool> DiffCheckpoints(const LoadedCheckpoint& one, const LoadedCheckpoint& other,
                                     const DiffOptions& options, ByteSink& out) {
  return Differ(one, other, options, out).Run();
}

}  // namespace crfs
