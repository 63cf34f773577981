// SPDX-License-Identifier: Apache-2.0
//
// The RocksDB database of an index, as crfs uses it: written once, then only read. All that
// is said to RocksDB about memory, threads and files is said here.

#ifndef CRFS_INDEX_DATABASE_H_
#define CRFS_INDEX_DATABASE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/keys.h"

namespace rocksdb {
class DB;
class SstFileWriter;
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

// Writes a new database: entries go straight into sorted files, one set a family of keys.
// Those that come out of order within a family are kept and sorted, a bounded number at a
// time. Errors are those of the file system: RESOURCE_EXHAUSTED if it is full. Not for use
// by several threads at once.
class DatabaseWriter {
 public:
  // The directory must exist and be empty.
  explicit DatabaseWriter(std::string directory);
  ~DatabaseWriter();
  DatabaseWriter(const DatabaseWriter&) = delete;
  DatabaseWriter& operator=(const DatabaseWriter&) = delete;

  // Each key at most once.
  absl::Status Put(const IndexKey& key, absl::string_view value);
  // Makes the database of all that was put.
  absl::Status Finish();

 private:
  struct Family;
  using Run = std::vector<std::pair<std::string, std::string>>;

  absl::StatusOr<std::unique_ptr<rocksdb::SstFileWriter>> NewFile();
  absl::Status FlushRun();

  std::string directory_;
  std::vector<std::unique_ptr<Family>> families_;  // by letter
  std::vector<std::string> files_;                 // in order, and no two overlap
  std::vector<std::string> run_files_;             // these may overlap
  Run run_;
  size_t run_bytes_ = 0;
  int next_file_ = 0;
};

}  // namespace crfs

#endif  // CRFS_INDEX_DATABASE_H_
