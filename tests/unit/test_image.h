// SPDX-License-Identifier: Apache-2.0
//
// Images for tests of the index and the tree: in a temporary folder, and taken apart.

#ifndef CRFS_TESTS_UNIT_TEST_IMAGE_H_
#define CRFS_TESTS_UNIT_TEST_IMAGE_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "index/image_reader.h"
#include "index/index.h"
#include "tests/generate/generate.h"

namespace crfs {

// Is removed with all that it holds.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& bytes);

std::string Generated(const GenerateOptions& options);

// What changes an object on its way into another image; it sees the object and returns the
// new body, or nullopt to keep it.
using Edit = std::function<std::optional<std::string>(const ObjectView&)>;
// The same image with other objects.
std::string Edited(const std::string& image, const Edit& edit);

// All parts of an image.
struct Parts : public ImageVisitor {
  explicit Parts(const std::string& image);

  absl::Status Object(const ObjectView& object, uint64_t offset) override;
  absl::Status Extents(uint32_t owner_type, uint64_t owner_id,
                       std::span<const crfs_extent> extents) override;
  absl::Status Data(absl::string_view bytes) override;

  const ObjectView& Get(absl::string_view type, uint64_t id) const;

  std::vector<crfs::Object> objects;  // in the image's order
  std::map<std::pair<uint32_t, uint64_t>, size_t> by_id;
  std::map<std::pair<uint32_t, uint64_t>, std::vector<crfs_extent>> extents;
  std::string data;
};

}  // namespace crfs

#endif  // CRFS_TESTS_UNIT_TEST_IMAGE_H_
