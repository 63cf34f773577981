// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/test_image.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "index/image_writer.h"

namespace crfs {
namespace {

// Writes what it reads, after an edit.
class Editor : public ImageVisitor {
 public:
  Editor(ByteSink* sink, const Edit& edit) : writer_(sink), edit_(edit) {}
  absl::Status Object(const ObjectView& object, uint64_t) override {
    const auto body = edit_(object);
    return writer_.Object(object.type(), object.id(),
                          body.has_value() ? absl::string_view(*body) : object.body());
  }
  absl::Status Extents(uint32_t type, uint64_t id, std::span<const crfs_extent> extents) override {
    return writer_.Extents(type, id, extents);
  }
  absl::Status DataBegins(uint64_t, uint64_t) override { return writer_.BeginData().status(); }
  absl::Status Data(absl::string_view bytes) override { return writer_.Data(bytes); }
  absl::Status Checksums(std::span<const uint32_t>) override { return absl::OkStatus(); }
  absl::Status End(const crfs_end&) override { return writer_.Finish(); }

 private:
  ImageWriter writer_;
  const Edit& edit_;
};

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = ::testing::TempDir() + "crfs-XXXXXX";
  path_ = ::mkdtemp(name.data());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ReadFile(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
  ASSERT_TRUE(out.good()) << path;
}

std::string Generated(const GenerateOptions& options) {
  std::string image;
  StringSink sink(&image);
  const absl::Status status = GenerateImage(options, sink);
  EXPECT_TRUE(status.ok()) << status;
  return image;
}

std::string Edited(const std::string& image, const Edit& edit) {
  std::string result;
  StringSink sink(&result);
  Editor editor(&sink, edit);
  StringSource source(image);
  const absl::Status status = ReadImage(source, editor);
  EXPECT_TRUE(status.ok()) << status;
  return result;
}

Parts::Parts(const std::string& image) {
  StringSource source(image);
  const absl::Status status = ReadImage(source, *this);
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status Parts::Object(const ObjectView& object, uint64_t) {
  by_id[{object.type().tag, object.id()}] = objects.size();
  objects.emplace_back(object.type(), object.id(), std::string(object.body()));
  return absl::OkStatus();
}

absl::Status Parts::Extents(uint32_t owner_type, uint64_t owner_id,
                            std::span<const crfs_extent> some) {
  auto& all = extents[{owner_type, owner_id}];
  all.insert(all.end(), some.begin(), some.end());
  return absl::OkStatus();
}

absl::Status Parts::Data(absl::string_view bytes) {
  data.append(bytes.data(), bytes.size());
  return absl::OkStatus();
}

const ObjectView& Parts::Get(absl::string_view type, uint64_t id) const {
  return objects.at(by_id.at({FindType(type)->tag, id})).view();
}

}  // namespace crfs
