// SPDX-License-Identifier: Apache-2.0

#include "index/edit_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/rocksdb_options.h"

namespace crfs {
namespace {

constexpr uint32_t kLayout = 1;
constexpr uint64_t kReservedAtOnce = 1024;
constexpr char kDatabase[] = "/db";
constexpr char kDataFolder[] = "data";
constexpr absl::string_view kHeaderKey = "b";

void Append64(std::string& out, uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
}
uint64_t Load64(absl::string_view bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) number = number << 8 | static_cast<uint8_t>(bytes[i]);
  return number;
}

std::string Key(char family, uint64_t number) {
  std::string key(1, family);
  Append64(key, number);
  return key;
}
std::string Key(char family, uint64_t number, absl::string_view rest) {
  std::string key = Key(family, number);
  key.append(rest.data(), rest.size());
  return key;
}
std::string Key(char family, uint64_t one, uint64_t other) {
  std::string key = Key(family, one);
  Append64(key, other);
  return key;
}

enum NodeFlags : uint8_t { kPlaced = 1, kContents = 4, kLarge = 8, kWhole = 16 };

std::string Encode(const NodeRecord& record) {
  std::string out;
  out.push_back(static_cast<char>(record.kind));
  out.push_back(static_cast<char>((record.is_placed ? kPlaced : 0) |
                                  (record.has_contents ? kContents : 0) |
                                  (record.is_large ? kLarge : 0) | (record.is_whole ? kWhole : 0)));
  for (const uint64_t number : {uint64_t{record.mode}, uint64_t{record.uid}, uint64_t{record.gid},
                                static_cast<uint64_t>(record.atime_ns),
                                static_cast<uint64_t>(record.mtime_ns), record.parent}) {
    Append64(out, number);
  }
  return out + record.name;
}

constexpr size_t kNodeSize = 2 + 6 * 8;

std::optional<NodeRecord> DecodeNode(absl::string_view bytes) {
  if (bytes.size() < kNodeSize || static_cast<uint8_t>(bytes[0]) > NodeRecord::kLink) {
    return std::nullopt;
  }
  const auto flags = static_cast<uint8_t>(bytes[1]);
  const auto number = [&bytes](size_t i) { return Load64(bytes.substr(2 + 8 * i)); };
  return NodeRecord{.kind = static_cast<uint8_t>(bytes[0]),
                    .is_placed = (flags & kPlaced) != 0,
                    .has_contents = (flags & kContents) != 0,
                    .is_large = (flags & kLarge) != 0,
                    .is_whole = (flags & kWhole) != 0,
                    .mode = static_cast<uint32_t>(number(0)) & 07777,
                    .uid = static_cast<uint32_t>(number(1)),
                    .gid = static_cast<uint32_t>(number(2)),
                    .atime_ns = static_cast<int64_t>(number(3)),
                    .mtime_ns = static_cast<int64_t>(number(4)),
                    .parent = number(5),
                    .name = std::string(bytes.substr(kNodeSize))};
}

std::string DataName(Inode inode) {
  return absl::StrCat(kDataFolder, "/", absl::Hex(inode, absl::kZeroPad16));
}

}  // namespace

// --- batches ---

EditBatch::EditBatch() : batch_(std::make_unique<rocksdb::WriteBatch>()) {}
EditBatch::~EditBatch() = default;
EditBatch::EditBatch(EditBatch&&) noexcept = default;

