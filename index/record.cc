// SPDX-License-Identifier: Apache-2.0

#include "index/record.h"

#include <cassert>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "crfs/image.h"
#include "crfs/schema.h"
#include "index/codec.h"

namespace crfs {
namespace {

// What Parse needs of a type, gathered once: it runs for every object of an image.
struct Layout {
  std::vector<const Row*> bytes_rows;
  std::vector<const Row*> reserved_rows;
  std::vector<bool> boundary;  // whether a struct may end at this offset
  uint32_t required = 0;       // the rows that name the object end here
  const Row* owner = nullptr;
  const Row* key = nullptr;
  const Row* second_key = nullptr;  // the end of a range
};

Layout MakeLayout(const ObjectType& type) {
  Layout layout;
  layout.boundary.resize(type.size + 1);
  layout.boundary[0] = true;
  layout.owner = FindAccess(type, Access::kOwner);
  for (const Row& row : type.rows) {
    if (row.wire == Wire::kNone) continue;
    const uint32_t end = row.offset + row.size;
    layout.boundary[end] = true;
    if (row.wire == Wire::kBytes) layout.bytes_rows.push_back(&row);
    if (row.access == Access::kKey) {
      (layout.key == nullptr ? layout.key : layout.second_key) = &row;
    }
    if (row.access == Access::kKey || row.access == Access::kOwner) {
      layout.required = end;
    } else if (row.path.empty()) {
      layout.reserved_rows.push_back(&row);
    }
  }
  return layout;
}

const Layout& LayoutOf(const ObjectType& type) {
  static const std::vector<Layout>& layouts = *[] {
    auto* all = new std::vector<Layout>;
    for (const ObjectType& each : ObjectTypes()) all->push_back(MakeLayout(each));
    return all;
  }();
  return layouts[type.index];
}

template <typename T>
T Load(absl::string_view bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

template <typename T>
void Store(std::string& bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(value));
}

const Row& MustFind(const ObjectType& type, absl::string_view field) {
  const Row* row = type.Find(field);
  assert(row != nullptr);
  return *row;
}

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::DataLossError(absl::StrCat(parts...));
}

}  // namespace

// ---- reading ----------------------------------------------------------------------------

absl::StatusOr<ObjectView> ObjectView::Parse(const ObjectType& type, uint64_t id,
                                             absl::string_view body) {
  if (body.size() < sizeof(crfs_body)) {
    return Wrong("its body is too short (", body.size(), " bytes)");
  }
  if (body.size() > CRFS_RECORD_BODY_MAX) {
    return Wrong("its body is too long (", body.size(), " bytes)");
  }
  const auto head = Load<crfs_body>(body, 0);
  if (head.zero != 0) return Wrong("its reserved bytes are not zero");
  if (head.fixed > body.size() - sizeof(crfs_body)) {
    return Wrong("its fixed part (", head.fixed, " bytes) is longer than its body");
  }
  const Layout& layout = LayoutOf(type);
  if (head.fixed < type.size) {
    if (head.fixed < layout.required || !layout.boundary[head.fixed]) {
      return Wrong("its fixed part (", head.fixed, " bytes) ends within a row");
    }
  } else {
    const auto tail = body.substr(sizeof(crfs_body) + type.size, head.fixed - type.size);
    if (tail.find_first_not_of('\0') != absl::string_view::npos) {
      return absl::UnimplementedError(
          absl::StrCat("it has rows that format version ", CRFS_FORMAT_VERSION,
                       ", the newest that this crfs knows, does not have: use a newer crfs"));
    }
  }
  const ObjectView view(&type, id, body, head.fixed);
  size_t position = sizeof(crfs_body) + head.fixed;
  for (const Row* row : layout.bytes_rows) {
    if (!view.Has(*row)) break;
    const auto range = Load<crfs_bytes>(body, sizeof(crfs_body) + row->offset);
    // An empty row has no place, so that rows which a reader does not know are zero.
    const size_t place = range.length == 0 ? 0 : position;
    if (range.offset != place) {
      return Wrong("row ", row->field, " begins at byte ", range.offset, " of the body, not at ",
                   place);
    }
    if (range.length > body.size() - position) {
      return Wrong("row ", row->field, " (", range.length, " bytes) is longer than the body");
    }
    position += range.length;
  }
  if (position != body.size()) {
    return Wrong("its body has ", body.size() - position, " bytes that belong to no row");
  }
  for (const Row* row : layout.reserved_rows) {
    if (view.Number(*row) != 0) return Wrong("row ", row->field, " is reserved and not zero");
  }
  return view;
}

bool ObjectView::Has(const Row& row) const {
  return row.wire != Wire::kNone && row.offset + row.size <= fixed_;
}

