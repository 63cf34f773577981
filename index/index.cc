// SPDX-License-Identifier: Apache-2.0

#include "index/index.h"

#include <cstring>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "index/data_checks.h"
#include "index/database.h"
#include "index/image_file.h"
#include "index/index_cache.h"
#include "index/keys.h"
#include "index/mutex.h"

namespace crfs {
namespace {

absl::Status Malformed() { return absl::AbortedError("a value of the index is malformed"); }

absl::Status NoObject(const ObjectType& type, uint64_t id) {
  return absl::NotFoundError(absl::StrCat("there is no ", type.name, " ", id));
}

// The number stored under a key, or `otherwise` if there is none.
absl::StatusOr<uint64_t> GetNumber(const Database& database, const IndexKey& key,
                                   uint64_t otherwise) {
  auto value = database.Get(key);
  if (absl::IsNotFound(value.status())) return otherwise;
  if (!value.ok()) return value.status();
  const auto number = DecodeNumber(*value);
  if (!number.has_value()) return Malformed();
  return *number;
}

std::optional<SavedExtent> DecodeExtent(const IndexMeta& meta, absl::string_view key,
                                        absl::string_view value) {
  const auto pair = DecodePair(value);
  if (!pair.has_value() || pair->first > meta.data_length ||
      pair->second > meta.data_length - pair->first) {
    return std::nullopt;
  }
  return SavedExtent{LastNumber(key), pair->first, meta.data_offset + pair->second};
}

bool IsKeyed(const ObjectType& type) { return type.key != Key::kId && type.key != Key::kSingle; }

absl::Status StatusOf(const absl::Status& status) { return status; }
template <typename T>
absl::Status StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

}  // namespace

// ---- Object -----------------------------------------------------------------------------

Object::Object(const ObjectType& type, uint64_t id, std::string body)
    : body_(std::make_unique<const std::string>(std::move(body))) {
  auto view = ObjectView::Parse(type, id, *body_);
  if (view.ok()) view_ = *view;
}

absl::StatusOr<Object> Object::Make(const ObjectType& type, uint64_t id, std::string body) {
  Object object(type, id, std::move(body));
  if (object.view_.has_value()) return object;
  return ObjectView::Parse(type, id, *object.body_).status();
}

const ObjectView& Object::view() const { return *view_; }

// ---- State ------------------------------------------------------------------------------

class Index::State {
 public:
  static absl::StatusOr<std::unique_ptr<State>> Open(const std::string& path,
                                                     const IndexOptions& options);

  // Calls read(database); if the index turns out to be damaged, builds it anew and tries
  // once more.
  template <typename Read>
  auto Retry(Read read) const -> decltype(read(std::declval<const Database&>())) {
    for (int attempt = 0;; ++attempt) {
      const std::shared_ptr<const Database> database = Current();
      auto result = read(*database);
      const absl::Status status = StatusOf(result);
      if (!absl::IsAborted(status)) return result;
      if (attempt == 2) {
        return image.Damaged(absl::StrCat("the index cannot be used: ", status.message()));
      }
      if (absl::Status rebuilt = Replace(database.get()); !rebuilt.ok()) return rebuilt;
    }
  }

  absl::StatusOr<NumberPair> Place(const ObjectType& type, uint64_t id) const;

  const ImageFile image;
  const IndexMeta meta;
  const DataChecks checks;

 private:
  State(ImageFile opened, IndexMeta known)
      : image(std::move(opened)),
        meta(std::move(known)),
        checks(&image, meta.data_offset, meta.data_length) {}

  std::shared_ptr<const Database> Current() const {
    ReaderMutexLock lock(&mutex_);
    return database_;
  }
  absl::Status Replace(const Database* damaged) const;

