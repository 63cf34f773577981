// SPDX-License-Identifier: Apache-2.0
//
// One object as it stands in a record's body: typed reading and building. Layout and rules
// are in crfs/image.h (struct crfs_body) and crfs/schema.h.

#ifndef CRFS_INDEX_RECORD_H_
#define CRFS_INDEX_RECORD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/schema.h"

namespace crfs {

// A value of one row. Numbers are widened to 64 bits, signed ones by their sign; references
// are ids; `bytes` rows use `bytes` alone.
struct Value {
  uint64_t number = 0;
  std::string bytes;

  bool operator==(const Value&) const = default;
};

// Reads one object. Does not own the body, which must outlive it; copyable; const calls
// may be made from any thread.
class ObjectView {
 public:
  // Checks the layout: sizes, a zero unknown tail, bytes rows in canonical places within the
  // body, reserved rows zero. DATA_LOSS says which row is wrong and why;
  // UNIMPLEMENTED that a newer format version is needed.
  static absl::StatusOr<ObjectView> Parse(const ObjectType& type, uint64_t id,
                                          absl::string_view body);

  const ObjectType& type() const { return *type_; }
  uint64_t id() const { return id_; }
  absl::string_view body() const { return body_; }

  // False if the record's writer did not know the row. Always false for Wire::kNone.
  bool Has(const Row& row) const;
  // Of an absent row: 0 and "". `row` must be one of type().rows, of the fitting wire type.
  uint64_t Number(const Row& row) const;
  absl::string_view Bytes(const Row& row) const;
  // By the name of its field, which must exist.
  uint64_t Number(absl::string_view field) const;
  absl::string_view Bytes(absl::string_view field) const;

  // The id of the owner (Access::kOwner), 0 for types without one.
  uint64_t OwnerId() const;
  // What names the object in its folder: the (first) key row, or the id. 0 for kSingle.
  uint64_t KeyNumber() const;
  // The name of its directory, as docs/tree.md says; "" for kSingle.
  std::string DirectoryName() const;

 private:
  ObjectView(const ObjectType* type, uint64_t id, absl::string_view body, uint32_t fixed)
      : type_(type), id_(id), body_(body), fixed_(fixed) {}

  const ObjectType* type_;
  uint64_t id_;
  absl::string_view body_;
  uint32_t fixed_;
};

// Builds the canonical body of one object, of the newest format version. Rows that are not
// set are 0 or empty. Not for use by several threads at once.
class ObjectBuilder {
 public:
  explicit ObjectBuilder(const ObjectType& type);
  // Starts from an existing object: rows that `object` lacks are 0 or empty.
  explicit ObjectBuilder(const ObjectView& object);

  const ObjectType& type() const { return *type_; }

  // `row` must be one of type().rows, of the fitting wire type; numbers must fit.
  ObjectBuilder& SetNumber(const Row& row, uint64_t number);
  ObjectBuilder& SetBytes(const Row& row, absl::string_view bytes);
  ObjectBuilder& SetNumber(absl::string_view field, uint64_t number);
  ObjectBuilder& SetBytes(absl::string_view field, absl::string_view bytes);

  // RESOURCE_EXHAUSTED if the body would pass CRFS_RECORD_BODY_MAX.
  absl::StatusOr<std::string> Build() const;

 private:
  const ObjectType* type_;
  std::vector<Value> values_;  // one a row
};

}  // namespace crfs

#endif  // CRFS_INDEX_RECORD_H_
