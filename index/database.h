// SPDX-License-Identifier: Apache-2.0
//
// The RocksDB database of an index, which is only read (index/database_writer.h writes it).

#ifndef CRFS_INDEX_DATABASE_H_
#define CRFS_INDEX_DATABASE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/keys.h"

namespace rocksdb {
class DB;
}  // namespace rocksdb

namespace crfs {

// Const calls may be made from any thread at once. ABORTED: the database is damaged, or its
// files are gone; it is to be built again.
class Database {
 public:
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& directory);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // NOT_FOUND if there is none.
  absl::StatusOr<std::string> Get(const IndexKey& key) const;
  // Calls `visit` with each entry from `from` on whose key begins with `prefix`, until it
  // returns false. Views are valid during the call.
  absl::Status Scan(
      const IndexKey& from, absl::string_view prefix,
      absl::FunctionRef<bool(absl::string_view key, absl::string_view value)> visit) const;
  struct Entry {
    std::string key;
    std::string value;
  };
  // The last entry up to and with `at`, if its key begins with `prefix`.
  absl::StatusOr<std::optional<Entry>> Floor(const IndexKey& at, absl::string_view prefix) const;

 private:
  explicit Database(std::unique_ptr<rocksdb::DB> db);
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace crfs

#endif  // CRFS_INDEX_DATABASE_H_