void EditBatch::PutNode(Inode inode, const NodeRecord& record) {
  batch_->Put(Key('i', inode), Encode(record));
}
void EditBatch::PutContents(Inode inode, absl::string_view contents) {
  batch_->Put(Key('c', inode), SliceOf(contents));
}
void EditBatch::DropContents(Inode inode) { batch_->Delete(Key('c', inode)); }
void EditBatch::PutEntry(Inode directory, absl::string_view name, const EditEntry& entry) {
  std::string value(1, entry.is_gone ? 1 : 0);
  Append64(value, entry.inode);
  Append64(value, entry.number);
  batch_->Put(Key('d', directory, name), value);
  if (entry.is_gone) {
    batch_->Delete(Key('s', directory, entry.number));
  } else {
    batch_->Put(Key('s', directory, entry.number), SliceOf(name));
  }
}
void EditBatch::DropEntry(Inode directory, absl::string_view name, const EditEntry& entry) {
  batch_->Delete(Key('d', directory, name));
  batch_->Delete(Key('s', directory, entry.number));
}
void EditBatch::PutXattr(Inode inode, absl::string_view name, absl::string_view value) {
  batch_->Put(Key('x', inode, name), SliceOf(value));
}
void EditBatch::DropXattr(Inode inode, absl::string_view name) {
  batch_->Delete(Key('x', inode, name));
}
void EditBatch::PutRun(Inode inode, uint64_t offset, const PageRun& run) {
  std::string value(1, static_cast<char>(run.state));
  Append64(value, run.end);
  batch_->Put(Key('r', inode, offset), value);
}
void EditBatch::DropRun(Inode inode, uint64_t offset) { batch_->Delete(Key('r', inode, offset)); }
void EditBatch::PutSize(Inode inode, uint64_t size) {
  std::string value;
  Append64(value, size);
  batch_->Put(Key('z', inode), value);
}
// --- the store ---

EditStore::~EditStore() = default;

absl::Status EditStore::Damaged(absl::string_view what) const {
  return absl::DataLossError(absl::StrCat(path_, ": the edits are damaged: ", what,
                                          ": delete them (and lose them), or restore them"));
}

absl::StatusOr<std::unique_ptr<EditStore>> EditStore::Open(const std::string& folder,
                                                           absl::string_view identity) {
  std::unique_ptr<EditStore> store(new EditStore());
  store->path_ = folder;
  const auto cannot = [&folder](absl::string_view what) {
    return absl::ErrnoToStatus(errno, absl::StrCat(folder, ": ", what));
  };
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return cannot("cannot be made");
  store->folder_.reset(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!store->folder_.valid()) return cannot("cannot be opened");
  if (::mkdirat(store->folder_.get(), kDataFolder, 0700) != 0 && errno != EEXIST) {
    return cannot("cannot be written to");
  }
  rocksdb::Options options = DatabaseOptions(TableOptions());
  options.create_if_missing = true;
  options.disable_auto_compactions = false;
  options.write_buffer_size = 8 << 20;
  options.max_write_buffer_number = 2;
  options.max_open_files = 64;
  options.max_total_wal_size = 32 << 20;
  // The last batch may have been cut off by a loss of power: it had not been synced.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(options, folder + kDatabase, &db);
  if (opened.IsIOError() && opened.ToString().find("lock") != std::string::npos) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder, ": another process has these edits open: unmount them first"));
  }
  if (!opened.ok()) return store->Damaged(opened.ToString());
  store->db_.reset(db);
  if (absl::Status status = store->Load(identity); !status.ok()) return status;
  if (absl::Status status = store->RemoveOrphans(); !status.ok()) return status;
  return store;
}

// The header: layout, when the edits were begun, the next number, the image.
absl::Status EditStore::Load(absl::string_view identity) {
  identity_ = std::string(identity);
  const auto header = Get(kHeaderKey);
  if (!header.ok()) return header.status();
  if (!header->has_value()) {
    made_ns_ = absl::GetCurrentTimeNanos();
    return NextNumber().status();
  }
  const absl::string_view bytes = **header;
  if (bytes.size() < 24) return Damaged("their header is too short");
  if (Load64(bytes) != kLayout) return Damaged("they were made by another version of crfs");
  made_ns_ = static_cast<int64_t>(Load64(bytes.substr(8)));
  next_ = reserved_ = Load64(bytes.substr(16));
  const absl::string_view own = bytes.substr(24);
  if (own == identity) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      path_,
      own.empty() ? ": holds a new tree (crfs mount --new)" : ": holds the edits of another image",
      identity.empty() ? ", not a new one" : ", not of this one",
      ": mount that, give another place for edits (--edits), or delete these"));
}

