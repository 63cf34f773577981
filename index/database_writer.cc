// SPDX-License-Identifier: Apache-2.0

#include "index/database_writer.h"

#include <rocksdb/db.h>
#include <rocksdb/sst_file_writer.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "index/no_sync_env.h"
#include "index/rocksdb_options.h"

namespace crfs {
namespace {

constexpr size_t kRunSize = 32 << 20;
constexpr size_t kBatchSize = 256 << 10;
constexpr size_t kBatchesMax = 8;
constexpr int kFamilies = 256;

// Before each entry of a batch.
struct Head {
  uint32_t key;  // bytes
  uint32_t value;
};

absl::Status WriteStatus(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsNoSpace()) return absl::ResourceExhaustedError("No space left on device");
  return absl::InternalError(status.ToString());
}

}  // namespace

// ---- SortedFiles ------------------------------------------------------------------------

SortedFiles::SortedFiles(std::string directory)
    : directory_(std::move(directory)), families_(kFamilies) {}
SortedFiles::~SortedFiles() = default;

absl::StatusOr<std::unique_ptr<rocksdb::SstFileWriter>> SortedFiles::NewFile() {
  auto table = TableOptions();
  table.no_block_cache = true;
  static const rocksdb::EnvOptions environment;
  auto options = DatabaseOptions(table);
  options.env = NoSyncEnv();
  auto file = std::make_unique<rocksdb::SstFileWriter>(environment, options, nullptr, false);
  const auto status = file->Open(absl::StrCat(directory_, "/", next_file_++, ".new"));
  if (!status.ok()) return WriteStatus(status);
  return file;
}

absl::Status SortedFiles::Put(absl::string_view bytes, absl::string_view value) {
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

absl::Status SortedFiles::FlushRun() {
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

absl::Status SortedFiles::Finish() {
  if (auto status = FlushRun(); !status.ok()) return status;
  for (auto& family : families_) {
    if (family == nullptr) continue;
    rocksdb::ExternalSstFileInfo written;
    if (auto status = family->file->Finish(&written); !status.ok()) return WriteStatus(status);
    files_.push_back(written.file_path);
    family.reset();
  }
  auto options = DatabaseOptions(TableOptions());
  options.env = NoSyncEnv();
  options.create_if_missing = true;
  options.error_if_exists = true;
  options.write_buffer_size = 64 << 10;  // nothing is written but by ingesting
  rocksdb::DB* raw = nullptr;
  if (auto s = rocksdb::DB::Open(options, directory_, &raw); !s.ok()) return WriteStatus(s);
  const std::unique_ptr<rocksdb::DB> db(raw);
  rocksdb::IngestExternalFileOptions ingest;
  ingest.move_files = true;
  ingest.snapshot_consistency = false;
  ingest.write_global_seqno = false;
  if (auto s = db->IngestExternalFile(files_, ingest); !s.ok()) return WriteStatus(s);
  // One by one, as each may overlap those before it.
  for (const std::string& file : run_files_) {
    if (auto s = db->IngestExternalFile({file}, ingest); !s.ok()) return WriteStatus(s);
  }
  return WriteStatus(db->Close());
}

// ---- DatabaseWriter ---------------------------------------------------------------------

DatabaseWriter::DatabaseWriter(std::string directory)
    : files_(std::move(directory)), thread_(&DatabaseWriter::Run, this) {}

DatabaseWriter::~DatabaseWriter() { Join(); }

absl::Status DatabaseWriter::Put(const IndexKey& key, absl::string_view value) {
  const absl::string_view bytes = key.view();
  const Head head = {static_cast<uint32_t>(bytes.size()), static_cast<uint32_t>(value.size())};
  const size_t size = batch_.size();
  batch_.resize(size + sizeof(head) + bytes.size() + value.size());
  char* place = batch_.data() + size;
  std::memcpy(place, &head, sizeof(head));
  std::memcpy(place + sizeof(head), bytes.data(), bytes.size());
  std::memcpy(place + sizeof(head) + bytes.size(), value.data(), value.size());
  return batch_.size() < kBatchSize ? absl::OkStatus() : Send();
}

absl::Status DatabaseWriter::Send() {
  MutexLock lock(&mutex_);
  while (queue_.size() >= kBatchesMax && status_.ok()) mutex_.Wait();
  if (!status_.ok()) return status_;
  queue_.push_back(std::move(batch_));
  mutex_.Signal();
  batch_.clear();
  batch_.reserve(kBatchSize + 1024);
  return absl::OkStatus();
}

absl::Status DatabaseWriter::PutBatch(absl::string_view batch, SortedFiles* files) {
  while (!batch.empty()) {
    Head head;
    std::memcpy(&head, batch.data(), sizeof(head));
    const absl::string_view key = batch.substr(sizeof(head), head.key);
    const absl::string_view value = batch.substr(sizeof(head) + head.key, head.value);
    if (auto status = files->Put(key, value); !status.ok()) return status;
    batch.remove_prefix(sizeof(head) + head.key + head.value);
  }
  return absl::OkStatus();
}

void DatabaseWriter::Run() {
  for (;;) {
    Batch batch;
    {
      MutexLock lock(&mutex_);
      while (queue_.empty() && !closed_) mutex_.Wait();
      if (queue_.empty()) return;
      batch = std::move(queue_.front());
      queue_.pop_front();
      mutex_.Signal();
    }
    absl::Status status = PutBatch(batch, &files_);
    if (status.ok()) continue;
    MutexLock lock(&mutex_);
    status_ = std::move(status);
    mutex_.Signal();
    return;
  }
}

void DatabaseWriter::Join() {
  {
    MutexLock lock(&mutex_);
    closed_ = true;
    mutex_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

absl::Status DatabaseWriter::Finish() {
  absl::Status status = Send();
  Join();
  {
    MutexLock lock(&mutex_);
    status.Update(status_);
  }
  return status.ok() ? files_.Finish() : status;
}

}  // namespace crfs
