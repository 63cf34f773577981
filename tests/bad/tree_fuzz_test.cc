// SPDX-License-Identifier: Apache-2.0
//
// Trees that chance has spoiled: whatever it does, reading one ends, says what is wrong in
// terms of files, or gives an image that is right.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "index/loaded_checkpoint.h"
#include "index/verify.h"
#include "tests/bad/scratch_tree.h"
#include "tests/generate/values.h"

namespace crfs {
namespace {

namespace fs = std::filesystem;

class Spoiler {
 public:
  Spoiler(const std::string& root, uint64_t seed) : root_(root), random_(seed) {
    for (const auto& entry : fs::recursive_directory_iterator(root)) paths_.push_back(entry.path());
  }

  void Spoil() {
    const fs::path path = Any();
    std::error_code error;  // chance may have removed what is above it
    const bool is_file = fs::is_regular_file(fs::symlink_status(path, error));
    switch (random_.Below(10)) {
      case 0:
        fs::remove_all(path, error);
        break;
      case 1:
        if (is_file) Truncate(path);
        break;
      case 2:
        if (is_file) Flip(path);
        break;
      case 3:
        if (is_file) std::ofstream(path) << Noise();
        break;
      case 4:
        fs::remove_all(path, error);
        fs::create_symlink(Target(), path, error);
        break;
      case 5:
        fs::rename(path, path.parent_path() / Name(), error);
        break;
      case 6:
        fs::remove_all(path, error);
        fs::rename(Any(), path, error);
        break;
      case 7:
        fs::remove_all(path, error);
        ::mkfifo(path.c_str(), 0600);
        break;
      case 8:
        fs::copy(Any(), path.parent_path() / Name(),
                 fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
        break;
      default:
        fs::remove_all(path, error);
        fs::create_directory(path, error);
        break;
    }
  }

 private:
  fs::path Any() { return paths_[random_.Below(paths_.size())]; }

  std::string Noise() {
    std::string bytes(random_.Below(40), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_.Next());
    return bytes;
  }

  std::string Name() {
    static constexpr const char* kNames[] = {"1",
                                             "2",
                                             "0",
                                             "18446744073709551616",
                                             "id",
                                             "pages",
                                             "SIGUSR1",
                                             "00001000-00002000",
                                             "x~",
                                             ".x",
                                             "4294967295",
                                             "ffffffffffffffff-0",
                                             "mm",
                                             "file",
                                             "17592186044416",
                                             "00000000-ffffffff"};
    return kNames[random_.Below(std::size(kNames))];
  }

  std::string Target() {
    if (random_.OneIn(4)) return "/dev/zero";
    std::string target;
    for (uint64_t up = random_.Below(6); up > 0; --up) target += "../";
    return target +
           (random_.OneIn(2) ? "objects/file/" + Name() : fs::relative(Any(), root_).string());
  }

  void Truncate(const fs::path& path) {
    ::truncate(path.c_str(), static_cast<off_t>(random_.Below(1 << 20)));
  }

  void Flip(const fs::path& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const auto size = fs::file_size(path);
    if (size == 0) return;
    file.seekp(static_cast<std::streamoff>(random_.Below(size)));
    file.put(static_cast<char>(random_.Next()));
  }

  const std::string root_;
  Random random_;
  std::vector<fs::path> paths_;
};

uint64_t Rounds() {
  const char* rounds = std::getenv("CRFS_FUZZ_ROUNDS");
  return rounds == nullptr ? 60 : std::strtoull(rounds, nullptr, 10);
}

TEST(TreeFuzzTest, EveryTreeIsRightOrSaysWhatIsWrong) {
  for (const bool links : {true, false}) {
    ScratchTree tree({.links = links});
    uint64_t right = 0;
    for (uint64_t seed = 1; seed <= Rounds(); ++seed) {
      tree.Reset();
      Spoiler spoiler(tree.path(), seed);
      for (uint64_t i = 0; i <= seed % 8; ++i) spoiler.Spoil();
      Problems problems;
      const auto loaded = LoadedCheckpoint::FromTree(tree.path(), problems);
      ASSERT_TRUE(loaded.ok()) << loaded.status();
      for (const std::string& problem : problems) {
        ASSERT_TRUE(absl::StartsWith(problem, tree.path())) << problem;
      }
      if (!problems.empty() || !loaded->inherited().empty()) continue;
      ++right;
      const std::string image = tree.path() + ".crfs";
      const absl::Status status = WriteCheckpoint(*loaded, image);
      ASSERT_TRUE(status.ok()) << "seed " << seed << ": " << status;
      const absl::Status verified = VerifyImage(image, nullptr);
      ASSERT_TRUE(verified.ok()) << "seed " << seed << ": " << verified;
    }
    EXPECT_GT(right, 0u);
  }
}

}  // namespace
}  // namespace crfs
