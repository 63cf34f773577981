// SPDX-License-Identifier: Apache-2.0
//
// Where memory of a mounted tree stands in the image behind the mount: the value of the
// extended attribute `user.crfs.image` of `pages`, which is not listed, as it is of no use in a
// copy. Whoever may open the image can read what was not changed from there, without the file
// system in between.

#ifndef CRFS_INDEX_IMAGE_PLACE_H_
#define CRFS_INDEX_IMAGE_PLACE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "crfs/image.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

inline constexpr char kImageXattr[] = "user.crfs.image";

struct ImagePlace {
  std::string path;   // absolute, as the process that mounted it sees it
  std::string state;  // StateOfFile() of the image when the attribute was read
  uint64_t id;        // of the object in the image; it has the type that it has in the tree
  // Pages that have been changed since, from the owner's start; ascending, apart.
  std::vector<crfs_extent> changed;
};

// Tells one file, and one version of it, from others; empty if it cannot be looked at.
std::string StateOfFile(int fd);

// Of an image that is open as `image_fd`; nullopt if nobody can find it by a path any more, or
// too much has been changed for an attribute to say.
std::optional<std::string> ImageXattr(int image_fd, uint64_t id,
                                      const std::vector<crfs_extent>& changed);
// nullopt: it is no such value.
std::optional<ImagePlace> ParseImageXattr(absl::string_view text);

// Parts `extents` of a file of a tree into those that stand in the image, as `in_image` says,
// and have not been changed, and the rest. All ascend; the extents of the result do, too, and
// those of the image have Place::kImage and their offset there.
std::vector<LoadedExtent> PartByPlace(const std::vector<LoadedExtent>& extents,
                                      const std::vector<LoadedExtent>& in_image,
                                      const std::vector<crfs_extent>& changed);

}  // namespace crfs

#endif  // CRFS_INDEX_IMAGE_PLACE_H_
