// SPDX-License-Identifier: Apache-2.0
//
// Where edits are kept, whose they are, and how mounts of them begin and end.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/mount/writable.h"

namespace crfs {
namespace {

class EditFolderTest : public WritableTest {
 protected:
  void SetUp() override {
    WritableTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Generate();
  }

  std::string Command(const std::string& arguments) const {
    return absl::StrCat("crfs mount --index ", index(), " ", arguments);
  }
  std::string Kept() const { return directory() + "/.crfs-edits"; }

  void ExpectRefused(const std::string& script, int status, const std::string& words) {
    const CommandResult result = RunScript(script);
    EXPECT_EQ(result.status, status) << script;
    EXPECT_TRUE(absl::StartsWith(result.err, "crfs: ")) << result.err;
    EXPECT_NE(result.err.find(words), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find("/proc/self"), std::string::npos) << result.err;
    EXPECT_TRUE(DaemonsEnd());
  }
};

TEST_F(EditFolderTest, TheyLieBeneathTheMountAndGoOn) {
  ASSERT_TRUE(MountNew());
  ASSERT_TRUE(Does("mkdir -p tasks/7 && echo 5 > tasks/7/oom_score_adj"));
  EXPECT_FALSE(Does("ls -A | grep -q crfs-edits"));
  EXPECT_NE(::access(Kept().c_str(), F_OK), 0);
  ASSERT_TRUE(Unmount());
  EXPECT_TRUE(Daemons().empty()) << "it is gone when crfs umount returns";
  EXPECT_EQ(RunScript(absl::StrCat("ls -A ", directory())).out, ".crfs-edits\n");
  struct stat status;
  ASSERT_EQ(::stat(Kept().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
  ASSERT_TRUE(MountNew());
  EXPECT_EQ(Get(At("tasks/7/oom_score_adj")), "5\n");
  ASSERT_TRUE(Unmount());
  EXPECT_TRUE(Succeeds(absl::StrCat("rm -r ", directory(), " && mkdir ", directory())));
  ASSERT_TRUE(MountNew());
  EXPECT_NE(::access(At("tasks/7").c_str(), F_OK), 0);
}

TEST_F(EditFolderTest, TheyCanLieElsewhere) {
  const std::string edits = home() + "/edits";
  ASSERT_TRUE(MountWritable("--edits " + edits));
  ASSERT_TRUE(Does("echo 5 > tasks/300/oom_score_adj"));
  ASSERT_TRUE(Unmount());
  EXPECT_EQ(RunScript(absl::StrCat("ls -A ", directory())).out, "");
  // In another place, and by the words of mount(8).
  ASSERT_TRUE(Succeeds(absl::StrCat("cd ", home(), " && mkdir other && ",
                                    Command("-o writable,edits=edits image.crfs other"))));
  EXPECT_EQ(Get(home() + "/other/tasks/300/oom_score_adj"), "5\n");
  // Files that are there are hidden, as by each mount.
  ASSERT_TRUE(Succeeds(absl::StrCat("crfs umount ", home(), "/other && touch ", home(),
                                    "/other/file && cd ", home(), " && ",
                                    Command("--rw --edits edits image.crfs other"))));
}

TEST_F(EditFolderTest, TheMountSaysThatItIsWritable) {
  ASSERT_TRUE(MountWritable());
  const std::string list = "findmnt -n -o FSTYPE,SOURCE,OPTIONS " + directory();
  EXPECT_TRUE(absl::StartsWith(RunScript(list).out, absl::StrCat("fuse.crfs ", image(), " rw,")))
      << RunScript(list).out;
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(Succeeds(absl::StrCat("rm -r ", Kept())));
  ASSERT_TRUE(MountNew());
  EXPECT_TRUE(absl::StartsWith(RunScript(list).out, "fuse.crfs none")) << RunScript(list).out;
  EXPECT_NE(RunScript(list).out.find(" rw,"), std::string::npos);
}

TEST_F(EditFolderTest, EditsAreOfOneImageOrOfNone) {
  ASSERT_TRUE(MountWritable());
  ASSERT_TRUE(Does("echo 5 > tasks/300/oom_score_adj"));
  ASSERT_TRUE(Unmount());
  ExpectRefused(Command("--new " + directory()), 1,
                Kept() + ": holds the edits of another image, not a new one");
  ASSERT_TRUE(Succeeds(absl::StrCat("mv ", image(), " ", home(), "/moved.crfs")));
  GenerateOptions other;
  other.seed = 2;
  Generate(other);
  ExpectRefused(Command(absl::StrCat("--rw ", image(), " ", directory())), 1,
                Kept() + ": holds the edits of another image, not of this one");
  // The same image is the same wherever it lies.
  ASSERT_TRUE(Succeeds(Command(absl::StrCat("--rw ", home(), "/moved.crfs ", directory()))));
  EXPECT_EQ(Get(At("tasks/300/oom_score_adj")), "5\n");
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(Succeeds(absl::StrCat("rm -r ", Kept())));
  ASSERT_TRUE(MountNew());
  ASSERT_TRUE(Does("mkdir tasks/7"));
  ASSERT_TRUE(Unmount());
  ExpectRefused(Command(absl::StrCat("--rw ", image(), " ", directory())), 1,
                Kept() + ": holds a new tree (crfs mount --new), not of this one");
}

TEST_F(EditFolderTest, OneMountAtATime) {
  const std::string edits = home() + "/edits";
  ASSERT_TRUE(MountNew("--edits " + edits));
  const CommandResult second = RunScript(absl::StrCat(
      "mkdir ", home(), "/other; crfs mount --new --edits ", edits, " ", home(), "/other"));
  EXPECT_EQ(second.status, 1);
  EXPECT_NE(second.err.find(edits + ": another mount has these edits open"), std::string::npos)
      << second.err;
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(MountNew("--edits " + edits));
  // umount(8) does not wait for the daemon; the next mount does.
  ASSERT_TRUE(Succeeds(absl::StrCat("umount ", directory(), " && crfs mount --new --edits ", edits,
                                    " ", directory())));
}

TEST_F(EditFolderTest, WrongUsage) {
  ExpectRefused(Command("--new --rw " + directory()), 2, "--new");
  ExpectRefused(Command(absl::StrCat("--new ", image(), " ", directory())), 2, "--new DIR");
  ExpectRefused(Command("--rw " + directory()), 2, "an image and a directory");
  ExpectRefused(Command(absl::StrCat("--edits ", home(), "/e ", image(), " ", directory())), 2,
                "--edits");
  ExpectRefused(Command(absl::StrCat("-o ro --rw ", image(), " ", directory())), 2, "ro");
  ExpectRefused(Command(absl::StrCat("-o views --rw ", image(), " ", directory())), 2, "views");
  ExpectRefused(Command(absl::StrCat("--new --edits ", home(), "/missing/e ", directory())), 1,
                home() + "/missing/e");
  ASSERT_TRUE(Succeeds(absl::StrCat("touch ", directory(), "/file")));
  ExpectRefused(Command("--new " + directory()), 1, "is not empty (file)");
  ExpectRefused(Command(absl::StrCat("--rw ", image(), " ", directory())), 1,
                "is not empty (file)");
  EXPECT_EQ(RunScript("ls -A " + directory()).out, "file\n");
}

TEST_F(EditFolderTest, SignalsEndItAndNothingIsLost) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGKILL}) {
    ASSERT_TRUE(MountWritable());
    ASSERT_TRUE(Does(absl::StrCat("echo ", signal, " > tasks/300/oom_score_adj")));
    const std::vector<pid_t> daemons = Daemons();
    ASSERT_EQ(daemons.size(), 1u);
    ASSERT_EQ(::kill(daemons[0], signal), 0);
    EXPECT_TRUE(DaemonsEnd());
    if (signal == SIGKILL) {
      ASSERT_TRUE(Unmount());
    }
    EXPECT_FALSE(IsMounted(directory()));
    ASSERT_TRUE(MountWritable());
    EXPECT_EQ(Get(At("tasks/300/oom_score_adj")), absl::StrCat(signal, "\n"));
    ASSERT_TRUE(Unmount());
  }
}

TEST_F(EditFolderTest, LazyUnmountsAndOpenFiles) {
  ASSERT_TRUE(MountWritable());
  EXPECT_TRUE(Succeeds(absl::StrCat("cd ", directory(), " && exec 3> tasks/300/oom_score_adj && ",
                                    "crfs umount --lazy ", directory(), " && echo 8 >&3")));
  EXPECT_TRUE(DaemonsEnd());
  ASSERT_TRUE(MountWritable());
  EXPECT_EQ(Get(At("tasks/300/oom_score_adj")), "8\n");
}

TEST_F(EditFolderTest, InTheForeground) {
  EXPECT_TRUE(Succeeds(absl::StrCat(
      "$CRFS mount --new -f ", directory(), " & pid=$!; for i in $(seq 100); do mountpoint -q ",
      directory(), " && break; sleep 0.1; done; mkdir ", directory(),
      "/tasks/9; made=$?; kill -TERM $pid; wait $pid && exit $made")));
  ASSERT_TRUE(MountNew());
  EXPECT_TRUE(Does("test -d tasks/9"));
}

TEST_F(EditFolderTest, OfUsersOtherThanRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be someone else";
  EXPECT_TRUE(Succeeds(absl::StrCat(
      "export CRFS; chmod 666 /dev/fuse 2>/dev/null; mkdir ", home(), "/theirs; chown 65534:65534 ",
      home(), "/theirs; cat > ", home(), "/script <<'E'\nset -e\ncd ", home(),
      "/theirs\n$CRFS mount --new .\ncd $PWD\nmkdir -p tasks/5\necho 3 > tasks/5/oom_score_adj\n"
      "test $(stat -c %u tasks/5) = 65534\ncd /\n$CRFS umount ",
      home(), "/theirs\n$CRFS mount --new ", home(), "/theirs\ngrep -qx 3 ", home(),
      "/theirs/tasks/5/oom_score_adj\n$CRFS umount ", home(),
      "/theirs\nE\nsetpriv --reuid=65534 --regid=65534 --clear-groups bash ", home(), "/script")));
}

TEST_F(EditFolderTest, PermissionsAreThoseOfTheTree) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be someone else";
  ASSERT_TRUE(MountNew());
  ASSERT_TRUE(
      Does("mkdir -p tasks/5 && cd tasks/5 && echo 1 > oom_score_adj && echo SIGCHLD > "
           "exit_signal && chown 65534 . oom_score_adj && chmod 755 . && chmod 600 oom_score_adj "
           "exit_signal"));
  const std::string as = "setpriv --reuid=65534 --regid=65534 --clear-groups ";
  EXPECT_TRUE(
      Does(absl::StrCat(as, "sh -c 'echo 4 > tasks/5/oom_score_adj && mkdir tasks/5/own'")));
  EXPECT_FALSE(Does(absl::StrCat(as, "sh -c 'echo SIGINT > tasks/5/exit_signal'")));
  EXPECT_FALSE(Does(absl::StrCat(as, "mkdir tasks/6")));
  EXPECT_FALSE(Does(absl::StrCat(as, "chown 0 tasks/5/oom_score_adj")));
}

}  // namespace
}  // namespace crfs
