// SPDX-License-Identifier: Apache-2.0

#include "index/loaded_checkpoint.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "crfs/image.h"
#include "index/image_reader.h"
#include "index/loaded_state.h"
#include "index/open_below.h"
#include "index/verify_chunks.h"

namespace crfs {
namespace {

const ObjectType& TypeNamed(absl::string_view name) {
  const ObjectType* type = FindType(name);
  assert(type != nullptr);
  return *type;
}

// The chunks of an image that parts of a memory stand in.
void AddChunks(const SavedMemory& saved, std::set<uint64_t>& chunks) {
  const uint64_t data_offset = saved.image->state().data_offset;
  for (const LoadedExtent& part : saved.parts) {
    if (part.place != LoadedExtent::Place::kImage) continue;
    const uint64_t begin = part.file_offset - data_offset;
    const uint64_t last = (begin + part.length - 1) / CRFS_CHUNK_SIZE;
    for (uint64_t chunk = begin / CRFS_CHUNK_SIZE; chunk <= last; ++chunk) {
      chunks.insert(chunks.end(), chunk);
    }
  }
}

std::string WithoutSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

LoadedCheckpoint::LoadedCheckpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}
LoadedCheckpoint::LoadedCheckpoint(LoadedCheckpoint&&) noexcept = default;
LoadedCheckpoint& LoadedCheckpoint::operator=(LoadedCheckpoint&&) noexcept = default;
LoadedCheckpoint::~LoadedCheckpoint() = default;

absl::StatusOr<LoadedCheckpoint> LoadedCheckpoint::Open(const std::string& path,
                                                        Problems& problems) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  }
  return S_ISDIR(status.st_mode) ? FromTree(path, problems) : FromImage(path);
}

const std::string& LoadedCheckpoint::path() const { return state_->path; }
bool LoadedCheckpoint::is_image() const { return state_->is_image; }
uint64_t LoadedCheckpoint::memory_size() const { return state_->memory_size; }
const std::vector<std::string>& LoadedCheckpoint::leftovers() const { return state_->leftovers; }
const std::vector<Inherited>& LoadedCheckpoint::inherited() const { return state_->inherited; }

// ---- objects ------------------------------------------------------------------------------

std::span<const uint64_t> LoadedCheckpoint::Ids(const ObjectType& type) const {
  return state_->objects[type.index].ids;
}

std::span<const uint64_t> LoadedCheckpoint::Ids(absl::string_view type) const {
  return Ids(TypeNamed(type));
}

bool LoadedCheckpoint::Has(const ObjectType& type, uint64_t id) const {
  return std::ranges::binary_search(Ids(type), id);
}

ObjectView LoadedCheckpoint::Get(const ObjectType& type, uint64_t id) const {
  const LoadedObjects& objects = state_->objects[type.index];
  const auto found = std::ranges::lower_bound(objects.ids, id);
  assert(found != objects.ids.end() && *found == id);
  return objects.views[static_cast<size_t>(found - objects.ids.begin())];
}

ObjectView LoadedCheckpoint::Get(absl::string_view type, uint64_t id) const {
  return Get(TypeNamed(type), id);
}

std::span<const uint64_t> LoadedCheckpoint::Owned(const ObjectType& type, uint64_t owner_id) const {
  const LoadedObjects& objects = state_->objects[type.index];
  const auto owner_of = [](const ObjectView& view) { return view.OwnerId(); };
  const auto first = std::ranges::lower_bound(objects.views, owner_id, {}, owner_of);
  const auto last = std::ranges::upper_bound(objects.views, owner_id, {}, owner_of);
  return std::span(objects.ids)
      .subspan(static_cast<size_t>(first - objects.views.begin()),
               static_cast<size_t>(last - first));
}

std::span<const uint64_t> LoadedCheckpoint::Owned(absl::string_view type, uint64_t owner_id) const {
  return Owned(TypeNamed(type), owner_id);
}

std::string LoadedCheckpoint::Where(const ObjectView& object) const {
  return absl::StrCat(state_->path, is_image() ? ": " : "/", state_->PathOf(object));
}

std::string LoadedCheckpoint::Where(const ObjectView& object, absl::string_view field) const {
  const Row* row = object.type().Find(field);
  assert(row != nullptr);
  if (row->path.empty()) return Where(object);  // it is in the name of the directory
  return absl::StrCat(Where(object), "/", row->path);
}