uint64_t ObjectView::Number(const Row& row) const {
  if (!Has(row)) return 0;
  const size_t offset = sizeof(crfs_body) + row.offset;
  switch (row.wire) {
    case Wire::kU32:
      return Load<uint32_t>(body_, offset);
    case Wire::kS32:
      return static_cast<uint64_t>(int64_t{Load<int32_t>(body_, offset)});
    case Wire::kU64:
    case Wire::kS64:
    case Wire::kRef:
      return Load<uint64_t>(body_, offset);
    case Wire::kBytes:
    case Wire::kNone:
      break;
  }
  assert(false);
  return 0;
}

absl::string_view ObjectView::Bytes(const Row& row) const {
  assert(row.wire == Wire::kBytes);
  if (!Has(row)) return {};
  const auto range = Load<crfs_bytes>(body_, sizeof(crfs_body) + row.offset);
  return body_.substr(range.offset, range.length);
}

uint64_t ObjectView::Number(absl::string_view field) const {
  return Number(MustFind(*type_, field));
}

absl::string_view ObjectView::Bytes(absl::string_view field) const {
  return Bytes(MustFind(*type_, field));
}

uint64_t ObjectView::OwnerId() const {
  const Row* row = LayoutOf(*type_).owner;
  return row == nullptr ? 0 : Number(*row);
}

uint64_t ObjectView::KeyNumber() const {
  switch (type_->key) {
    case Key::kSingle:
      return 0;
    case Key::kId:
      return id_;
    case Key::kNumber:
    case Key::kSignal:
    case Key::kRange:
      break;
  }
  return Number(*LayoutOf(*type_).key);
}

std::string ObjectView::DirectoryName() const {
  switch (type_->key) {
    case Key::kSingle:
      return "";
    case Key::kSignal:
      return FormatSignal(KeyNumber());
    case Key::kRange:
      return FormatRange(KeyNumber(), Number(*LayoutOf(*type_).second_key));
    case Key::kId:
    case Key::kNumber:
      break;
  }
  return absl::StrCat(KeyNumber());
}

// ---- building ---------------------------------------------------------------------------

ObjectBuilder::ObjectBuilder(const ObjectType& type) : type_(&type), values_(type.rows.size()) {}

ObjectBuilder::ObjectBuilder(const ObjectView& object) : ObjectBuilder(object.type()) {
  for (const Row& row : type_->rows) {
    if (row.wire == Wire::kNone) continue;
    if (row.wire == Wire::kBytes) {
      values_[row.index].bytes = std::string(object.Bytes(row));
    } else {
      values_[row.index].number = object.Number(row);
    }
  }
}

ObjectBuilder& ObjectBuilder::SetNumber(const Row& row, uint64_t number) {
  assert(row.wire != Wire::kBytes && row.wire != Wire::kNone);
  assert(row.wire != Wire::kU32 || number == static_cast<uint32_t>(number));
  assert(row.wire != Wire::kS32 || static_cast<int64_t>(number) == static_cast<int32_t>(number));
  values_[row.index].number = number;
  return *this;
}

ObjectBuilder& ObjectBuilder::SetBytes(const Row& row, absl::string_view bytes) {
  assert(row.wire == Wire::kBytes);
  values_[row.index].bytes.assign(bytes.data(), bytes.size());
  return *this;
}

ObjectBuilder& ObjectBuilder::SetNumber(absl::string_view field, uint64_t number) {
  return SetNumber(MustFind(*type_, field), number);
}

ObjectBuilder& ObjectBuilder::SetBytes(absl::string_view field, absl::string_view bytes) {
  return SetBytes(MustFind(*type_, field), bytes);
}

absl::StatusOr<std::string> ObjectBuilder::Build() const {
  size_t size = sizeof(crfs_body) + type_->size;
  for (const Row* row : LayoutOf(*type_).bytes_rows) {
    size += values_[row->index].bytes.size();
    if (size > CRFS_RECORD_BODY_MAX) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the values of one ", type_->name, " together are longer than ",
                       CRFS_RECORD_BODY_MAX, " bytes, at row ", row->field));
    }
  }
  std::string body(sizeof(crfs_body) + type_->size, '\0');
  body.reserve(size);
  Store(body, 0, crfs_body{.fixed = type_->size, .zero = 0});
  for (const Row& row : type_->rows) {
    const Value& value = values_[row.index];
    const size_t offset = sizeof(crfs_body) + row.offset;
    switch (row.wire) {
      case Wire::kU32:
      case Wire::kS32:
        Store(body, offset, static_cast<uint32_t>(value.number));
        break;
      case Wire::kU64:
      case Wire::kS64:
      case Wire::kRef:
        Store(body, offset, value.number);
        break;
      case Wire::kBytes:
        if (value.bytes.empty()) break;
        Store(body, offset,
              crfs_bytes{.offset = static_cast<uint32_t>(body.size()),
                         .length = static_cast<uint32_t>(value.bytes.size())});
        body += value.bytes;
        break;
      case Wire::kNone:
        break;
    }
  }
  return body;
}

}  // namespace crfs
