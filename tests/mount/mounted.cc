// SPDX-License-Identifier: Apache-2.0

#include "tests/mount/mounted.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "index/byte_stream.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

// Mountpoints at or below a directory, the latest first.
std::vector<std::string> MountsBelow(const std::string& directory) {
  std::vector<std::string> found;
  std::ifstream table("/proc/self/mountinfo");
  for (std::string line; std::getline(table, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    if (fields.size() > 4 &&
        (fields[4] == directory || absl::StartsWith(fields[4], directory + "/"))) {
      found.insert(found.begin(), fields[4]);
    }
  }
  return found;
}

// Others who make mount namespaces meanwhile (guests, containers) would get a copy of our
// mounts and keep their daemons alive. In a namespace of our own nobody sees them, and
// whatever a crash leaves mounted goes with it. Users other than root do without.
class PrivateMounts : public testing::Environment {
 public:
  void SetUp() override {
    if (::unshare(CLONE_NEWNS) == 0) ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  }
};

[[maybe_unused]] testing::Environment* const private_mounts =
    testing::AddGlobalTestEnvironment(new PrivateMounts);

}  // namespace

void MountTest::SetUp() {
  const UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!device.valid()) {
    if (std::getenv("CRFS_TESTS_NO_SKIP") != nullptr) FAIL() << "/dev/fuse cannot be opened";
    GTEST_SKIP() << "/dev/fuse cannot be opened: nothing is mounted here";
  }
  ASSERT_NE(std::getenv("CRFS"), nullptr) << "CRFS is to name the program under test";
  // Owners of a tree are not this test's user, so all may pass through.
  std::string home = testing::TempDir() + "crfs-mount-XXXXXX";
  ASSERT_NE(::mkdtemp(home.data()), nullptr);
  ASSERT_EQ(::chmod(home.c_str(), 0755), 0);
  home_ = home;
  ASSERT_EQ(::mkdir(directory().c_str(), 0755), 0);
}

void MountTest::TearDown() {
  if (home_.empty()) return;
  for (const std::string& mount : MountsBelow(home_)) {
    if (::umount2(mount.c_str(), MNT_DETACH) != 0) {
      RunScript(absl::StrCat("fusermount3 -uz ", mount));
    }
  }
  EXPECT_TRUE(MountsBelow(home_).empty()) << "left mounted below " << home_;
  EXPECT_TRUE(DaemonsEnd()) << "a daemon outlives its mount";
  RunScript(absl::StrCat("rm -rf --one-file-system ", home_));
}

void MountTest::Generate(const GenerateOptions& options) {
  absl::StatusOr<NewFile> file = NewFile::Create(image());
  ASSERT_TRUE(file.ok()) << file.status();
  const absl::Status generated = GenerateImage(options, *file);
  ASSERT_TRUE(generated.ok()) << generated;
  const absl::Status committed = file->Commit();
  ASSERT_TRUE(committed.ok()) << committed;
}

testing::AssertionResult MountTest::Mount(const std::string& arguments) {
  return Succeeds(
      absl::StrCat("crfs mount --index ", index(), " ", arguments, " ", image(), " ", directory()));
}

void MountTest::GenerateAndMount(const GenerateOptions& options) {
  Generate(options);
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_TRUE(Mount());
}

testing::AssertionResult MountTest::Unmount() {
  return Succeeds(absl::StrCat("crfs umount ", directory()));
}

bool MountTest::IsMounted(const std::string& directory) {
  const std::vector<std::string> mounts = MountsBelow(directory);
  return !mounts.empty() && mounts.back() == directory;
}

std::vector<pid_t> MountTest::Daemons() const {
  // Found by their arguments, which hold the name of a directory that is this test's alone.
  std::vector<pid_t> found;
  const CommandResult processes = RunScript("cd /proc && ls -d [0-9]*");
  for (const absl::string_view name : absl::StrSplit(processes.out, '\n', absl::SkipEmpty())) {
    std::ifstream file(absl::StrCat("/proc/", name, "/cmdline"));
    std::stringstream text;
    text << file.rdbuf();
    const std::vector<std::string> arguments = absl::StrSplit(text.str(), '\0');
    pid_t pid = 0;
    if (arguments.size() > 2 && arguments[1] == "mount" && absl::StrContains(text.str(), home_) &&
        absl::SimpleAtoi(name, &pid)) {
      found.push_back(pid);
    }
  }
  return found;
}

bool MountTest::DaemonsEnd() const {
  for (int i = 0; i < 100; ++i) {
    if (Daemons().empty()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

}  // namespace crfs