  std::string directory_;
  // Held while an index is built; before mutex_.
  mutable Mutex rebuilding_;
  mutable Mutex mutex_ ABSL_ACQUIRED_AFTER(rebuilding_);
  mutable std::shared_ptr<const Database> database_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<std::unique_ptr<Index::State>> Index::State::Open(const std::string& path,
                                                                 const IndexOptions& options) {
  auto image = ImageFile::Open(path);
  if (!image.ok()) return image.status();
  auto cache = IndexCache::Create(&*image, options.directory, options.progress);
  if (!cache.ok()) return cache.status();
  auto opened = cache->OpenOrBuild();
  if (!opened.ok()) return opened.status();
  std::unique_ptr<State> state(new State(*std::move(image), std::move(opened->meta)));
  state->directory_ = options.directory;
  MutexLock lock(&state->mutex_);
  state->database_ = std::move(opened->database);
  return state;
}

absl::Status Index::State::Replace(const Database* damaged) const {
  MutexLock building(&rebuilding_);
  if (Current().get() != damaged) return absl::OkStatus();  // somebody else has done it
  if (auto status = image.CheckUnchanged(); !status.ok()) return status;
  auto cache = IndexCache::Create(&image, directory_, nullptr);
  if (!cache.ok()) return cache.status();
  auto opened = cache->Rebuild();
  if (!opened.ok()) return opened.status();
  // What has been told of the image must stay true.
  if (opened->meta != meta) return image.Damaged("its index has changed: open it again");
  MutexLock lock(&mutex_);
  database_ = std::move(opened->database);
  return absl::OkStatus();
}

absl::StatusOr<NumberPair> Index::State::Place(const ObjectType& type, uint64_t id) const {
  auto place = Retry([&](const Database& database) -> absl::StatusOr<NumberPair> {
    auto value = database.Get(IndexKey::Record(type.tag, id));
    if (!value.ok()) return value.status();
    const auto pair = DecodePair(*value);
    if (!pair.has_value()) return Malformed();
    return *pair;
  });
  if (absl::IsNotFound(place.status())) return NoObject(type, id);
  return place;
}

// ---- Index ------------------------------------------------------------------------------

Index::Index(std::unique_ptr<State> state) : state_(std::move(state)) {}
Index::~Index() = default;

absl::StatusOr<std::unique_ptr<Index>> Index::Open(const std::string& image,
                                                   const IndexOptions& options) {
  auto state = State::Open(image, options);
  if (!state.ok()) return state.status();
  return std::unique_ptr<Index>(new Index(*std::move(state)));
}

absl::StatusOr<Object> Index::Get(const ObjectType& type, uint64_t id) const {
  auto place = state_->Place(type, id);
  if (!place.ok()) return place.status();
  auto body = state_->image.ReadBody(type, id, place->first, place->second);
  if (!body.ok()) return body.status();
  auto object = Object::Make(type, id, *std::move(body));
  if (!object.ok()) {
    return state_->image.Damaged(absl::StrCat("offset ", place->first, ": ", type.name, " ", id,
                                              ": ", object.status().message()));
  }
  return object;
}

absl::Status Index::Exists(const ObjectType& type, uint64_t id) const {
  return state_->Place(type, id).status();
}

absl::StatusOr<uint64_t> Index::FindKey(const ObjectType& type, uint64_t owner_id,
                                        uint64_t key) const {
  if (!IsKeyed(type)) {
    if (auto status = Exists(type, key); !status.ok()) return status;
    return key;
  }
  auto id = state_->Retry([&](const Database& database) -> absl::StatusOr<uint64_t> {
    auto value = database.Get(IndexKey::Child(type.tag, owner_id, key));
    if (!value.ok()) return value.status();
    const auto number = DecodeNumber(*value);
    if (!number.has_value()) return Malformed();
    return *number;
  });
  if (absl::IsNotFound(id.status())) return NoObject(type, key);
  return id;
}

absl::StatusOr<std::optional<Index::KeyedId>> Index::FindKeyBefore(const ObjectType& type,
                                                                   uint64_t owner_id,
                                                                   uint64_t key) const {
  return state_->Retry([&](const Database& database) -> absl::StatusOr<std::optional<KeyedId>> {
    const auto at = IndexKey::Child(type.tag, owner_id, key);
    auto entry = database.Floor(at, at.prefix());
    if (!entry.ok()) return entry.status();
    if (!entry->has_value()) return std::nullopt;
    const auto id = DecodeNumber((*entry)->value);
    if (!id.has_value()) return Malformed();
    return KeyedId{LastNumber((*entry)->key), *id};
  });
}

absl::Status Index::ListKeys(const ObjectType& type, uint64_t owner_id, uint64_t key,
                             absl::FunctionRef<bool(uint64_t key, uint64_t id)> visit) const {
  const bool keyed = IsKeyed(type);
  bool done = false;
  return state_->Retry([&](const Database& database) {
    if (done) return absl::OkStatus();
    const auto from =
        keyed ? IndexKey::Child(type.tag, owner_id, key) : IndexKey::Record(type.tag, key);
    absl::Status result;
    auto status =
        database.Scan(from, from.prefix(), [&](absl::string_view at, absl::string_view value) {
          const uint64_t number = LastNumber(at);
          const auto id = keyed ? DecodeNumber(value) : number;
          if (!id.has_value()) {
            result = Malformed();
            return false;
          }
          done = !visit(number, *id) || number == UINT64_MAX;
          key = number + 1;  // where to go on if the index has to be built anew
          return !done;
        });
    return done || status.ok() ? result : status;
  });
}

uint64_t Index::Count(const ObjectType& type) const {
  const auto it = state_->meta.counts.find(type.tag);
  return it == state_->meta.counts.end() ? 0 : it->second;
}

absl::StatusOr<uint64_t> Index::CountRefs(const ObjectType& type, uint64_t id) const {
  return state_->Retry([&](const Database& database) {
    return GetNumber(database, IndexKey::Refs(type.tag, id), 1);
  });
}

absl::StatusOr<Index::Owner> Index::OwnerOf(const ObjectType& type, uint64_t id) const {
  if (one_owner()) return main_owner();
  return state_->Retry([&](const Database& database) -> absl::StatusOr<Owner> {
    auto value = database.Get(IndexKey::Owner(type.tag, id));
    if (absl::IsNotFound(value.status())) return main_owner();
    if (!value.ok()) return value.status();
    const auto pair = DecodePair(*value);
    if (!pair.has_value()) return Malformed();
    return Owner{static_cast<uid_t>(pair->first), static_cast<gid_t>(pair->second)};
  });
}

Index::Owner Index::main_owner() const { return {state_->meta.uid, state_->meta.gid}; }
bool Index::one_owner() const { return state_->meta.one_owner; }

absl::StatusOr<std::optional<SavedExtent>> Index::FindExtent(const ObjectType& owner,
                                                             uint64_t owner_id,
                                                             uint64_t offset) const {
  const auto decode = [this](absl::string_view key, absl::string_view value) {
    return DecodeExtent(state_->meta, key, value);
  };
  return state_->Retry([&](const Database& database) -> absl::StatusOr<std::optional<SavedExtent>> {
    const auto at = IndexKey::Extent(owner.tag, owner_id, offset);
    auto before = database.Floor(at, at.prefix());
    if (!before.ok()) return before.status();
    if (before->has_value()) {
      const auto extent = decode((*before)->key, (*before)->value);
      if (!extent.has_value()) return Malformed();
      if (offset - extent->offset < extent->length) return extent;
    }
    std::optional<SavedExtent> found;
    bool malformed = false;
    auto status =
        database.Scan(at, at.prefix(), [&](absl::string_view key, absl::string_view value) {
          found = decode(key, value);
          malformed = !found.has_value();
          return false;
        });
    if (!status.ok()) return status;
    if (malformed) return Malformed();
    return found;
  });
}

absl::StatusOr<std::vector<SavedExtent>> Index::ListExtents(const ObjectType& owner,
                                                            uint64_t owner_id) const {
  return state_->Retry([&](const Database& database) -> absl::StatusOr<std::vector<SavedExtent>> {
    std::vector<SavedExtent> extents;
    bool malformed = false;
    const auto first = IndexKey::Extent(owner.tag, owner_id, 0);
    auto status =
        database.Scan(first, first.prefix(), [&](absl::string_view key, absl::string_view value) {
          const auto extent = DecodeExtent(state_->meta, key, value);
          malformed = !extent.has_value();
          if (!malformed) extents.push_back(*extent);
          return !malformed;
        });
    if (!status.ok()) return status;
    if (malformed) return Malformed();
    return extents;
  });
}

absl::StatusOr<uint64_t> Index::SavedBytes(const ObjectType& owner, uint64_t owner_id) const {
  return state_->Retry([&](const Database& database) {
    const auto key = owner.tag == CRFS_TAG_mm ? IndexKey::SavedInAll(owner.tag, owner_id)
                                              : IndexKey::Saved(owner.tag, owner_id);
    return GetNumber(database, key, 0);
  });
}

absl::Status Index::VerifyData(uint64_t image_offset, uint64_t length) const {
  auto checksum = [this](uint64_t chunk) -> absl::StatusOr<uint32_t> {
    return state_->Retry([chunk](const Database& database) -> absl::StatusOr<uint32_t> {
      auto block = database.Get(IndexKey::Checksums(chunk / kChecksumsInBlock));
      const uint64_t place = chunk % kChecksumsInBlock * sizeof(uint32_t);
      if (!block.ok()) return absl::AbortedError(block.status().message());
      if (place + sizeof(uint32_t) > block->size()) return Malformed();
      uint32_t value;
      std::memcpy(&value, block->data() + place, sizeof(value));
      return value;
    });
  };
  return state_->checks.Verify(image_offset, length, checksum);
}

std::string Index::identity() const { return state_->image.uuid() + state_->image.digest(); }
const std::string& Index::image_path() const { return state_->image.path(); }
int Index::image_fd() const { return state_->image.fd(); }
uint64_t Index::image_size() const { return state_->image.size(); }
uint32_t Index::format() const { return state_->image.format(); }
int64_t Index::time_ns() const { return state_->image.time_ns(); }
uint64_t Index::checkpoint_id() const { return state_->image.checkpoint_id(); }

}  // namespace crfs
