// SPDX-License-Identifier: Apache-2.0

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/byte_stream.h"
#include "index/image_reader.h"
#include "index/loaded_state.h"

namespace crfs {
namespace {

class Loader : public ImageVisitor {
 public:
  explicit Loader(LoadedCheckpoint::State* state) : state_(state) {}

  absl::Status Object(const ObjectView& object, uint64_t) override {
    return state_->Add(object.type(), object.id(), std::string(object.body()));
  }

  absl::Status Extents(uint32_t owner_type, uint64_t owner_id,
                       std::span<const crfs_extent> extents) override {
    std::vector<LoadedExtent>& all = state_->memory[{owner_type, owner_id}].extents;
    for (const crfs_extent& extent : extents) {
      // From the beginning of the data, until it is known where that is.
      all.push_back({extent.offset, extent.length, state_->memory_size});
      state_->memory_size += extent.length;
    }
    return absl::OkStatus();
  }

  absl::Status DataBegins(uint64_t offset, uint64_t) override {
    state_->data_offset = offset;
    for (auto& [owner, memory] : state_->memory) {
      for (LoadedExtent& extent : memory.extents) extent.file_offset += offset;
    }
    return absl::OkStatus();
  }

  absl::Status Checksums(std::span<const uint32_t> checksums) override {
    state_->checksums.insert(state_->checksums.end(), checksums.begin(), checksums.end());
    return absl::OkStatus();
  }

 private:
  LoadedCheckpoint::State* state_;
};

}  // namespace

absl::StatusOr<LoadedCheckpoint> LoadedCheckpoint::FromImage(const std::string& path) {
  auto state = std::make_unique<State>(path);
  state->is_image = true;
  // Not to wait for the writer of a fifo.
  state->fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  struct stat status;
  if (!state->fd.valid() || ::fstat(state->fd.get(), &status) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  }
  if (!S_ISREG(status.st_mode)) {  // its memory is read later, and more than once
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": is no regular file: write the image to a file first"));
  }
  FdSource source(state->fd.get(), path);
  Loader loader(state.get());
  const absl::Status read = ReadImage(source, loader, {.skip_data = true});
  if (!read.ok()) return WithPath(read, path);
  return LoadedCheckpoint(std::move(state));
}

}  // namespace crfs
