// SPDX-License-Identifier: Apache-2.0
//
// What the file of a row holds: rows that are computed or shown from another object are
// resolved here, and values turned into contents and link targets.

#ifndef CRFS_INDEX_ROW_FILES_H_
#define CRFS_INDEX_ROW_FILES_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/index.h"
#include "index/object_cache.h"
#include "index/schema.h"
#include "index/shape.h"

namespace crfs {

// A row as its file shows it: of the object itself, or of the one that a kVia row leads to.
struct ShownRow {
  std::shared_ptr<const Object> object;
  const Row* row;

  bool is_link() const { return row->codec == Codec::kRef; }
  bool is_memory() const { return row->codec == Codec::kPages; }
  bool is_raw() const { return row->codec == Codec::kRaw; }
  // Of raw rows, and as long as the object.
  absl::string_view raw() const { return object->view().Bytes(*row); }
};

// Any thread. Errors are those of Index.
class RowFiles {
 public:
  // Both must outlive it.
  RowFiles(const Index* index, const ObjectCache* objects) : index_(index), objects_(objects) {}

  // NOT_FOUND if the object has no such file: its record does not know the row, or the
  // reference is to nothing.
  absl::StatusOr<ShownRow> Resolve(const std::shared_ptr<const Object>& object,
                                   const Row& row) const;
  // All of a file that is neither a link nor memory.
  absl::StatusOr<std::string> Text(const ShownRow& shown) const;
  // The target of a link that stands at `node` in the directory of an object of `type`.
  absl::StatusOr<std::string> LinkTarget(const ShownRow& shown, const ObjectType& type,
                                         const ShapeNode& node) const;

 private:
  absl::StatusOr<std::shared_ptr<const Object>> Follow(const Object& object, const Row& row) const;

  const Index* index_;
  const ObjectCache* objects_;
};

}  // namespace crfs

#endif  // CRFS_INDEX_ROW_FILES_H_
