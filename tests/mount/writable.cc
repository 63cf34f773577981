// SPDX-License-Identifier: Apache-2.0

#include "tests/mount/writable.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "index/loaded_checkpoint.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

int PutWith(const std::string& path, absl::string_view text, int flags, int end(int)) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600));
  if (!fd.valid()) return errno;
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return errno;
  }
  if (end != nullptr && end(fd.get()) != 0) return errno;
  return ::close(fd.release()) == 0 ? 0 : errno;
}

std::string Failure() { return absl::StrCat("(", errno, ")"); }

}  // namespace

void WritableTest::GenerateAndMountWritable(const GenerateOptions& options) {
  Generate(options);
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_TRUE(MountWritable());
}

testing::AssertionResult WritableTest::MountWritable(const std::string& arguments) {
  return Mount(absl::StrCat("--rw ", arguments));
}

testing::AssertionResult WritableTest::MountNew(const std::string& arguments) {
  return Succeeds(absl::StrCat("crfs mount --new ", arguments, " ", directory()));
}

std::string WritableTest::At(absl::string_view path) const {
  return absl::StrCat(directory(), "/", path);
}

testing::AssertionResult WritableTest::Does(const std::string& script, int seconds) const {
  return Succeeds(absl::StrCat("cd ", directory(), " || exit 1\n", script), seconds);
}

testing::AssertionResult WritableTest::IsTheImage(const std::string& tree) const {
  Problems problems;
  const auto loaded = LoadedCheckpoint::FromTree(tree, problems);
  if (!loaded.ok()) return testing::AssertionFailure() << loaded.status();
  if (!problems.empty()) return testing::AssertionFailure() << absl::StrJoin(problems, "\n");
  const absl::Status status = WriteCheckpoint(*loaded, home() + "/again.crfs");
  if (!status.ok()) return testing::AssertionFailure() << status;
  return Succeeds(
      absl::StrCat("cmp ", image(), " ", home(), "/again.crfs && crfs diff ", image(), " ", tree));
}

int Put(const std::string& path, absl::string_view text, int flags) {
  return PutWith(path, text, flags, nullptr);
}

int Put(const std::string& path, absl::string_view text) { return Put(path, text, O_TRUNC); }

int PutAndSync(const std::string& path, absl::string_view text) {
  return PutWith(path, text, O_TRUNC, &::fsync);
}

std::string Get(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return Failure();
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(fd.get(), buffer, sizeof(buffer))) != 0;) {
    if (got < 0) return Failure();
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

std::string Xattr(const std::string& path, const std::string& name) {
  char value[4096];
  const ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value, sizeof(value));
  return size < 0 ? Failure() : std::string(value, static_cast<size_t>(size));
}

}  // namespace crfs
