// SPDX-License-Identifier: Apache-2.0

#include "index/database.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/iterator.h>

#include "index/rocksdb_options.h"

namespace crfs {
namespace {

constexpr size_t kBlockCacheSize = 16 << 20;

absl::Status ReadStatus(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsNotFound()) return absl::NotFoundError("no such key");
  return absl::AbortedError(status.ToString());
}

}  // namespace

Database::Database(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)) {}
Database::~Database() = default;

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& directory) {
  // One cache for all images that a program has open.
  static const auto& cache =
      *new std::shared_ptr<rocksdb::Cache>(rocksdb::NewLRUCache(kBlockCacheSize, 4));
  auto table = TableOptions();
  table.block_cache = cache;
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly(DatabaseOptions(table), directory, &db);
  if (!status.ok()) return ReadStatus(status);
  return std::unique_ptr<Database>(new Database(std::unique_ptr<rocksdb::DB>(db)));
}

absl::StatusOr<std::string> Database::Get(const IndexKey& key) const {
  std::string value;
  const auto status = db_->Get(rocksdb::ReadOptions(), SliceOf(key.view()), &value);
  if (!status.ok()) return ReadStatus(status);
  return value;
}

absl::Status Database::Scan(
    const IndexKey& from, absl::string_view prefix,
    absl::FunctionRef<bool(absl::string_view key, absl::string_view value)> visit) const {
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions()));
  for (it->Seek(SliceOf(from.view())); it->Valid(); it->Next()) {
    if (!it->key().starts_with(SliceOf(prefix))) break;
    if (!visit(ViewOf(it->key()), ViewOf(it->value()))) break;
  }
  return ReadStatus(it->status());
}

absl::StatusOr<std::optional<Database::Entry>> Database::Floor(const IndexKey& at,
                                                               absl::string_view prefix) const {
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions()));
  it->SeekForPrev(SliceOf(at.view()));
  if (!it->status().ok()) return ReadStatus(it->status());
  if (!it->Valid() || !it->key().starts_with(SliceOf(prefix))) return std::nullopt;
  return Entry{it->key().ToString(), it->value().ToString()};
}

}  // namespace crfs
