// SPDX-License-Identifier: Apache-2.0

#include "index/database.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <cstdarg>

#include "absl/strings/str_cat.h"

namespace crfs {
namespace {

constexpr size_t kBlockCacheSize = 16 << 20;
constexpr size_t kRunSize = 32 << 20;
constexpr int kFamilies = 256;

rocksdb::Slice SliceOf(absl::string_view bytes) { return {bytes.data(), bytes.size()}; }
absl::string_view ViewOf(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// Without it RocksDB keeps a growing LOG beside the data.
class NoLog : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::BlockBasedTableOptions TableOptions() {
  rocksdb::BlockBasedTableOptions table;
  table.block_size = 8 << 10;
  // Most reads are of a key that exists, and the index blocks of an index are small: they
  // are read when it is opened and stay, which costs less than looking for them in a cache.
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  table.format_version = 5;
  return table;
}

rocksdb::Options BaseOptions(rocksdb::BlockBasedTableOptions table) {
  rocksdb::Options options;
  options.info_log = std::make_shared<NoLog>();
  options.compression = rocksdb::kNoCompression;
  options.disable_auto_compactions = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.skip_stats_update_on_db_open = true;
  // Files are opened with the database and stay open: what is deleted meanwhile does no harm.
  options.max_open_files = -1;
  options.max_file_opening_threads = 1;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

absl::Status ReadStatus(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsNotFound()) return absl::NotFoundError("no such key");
  return absl::AbortedError(status.ToString());
}

absl::Status WriteStatus(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsNoSpace()) return absl::ResourceExhaustedError("No space left on device");
  return absl::InternalError(status.ToString());
}

}  // namespace

// ---- Database ---------------------------------------------------------------------------

Database::Database(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)) {}
Database::~Database() = default;

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& directory) {
  // One cache for all images that a program has open.
  static const auto& cache =
      *new std::shared_ptr<rocksdb::Cache>(rocksdb::NewLRUCache(kBlockCacheSize, 4));
  auto table = TableOptions();
  table.block_cache = cache;
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly(BaseOptions(table), directory, &db);
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

// ---- DatabaseWriter ---------------------------------------------------------------------

struct DatabaseWriter::Family {
  std::unique_ptr<rocksdb::SstFileWriter> file;
  std::string last;  // key put into it
};

DatabaseWriter::DatabaseWriter(std::string directory)
    : directory_(std::move(directory)), families_(kFamilies) {}
DatabaseWriter::~DatabaseWriter() = default;

absl::StatusOr<std::unique_ptr<rocksdb::SstFileWriter>> DatabaseWriter::NewFile() {
  auto table = TableOptions();
  table.no_block_cache = true;
  static const rocksdb::EnvOptions environment;
  auto file =
      std::make_unique<rocksdb::SstFileWriter>(environment, BaseOptions(table), nullptr, false);
  const auto status = file->Open(absl::StrCat(directory_, "/", next_file_++, ".new"));
  if (!status.ok()) return WriteStatus(status);
  return file;
}

absl::Status DatabaseWriter::Put(const IndexKey& key, absl::string_view value) {
  const absl::string_view bytes = key.view();
  auto& family = families_[static_cast<uint8_t>(bytes[0])];
  if (family == nullptr) {
    auto file = NewFile();
    if (!file.ok()) return file.status();
    family = std::make_unique<Family>(Family{*std::move(file), ""});
  }
  if (bytes > family->last) {
    family->last.assign(bytes.data(), bytes.size());
    return WriteStatus(family->file->Put(SliceOf(bytes), SliceOf(value)));
  }
  run_.emplace_back(bytes, value);
  run_bytes_ += sizeof(run_[0]) + value.size();
  return run_bytes_ < kRunSize ? absl::OkStatus() : FlushRun();
}

absl::Status DatabaseWriter::FlushRun() {
  if (run_.empty()) return absl::OkStatus();
  std::sort(run_.begin(), run_.end());
  auto file = NewFile();
  if (!file.ok()) return file.status();
  const std::string* last = nullptr;
  for (const auto& [key, value] : run_) {
    if (last != nullptr && *last == key) continue;
    last = &key;
    if (auto status = (*file)->Put(key, value); !status.ok()) return WriteStatus(status);
  }
  rocksdb::ExternalSstFileInfo written;
  if (auto status = (*file)->Finish(&written); !status.ok()) return WriteStatus(status);
  run_files_.push_back(written.file_path);
  run_.clear();
  run_bytes_ = 0;
  return absl::OkStatus();
}

absl::Status DatabaseWriter::Finish() {
  if (auto status = FlushRun(); !status.ok()) return status;
  for (auto& family : families_) {
    if (family == nullptr) continue;
    rocksdb::ExternalSstFileInfo written;
    if (auto status = family->file->Finish(&written); !status.ok()) return WriteStatus(status);
    files_.push_back(written.file_path);
    family.reset();
  }
  auto options = BaseOptions(TableOptions());
  options.create_if_missing = true;
  options.error_if_exists = true;
  options.write_buffer_size = 64 << 10;  // nothing is written but by ingesting
  rocksdb::DB* raw = nullptr;
  if (auto s = rocksdb::DB::Open(options, directory_, &raw); !s.ok()) return WriteStatus(s);
  const std::unique_ptr<rocksdb::DB> db(raw);
  rocksdb::IngestExternalFileOptions ingest;
  ingest.move_files = true;
  ingest.snapshot_consistency = false;
  if (auto s = db->IngestExternalFile(files_, ingest); !s.ok()) return WriteStatus(s);
  // One by one, as each may overlap those before it.
  for (const std::string& file : run_files_) {
    if (auto s = db->IngestExternalFile({file}, ingest); !s.ok()) return WriteStatus(s);
  }
  return WriteStatus(db->Close());
}

}  // namespace crfs