absl::StatusOr<uint64_t> EditStore::NextNumber() {
  if (next_ >= reserved_) {
    // Numbers that a killed process had reserved are left out.
    reserved_ = next_ + kReservedAtOnce;
    std::string header;
    Append64(header, kLayout);
    Append64(header, static_cast<uint64_t>(made_ns_));
    Append64(header, reserved_);
    header += identity_;
    const rocksdb::Status status = db_->Put(rocksdb::WriteOptions(), SliceOf(kHeaderKey), header);
    if (!status.ok()) return Damaged(status.ToString());
  }
  return next_++;
}

absl::StatusOr<std::optional<std::string>> EditStore::Get(absl::string_view key) const {
  std::string value;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), SliceOf(key), &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) return Damaged(status.ToString());
  return value;
}

absl::Status EditStore::Scan(
    absl::string_view from, absl::string_view prefix,
    absl::FunctionRef<bool(absl::string_view, absl::string_view)> visit) const {
  const std::unique_ptr<rocksdb::Iterator> entry(db_->NewIterator(rocksdb::ReadOptions()));
  for (entry->Seek(SliceOf(from)); entry->Valid() && entry->key().starts_with(SliceOf(prefix));
       entry->Next()) {
    if (!visit(ViewOf(entry->key()), ViewOf(entry->value()))) break;
  }
  return entry->status().ok() ? absl::OkStatus() : Damaged(entry->status().ToString());
}

absl::Status EditStore::DropNodes(Inode first, Inode last, EditBatch& batch) const {
  return Drop("cdirsxz", first, last, batch);
}
absl::Status EditStore::DropFolder(Inode inode, EditBatch& batch) const {
  return Drop("cirxz", inode, inode, batch);
}

absl::Status EditStore::Drop(absl::string_view families, Inode first, Inode last,
                             EditBatch& batch) const {
  // Each key by itself: RocksDB sorts all deleted ranges anew for each look-up after a write.
  for (const char family : families) {
    const std::string end = Key(family, last + 1);
    const absl::Status status = Scan(Key(family, first), absl::string_view(&family, 1),
                                     [&batch, &end](absl::string_view key, absl::string_view) {
                                       if (key >= absl::string_view(end)) return false;
                                       batch.batch_->Delete(SliceOf(key));
                                       return true;
                                     });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<NodeRecord>> EditStore::Node(Inode inode) const {
  const auto bytes = Get(Key('i', inode));
  if (!bytes.ok()) return bytes.status();
  if (!bytes->has_value()) return std::nullopt;
  auto record = DecodeNode(**bytes);
  if (!record.has_value()) return Damaged("a record of a file is cut off");
  return record;
}

absl::StatusOr<std::optional<std::string>> EditStore::Contents(Inode inode) const {
  return Get(Key('c', inode));
}

absl::StatusOr<std::optional<EditEntry>> EditStore::Entry(Inode directory,
                                                          absl::string_view name) const {
  const auto bytes = Get(Key('d', directory, name));
  if (!bytes.ok()) return bytes.status();
  if (!bytes->has_value()) return std::nullopt;
  if ((*bytes)->size() != 17) return Damaged("an entry of a directory is cut off");
  const absl::string_view view = **bytes;
  return EditEntry{
      .is_gone = view[0] != 0, .inode = Load64(view.substr(1)), .number = Load64(view.substr(9))};
}

absl::Status EditStore::ListEntries(
    Inode directory, uint64_t from,
    absl::FunctionRef<bool(absl::string_view, uint64_t)> visit) const {
  const std::string prefix = Key('s', directory);
  return Scan(
      Key('s', directory, from), prefix, [&](absl::string_view key, absl::string_view name) {
        return key.size() != prefix.size() + 8 || visit(name, Load64(key.substr(prefix.size())));
      });
}

absl::StatusOr<std::optional<std::string>> EditStore::Xattr(Inode inode,
                                                            absl::string_view name) const {
  return Get(Key('x', inode, name));
}

absl::StatusOr<std::vector<std::string>> EditStore::Xattrs(Inode inode) const {
  std::vector<std::string> names;
  const std::string prefix = Key('x', inode);
  const absl::Status status = Scan(prefix, prefix, [&](absl::string_view key, absl::string_view) {
    names.emplace_back(key.substr(prefix.size()));
    return true;
  });
  if (!status.ok()) return status;
  return names;
}

absl::StatusOr<PageRuns> EditStore::Runs(Inode inode) const {
  PageRuns runs;
  uint64_t last = 0;
  bool good = true;
  const std::string prefix = Key('r', inode);
  const absl::Status status =
      Scan(prefix, prefix, [&](absl::string_view key, absl::string_view value) {
        good = key.size() == prefix.size() + 8 && value.size() == 9 &&
               static_cast<uint8_t>(value[0]) <= static_cast<uint8_t>(PageState::kZero);
        if (!good) return false;
        const uint64_t offset = Load64(key.substr(prefix.size()));
        const uint64_t end = Load64(value.substr(1));
        good = offset >= last && end > offset && end <= INT64_MAX;
        last = end;
        runs[offset] = {end, static_cast<PageState>(value[0])};
        return good;
      });
  if (!status.ok()) return status;
  if (!good) return Damaged("what is known of the pages of a file is wrong");
  return runs;
}

absl::StatusOr<std::optional<uint64_t>> EditStore::Size(Inode inode) const {
  const auto bytes = Get(Key('z', inode));
  if (!bytes.ok()) return bytes.status();
  if (!bytes->has_value()) return std::nullopt;
  if ((*bytes)->size() != 8 || Load64(**bytes) > INT64_MAX) return Damaged("a size is wrong");
  return Load64(**bytes);
}

absl::StatusOr<int64_t> EditStore::Refs(uint32_t tag, uint64_t id) const {
  const auto bytes = Get(Key('n', tag, id));
  if (!bytes.ok()) return bytes.status();
  if (!bytes->has_value()) return 0;
  if ((*bytes)->size() != 8) return Damaged("a count of links is cut off");
  return static_cast<int64_t>(Load64(**bytes));
}

absl::Status EditStore::Write(EditBatch& batch) {
  for (const auto& [object, difference] : batch.refs_) {
    const auto refs = Refs(object.first, object.second);
    if (!refs.ok()) return refs.status();
    std::string value;
    Append64(value, static_cast<uint64_t>(*refs + difference));
    batch.batch_->Put(Key('n', object.first, object.second), value);
  }
  const rocksdb::Status status = db_->Write(rocksdb::WriteOptions(), batch.batch_.get());
  if (status.ok()) return absl::OkStatus();
  if (status.IsNoSpace() || status.ToString().find("No space") != std::string::npos) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path_, ": the file system is full: make room, or delete some edits"));
  }
  return Damaged(status.ToString());
}

