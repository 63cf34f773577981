// SPDX-License-Identifier: Apache-2.0
//
// Values that are written: what is taken, what is refused and how that is told.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/unique_fd.h"
#include "tests/mount/writable.h"

namespace crfs {
namespace {

class EditValuesTest : public WritableTest {
 protected:
  void SetUp() override {
    WritableTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    GenerateAndMountWritable();
  }

  std::string Thread(absl::string_view name) const {
    return At(absl::StrCat("tasks/300/threads/300/", name));
  }
};

TEST_F(EditValuesTest, AValueIsWhatWasWritten) {
  EXPECT_EQ(Put(Thread("sched/nice"), "5\n"), 0);
  EXPECT_EQ(Get(Thread("sched/nice")), "5\n");
  EXPECT_TRUE(Does("echo -7 > tasks/300/threads/300/sched/nice"));
  EXPECT_EQ(Get(Thread("sched/nice")), "-7\n");
  EXPECT_EQ(PutAndSync(Thread("regs/rip"), "0x1234\n"), 0);
  EXPECT_EQ(Get(Thread("regs/rip")), "0x1234\n");
}

TEST_F(EditValuesTest, AValueShowsInItsOneForm) {
  // Before the second stat, the kernel has heard of another size.
  EXPECT_EQ(Put(Thread("regs/rip"), "0x00001234"), 0);
  struct stat status;
  ASSERT_EQ(::stat(Thread("regs/rip").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 7);
  EXPECT_EQ(Get(Thread("regs/rip")), "0x1234\n");
  const UniqueFd open(::open(Thread("regs/rip").c_str(), O_WRONLY | O_TRUNC));
  ASSERT_EQ(::write(open.get(), "0x00005678", 10), 10);
  EXPECT_EQ(::fsync(open.get()), 0);
  ASSERT_EQ(::stat(Thread("regs/rip").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 7);
  EXPECT_EQ(PutAndSync(Thread("regs/rip"), "0x1234"), 0);
  EXPECT_TRUE(Does("cmp tasks/300/threads/300/regs/rip <(echo 0x1234)"));
}

TEST_F(EditValuesTest, NoSuchValueIsEINVAL) {
  const std::string before = Get(Thread("sched/nice"));
  EXPECT_EQ(Put(Thread("sched/nice"), "many\n"), EINVAL);
  EXPECT_EQ(Get(Thread("sched/nice")), before);
  EXPECT_NE(Xattr(Thread("sched/nice"), "user.crfs.error").find("many"), std::string::npos)
      << Xattr(Thread("sched/nice"), "user.crfs.error");
  EXPECT_EQ(PutAndSync(Thread("sched/nice"), "1 2\n"), EINVAL);
  EXPECT_EQ(Put(At("tasks/300/exit_signal"), "SIGNOTHING\n"), EINVAL);
  // A good value takes the words away.
  EXPECT_EQ(Put(Thread("sched/nice"), "3\n"), 0);
  EXPECT_EQ(Xattr(Thread("sched/nice"), "user.crfs.error"), absl::StrCat("(", ENODATA, ")"));
}

TEST_F(EditValuesTest, TooLargeIsERANGE) {
  EXPECT_EQ(Put(Thread("sched/nice"), "99999999999\n"), ERANGE);
  EXPECT_EQ(Put(Thread("regs/rip"), "0x10000000000000000\n"), ERANGE);
  EXPECT_NE(Xattr(Thread("sched/nice"), "user.crfs.error"), absl::StrCat("(", ENODATA, ")"));
}

TEST_F(EditValuesTest, WhatAnObjectIsCannotBecomeAnother) {
  const std::string id = Get(At("objects/pipe/1/id"));
  EXPECT_EQ(Put(At("objects/pipe/1/id"), "77\n"), EROFS);
  EXPECT_EQ(Put(At("objects/pipe/1/refs"), "1000\n"), EROFS);
  EXPECT_EQ(Get(At("objects/pipe/1/id")), id);
  EXPECT_EQ(Xattr(At("objects/pipe/1/id"), "user.crfs.error").empty(), false);
  // What it says already is no change.
  EXPECT_EQ(Put(At("objects/pipe/1/id"), id), 0);
  EXPECT_EQ(Put(At("objects/pipe/1/refs"), Get(At("objects/pipe/1/refs"))), 0);
}

TEST_F(EditValuesTest, WhatIsThereIsEEXIST) {
  EXPECT_EQ(Put(Thread("sched/nice"), "1\n", O_EXCL), EEXIST);
  EXPECT_EQ(::mkdir(At("tasks/300").c_str(), 0700), -1);
  EXPECT_EQ(errno, EEXIST);
  EXPECT_EQ(::symlink("x", At("tasks/300/mm").c_str()), -1);
  EXPECT_EQ(errno, EEXIST);
}

TEST_F(EditValuesTest, ProgramsSeeTheError) {
  const CommandResult echo = RunScript(
      absl::StrCat("cd ", directory(), "; /bin/echo many > tasks/300/threads/300/sched/nice"));
  EXPECT_NE(echo.status, 0);
  EXPECT_NE(echo.err.find("Invalid argument"), std::string::npos) << echo.err;
  const CommandResult cp =
      RunScript(absl::StrCat("cd ", directory(), "; echo many > ", home(), "/bad; cp ", home(),
                             "/bad tasks/300/threads/300/sched/nice"));
  EXPECT_NE(cp.status, 0);
  EXPECT_NE(cp.err.find("Invalid argument"), std::string::npos) << cp.err;
  if (!HasProgram("getfattr")) return;
  const CommandResult words = RunScript(absl::StrCat(
      "cd ", directory(), "; getfattr -n user.crfs.error tasks/300/threads/300/sched/nice"));
  EXPECT_EQ(words.status, 0) << words.err;
  EXPECT_NE(words.out.find("many"), std::string::npos) << words.out;
}

TEST_F(EditValuesTest, AFailedCloseIsToldToEachCloseUntilItIsMended) {
  const UniqueFd fd(::open(Thread("sched/nice").c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  ASSERT_TRUE(fd.valid());
  ASSERT_EQ(::write(fd.get(), "1x", 2), 2);
  EXPECT_EQ(::close(::dup(fd.get())), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::fsync(fd.get()), -1);
  EXPECT_EQ(errno, EINVAL);
  ASSERT_EQ(::pwrite(fd.get(), "12", 2, 0), 2);
  EXPECT_EQ(::fsync(fd.get()), 0);
  EXPECT_EQ(Get(Thread("sched/nice")), "12\n");
}

TEST_F(EditValuesTest, AnOpenFileSeesWhatItWroteAndOthersWhatStands) {
  ASSERT_EQ(Put(Thread("sched/nice"), "1\n"), 0);
  const UniqueFd fd(::open(Thread("sched/nice").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), "2\n", 2, 0), 2);
  char text[3] = {};
  EXPECT_EQ(::pread(fd.get(), text, 2, 0), 2);
  EXPECT_STREQ(text, "2\n");
  EXPECT_EQ(Get(Thread("sched/nice")), "1\n");
  EXPECT_EQ(::fsync(fd.get()), 0);
  EXPECT_EQ(Get(Thread("sched/nice")), "2\n");
}

TEST_F(EditValuesTest, AReaderThatStaysOpenSeesTheNewValue) {
  ASSERT_EQ(Put(Thread("sched/nice"), "1\n"), 0);
  const UniqueFd fd(::open(Thread("sched/nice").c_str(), O_RDONLY | O_CLOEXEC));
  char text[8] = {};
  EXPECT_EQ(::pread(fd.get(), text, sizeof(text), 0), 2);
  ASSERT_EQ(Put(Thread("sched/nice"), "-12\n"), 0);
  EXPECT_EQ(::pread(fd.get(), text, sizeof(text), 0), 4);
  EXPECT_STREQ(text, "-12\n");
  struct stat status;
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_size, 4);
}

TEST_F(EditValuesTest, AppendingGoesToTheEndAsItIs) {
  // The form in which it shows is longer than what the kernel saw written.
  ASSERT_EQ(Put(At("objects/file/1/path"), "/a"), 0);
  EXPECT_EQ(Put(At("objects/file/1/path"), "x", O_APPEND), EINVAL) << "a second line";
  ASSERT_EQ(Put(At("objects/pipe/1/data"), "one"), 0);
  EXPECT_TRUE(Does("cat <(printf two) >> objects/pipe/1/data"));
  EXPECT_EQ(Get(At("objects/pipe/1/data")), "onetwo");
}

TEST_F(EditValuesTest, MetadataOfFilesIsKeptAndChangesNoValue) {
  const std::string before = Get(Thread("sched/nice"));
  ASSERT_TRUE(
      Does("cd tasks/300/threads/300/sched; chmod 640 nice && chown 12:34 nice && "
           "touch -d '2001-02-03 04:05:06.789 UTC' nice && "
           "setfattr -n user.note -v mine nice"));
  for (int i = 0; i < 2; ++i) {
    struct stat status;
    ASSERT_EQ(::stat(Thread("sched/nice").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640u);
    EXPECT_EQ(status.st_uid, 12u);
    EXPECT_EQ(status.st_gid, 34u);
    EXPECT_EQ(status.st_mtim.tv_sec, 981173106);
    EXPECT_EQ(status.st_mtim.tv_nsec, 789000000);
    EXPECT_EQ(Xattr(Thread("sched/nice"), "user.note"), "mine");
    EXPECT_EQ(Get(Thread("sched/nice")), before);
    ASSERT_TRUE(Unmount());
    ASSERT_TRUE(MountWritable());
  }
  EXPECT_TRUE(IsTheImage(directory()));
}

TEST_F(EditValuesTest, TimesThatWereSetBeforeClosingStay) {
  ASSERT_TRUE(Succeeds(absl::StrCat("echo 4 > ", home(), "/nice && touch -d @1000000000 ", home(),
                                    "/nice && cp -p ", home(), "/nice ", Thread("sched/nice"))));
  struct stat status;
  ASSERT_EQ(::stat(Thread("sched/nice").c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, 1000000000);
  EXPECT_EQ(Get(Thread("sched/nice")), "4\n");
}

TEST_F(EditValuesTest, TheImageIsNeverTouched) {
  const std::string before = RunScript(absl::StrCat("sha256sum ", image())).out;
  ASSERT_TRUE(
      Does("for f in tasks/300/threads/300/regs/*; do echo 0x42 > $f || exit 1; done; "
           "p=$(find . -name pages -size +8k | head -1); printf xyz | dd of=$p conv=notrunc; "
           "rm -r objects/pipe/1; chmod 755 tasks/300"));
  ASSERT_TRUE(Unmount());
  EXPECT_EQ(RunScript(absl::StrCat("sha256sum ", image())).out, before);
  ASSERT_TRUE(Mount());
  EXPECT_NE(Get(Thread("regs/rip")), "0x42\n") << "a mount of the image alone shows no edits";
}

TEST_F(EditValuesTest, WritersAtOnce) {
  const std::vector<std::string> registers = {"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (const std::string& name : registers) {
    threads.emplace_back([&, name] {
      for (int i = 1; i < 100; ++i) {
        const std::string text = absl::StrCat("0x", i, "\n");
        if (Put(Thread("regs/" + name), text) != 0 || Get(Thread("regs/" + name)) != text) ++wrong;
        // All of them this one, too: each sees a whole value, whoever's.
        if (Put(Thread("regs/rax"), text) != 0 || Get(Thread("regs/rax")).rfind("0x", 0) != 0) {
          ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace crfs
