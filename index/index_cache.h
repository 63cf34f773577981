// SPDX-License-Identifier: Apache-2.0
//
// Where the index of one image lives, and who builds it:
//
//   DIRECTORY/NAME/       the database; appears by a rename, whole
//   DIRECTORY/NAME.tmp/   one being built, by who holds the lock; else left by a crash
//   DIRECTORY/NAME.lock   empty; its flock(2) is held while NAME is built and put in place
//
// NAME is the image's uuid and digest, so that two images never want the same place.
// Readers take no lock: an index in place does not change, and one that is replaced or
// deleted lives on for those who have it open.

#ifndef CRFS_INDEX_INDEX_CACHE_H_
#define CRFS_INDEX_INDEX_CACHE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/database.h"
#include "index/image_file.h"
#include "index/keys.h"

namespace crfs {

// $XDG_CACHE_HOME/crfs, or $HOME/.cache/crfs; empty if neither is set.
std::string DefaultIndexDirectory();

// A database that is that of the image.
struct OpenedIndex {
  std::shared_ptr<const Database> database;
  IndexMeta meta;
};

// Const calls may be made from any thread at once.
class IndexCache {
 public:
  // `directory` as in IndexOptions. FAILED_PRECONDITION if it is empty and there is no home.
  // `image` must outlive the cache.
  static absl::StatusOr<IndexCache> Create(const ImageFile* image, std::string directory,
                                           std::function<void(uint64_t, uint64_t)> progress);

  // Opens the index if there is one that fits; else waits for whoever builds it, or builds
  // it. Errors: the image's, as ReadImage gives them; or why the index cannot be kept, with
  // what to do.
  absl::StatusOr<OpenedIndex> OpenOrBuild() const;
  // Builds it anew, whatever is there.
  absl::StatusOr<OpenedIndex> Rebuild() const;

 private:
  IndexCache(const ImageFile* image, std::string directory, std::string name,
             std::function<void(uint64_t, uint64_t)> progress);
  // ABORTED if there is none that fits.
  absl::StatusOr<OpenedIndex> TryOpen() const;
  absl::StatusOr<OpenedIndex> Build(bool even_if_there) const;
  // `what` stands in the way of keeping an index.
  absl::Status Unkeepable(absl::StatusCode code, absl::string_view what) const;

  const ImageFile* image_;
  std::string directory_;
  std::string path_;  // of the database
  std::function<void(uint64_t, uint64_t)> progress_;
};

}  // namespace crfs

#endif  // CRFS_INDEX_INDEX_CACHE_H_