absl::Status EditStore::Sync() {
  const rocksdb::Status status = db_->FlushWAL(true);
  if (!status.ok()) return Damaged(status.ToString());
  if (::fsync(folder_.get()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(path_, ": cannot be synced"));
  }
  return absl::OkStatus();
}

// --- large files ---

absl::StatusOr<std::shared_ptr<const UniqueFd>> EditStore::OpenData(Inode inode) const {
  UniqueFd fd(::openat(folder_.get(), DataName(inode).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) {
    return absl::ErrnoToStatus(errno, absl::StrCat(path_, ": a file cannot be kept"));
  }
  return std::make_shared<const UniqueFd>(std::move(fd));
}

void EditStore::RemoveData(Inode inode) const {
  ::unlinkat(folder_.get(), DataName(inode).c_str(), 0);
}

// Files of which no record speaks: a process was killed before it could write one, or after
// it had dropped one.
absl::Status EditStore::RemoveOrphans() const {
  const int fd = ::openat(folder_.get(), kDataFolder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* const directory = fd < 0 ? nullptr : ::fdopendir(fd);
  if (directory == nullptr)
    return absl::ErrnoToStatus(errno, absl::StrCat(path_, ": cannot be listed"));
  absl::Status status;
  std::vector<Inode> orphans;
  while (const dirent* entry = ::readdir(directory)) {
    Inode inode;
    if (!absl::SimpleHexAtoi(entry->d_name, &inode)) continue;
    const auto record = Node(inode);
    if (!record.ok()) {
      status = record.status();
      break;
    }
    if (!record->has_value() || !(*record)->is_large) orphans.push_back(inode);
  }
  ::closedir(directory);
  for (const Inode inode : orphans) RemoveData(inode);
  return status;
}

}  // namespace crfs