// ---- memory -------------------------------------------------------------------------------

absl::StatusOr<LoadedMemory> LoadedCheckpoint::Memory(const ObjectView& owner) const {
  LoadedMemory memory;
  const SavedMemory* saved = state_->FindMemory(owner);
  if (saved == nullptr) return memory;
  auto file = state_->OpenMemory(saved);
  if (!file.ok()) return file.status();
  memory.fd = (*file)->get();
  memory.file = *std::move(file);
  memory.extents = saved->extents;
  return memory;
}

absl::StatusOr<LoadedMemory> LoadedCheckpoint::UnverifiedMemory(const ObjectView& owner) const {
  absl::StatusOr<LoadedMemory> memory = Memory(owner);
  const SavedMemory* saved = state_->FindMemory(owner);
  if (!memory.ok() || saved == nullptr || saved->image == nullptr) return memory;
  memory->image_fd = saved->image->state().fd.get();
  memory->extents = saved->parts;
  return memory;
}

absl::Status LoadedCheckpoint::VerifyMemory(const Progress& progress) const {
  if (is_image()) {
    std::vector<uint64_t> all(state_->checksums.size());
    std::iota(all.begin(), all.end(), 0);
    return VerifyChunks(*state_, all, progress);
  }
  std::map<const LoadedCheckpoint*, std::set<uint64_t>> images;  // the chunks that are used
  for (const auto& [owner, saved] : state_->memory) {
    if (saved.image != nullptr) AddChunks(saved, images[saved.image.get()]);
  }
  for (const auto& [image, chunks] : images) {
    const absl::Status verified =
        VerifyChunks(image->state(), {chunks.begin(), chunks.end()}, progress);
    if (!verified.ok()) return verified;
  }
  return absl::OkStatus();
}

// ---- State --------------------------------------------------------------------------------

// Messages add names to it.
LoadedCheckpoint::State::State(std::string from) : path(WithoutSlashes(std::move(from))) {
  objects.resize(ObjectTypes().size());
}

absl::Status LoadedCheckpoint::State::Add(const ObjectType& type, uint64_t id, std::string body) {
  LoadedObjects& all = objects[type.index];
  assert(all.ids.empty() || all.ids.back() < id);
  all.bodies.push_back(std::move(body));
  const auto view = ObjectView::Parse(type, id, all.bodies.back());
  if (!view.ok()) {
    all.bodies.pop_back();
    return view.status();
  }
  all.ids.push_back(id);
  all.views.push_back(*view);
  return absl::OkStatus();
}

const SavedMemory* LoadedCheckpoint::State::FindMemory(const ObjectView& owner) const {
  const auto found = memory.find({owner.type().tag, owner.id()});
  return found == memory.end() ? nullptr : &found->second;
}

absl::StatusOr<std::shared_ptr<const UniqueFd>> LoadedCheckpoint::State::OpenMemory(
    const SavedMemory* saved) const {
  if (is_image) return std::shared_ptr<const UniqueFd>(std::shared_ptr<void>(), &fd);
  auto file = OpenFileBelow(fd.get(), saved->file);
  if (!file.ok()) return WithPath(file.status(), MemoryPath(saved));
  return std::make_shared<const UniqueFd>(*std::move(file));
}

std::string LoadedCheckpoint::State::PathOf(const ObjectView& object) const {
  const ObjectType& type = object.type();
  if (const auto place = places.find({type.tag, object.id()}); place != places.end()) {
    return place->second;
  }
  std::string folder(type.place);
  if (const ObjectType* owner_type = OwnerOf(type); owner_type != nullptr) {
    const LoadedObjects& owners = objects[owner_type->index];
    const auto found = std::ranges::lower_bound(owners.ids, object.OwnerId());
    const ObjectView& owner = owners.views[static_cast<size_t>(found - owners.ids.begin())];
    folder = PathOf(owner);
    if (!type.place.empty()) absl::StrAppend(&folder, "/", type.place);
  }
  if (type.key == Key::kSingle) return folder;
  return absl::StrCat(folder, "/", object.DirectoryName());
}

}  // namespace crfs
