// SPDX-License-Identifier: Apache-2.0
//
// The programs with which people change trees.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/mount/writable.h"

namespace crfs {
namespace {

class EditToolsTest : public WritableTest {
 protected:
  void SetUp() override {
    WritableTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Generate({.tasks = 3});
    if (HasFatalFailure()) return;
    // What tools copy from.
    ASSERT_TRUE(Succeeds(absl::StrCat("mkdir ", source(), " && crfs mount --index ", index(), " ",
                                      image(), " ", source())));
  }

  std::string source() const { return home() + "/source"; }
  std::string Nice() const { return At("tasks/300/threads/300/sched/nice"); }
};

TEST_F(EditToolsTest, RsyncRenamesScratchNames) {
  if (!HasProgram("rsync")) GTEST_SKIP();
  ASSERT_TRUE(MountNew());
  ASSERT_TRUE(Succeeds(absl::StrCat("rsync -a ", source(), "/ ", directory(), "/")));
  EXPECT_TRUE(IsTheImage(directory()));
  // Nothing is left to do: sizes and times are those of the source.
  EXPECT_TRUE(
      PrintsNothing(absl::StrCat("rsync -a --itemize-changes ", source(), "/ ", directory(), "/")));
}

TEST_F(EditToolsTest, RsyncIsToldOfWrongValues) {
  if (!HasProgram("rsync")) GTEST_SKIP();
  ASSERT_TRUE(MountWritable());
  const std::string before = Get(Nice());
  const CommandResult result =
      RunScript(absl::StrCat("echo many > ", home(), "/nice; rsync ", home(), "/nice ", Nice()));
  EXPECT_NE(result.status, 0);
  EXPECT_NE(result.err.find("Invalid argument"), std::string::npos) << result.err;
  EXPECT_EQ(Get(Nice()), before);
}

TEST_F(EditToolsTest, RsyncInplaceAndDelete) {
  if (!HasProgram("rsync")) GTEST_SKIP();
  ASSERT_TRUE(MountNew());
  ASSERT_TRUE(Succeeds(absl::StrCat("rsync -a --inplace ", source(), "/ ", directory(), "/")));
  EXPECT_TRUE(IsTheImage(directory()));
  ASSERT_TRUE(
      Does("echo 9 > tasks/300/threads/300/sched/nice; touch leftover tasks/300/leftover; "
           "mkdir objects/pipe/999; rm -r objects/file/1; rm tasks/304/oom_score_adj; "
           "ln -sfn ../../objects/mm/2 tasks/300/mm"));
  ASSERT_TRUE(Succeeds(absl::StrCat("rsync -a --delete ", source(), "/ ", directory(), "/")));
  EXPECT_TRUE(IsTheImage(directory()));
  EXPECT_TRUE(Succeeds(absl::StrCat("diff -r --no-dereference ", source(), " ", directory())));
}

// Scratch files of an rsync that was killed stand in nobody's way, and are named.
TEST_F(EditToolsTest, RsyncThatIsInterrupted) {
  if (!HasProgram("rsync")) GTEST_SKIP();
  ASSERT_TRUE(MountNew());
  EXPECT_TRUE(Succeeds(
      absl::StrCat("for delay in 0.05 0.1 0.2 0.3; do rsync -a ", source(), "/ ", directory(),
                   "/ & sleep $delay; kill -9 $! 2>/dev/null; wait $! 2>/dev/null; done; true")));
  ASSERT_TRUE(Does("mkdir -p tasks/300 && touch tasks/300/.oom_score_adj.aB3dE6"));
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(MountNew());
  ASSERT_TRUE(Succeeds(absl::StrCat("rsync -a ", source(), "/ ", directory(), "/")));
  EXPECT_TRUE(Does("test -e tasks/300/.oom_score_adj.aB3dE6"));
  EXPECT_TRUE(IsTheImage(directory()));
  const CommandResult diff = RunScript(absl::StrCat("crfs diff ", image(), " ", directory()));
  EXPECT_EQ(diff.status, 0);
  EXPECT_NE(diff.err.find("tasks/300/.oom_score_adj.aB3dE6: is no file of a tree"),
            std::string::npos)
      << diff.err;
}

// tar, and cp in directories that it has made, open with O_EXCL.
TEST_F(EditToolsTest, NobodyHasSetWhatNobodyWrote) {
  ASSERT_TRUE(MountNew());
  ASSERT_TRUE(Does("mkdir -p tasks/300/threads/300"));
  EXPECT_EQ(Put(At("tasks/300/oom_score_adj"), "1\n", O_EXCL), 0);
  EXPECT_EQ(Put(At("tasks/300/oom_score_adj"), "2\n", O_EXCL), EEXIST);
  const std::string tar = absl::StrCat("timeout 30 tar -C ", source(),
                                       " -cf - . | timeout 30 tar -C ", directory(), " -xpf -");
  ASSERT_TRUE(Succeeds(tar));
  EXPECT_TRUE(IsTheImage(directory()));
  // And again, over values that are set.
  ASSERT_TRUE(Succeeds(tar));
  EXPECT_TRUE(IsTheImage(directory()));
}

// A value that is not there is the default (docs/tree.md), for an image that is made of it.
TEST_F(EditToolsTest, UnlinkBringsTheDefaultBack) {
  ASSERT_TRUE(MountNew());
  ASSERT_TRUE(Succeeds(absl::StrCat("cp -a ", source(), "/. ", directory(), "/")));
  const std::string made =
      absl::StrCat(home(), "/made.crfs; rm -f $m; crfs commit -o $m ", directory(),
                   " && crfs show --index ", index(), " $m objects/file/1/owner_pid");
  EXPECT_TRUE(Does("echo 17 > objects/file/1/owner_pid"));
  EXPECT_EQ(RunScript("m=" + made).out, "17\n");
  EXPECT_TRUE(Does("rm objects/file/1/owner_pid && ! test -e objects/file/1/owner_pid"));
  EXPECT_EQ(RunScript("m=" + made).out, "0\n");
  // The same over an image, whose value does not come back.
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(Succeeds(absl::StrCat("rm -r ", directory(), "/.crfs-edits")));
  ASSERT_TRUE(MountWritable());
  EXPECT_TRUE(Does("rm objects/file/1/owner_pid && ! test -e objects/file/1/owner_pid"));
  EXPECT_EQ(RunScript("m=" + made).out, "0\n");
}

TEST_F(EditToolsTest, CpAndMkdirGiveTheModesThatTheyAreTold) {
  ASSERT_TRUE(MountNew());
  ASSERT_TRUE(
      Does("umask 027; mkdir plain; mkdir -m 701 told; touch file; mkdir -p a/b/c; "
           "install -m 640 /dev/null installed"));
  const auto mode = [this](const char* path) {
    struct stat status = {};
    EXPECT_EQ(::lstat(At(path).c_str(), &status), 0) << path;
    return status.st_mode & 07777;
  };
  EXPECT_EQ(mode("plain"), 0750u);
  EXPECT_EQ(mode("told"), 0701u);
  EXPECT_EQ(mode("file"), 0640u);
  EXPECT_EQ(mode("a/b/c"), 0750u);
  EXPECT_EQ(mode("installed"), 0640u);
  const std::string list =
      "find . -mindepth 1 \\( -type l -o -printf '%P %m %U %G %T@\\n' \\) | sort";
  for (const char* copy : {"cp -a $from/. $to/", "rsync -a $from/ $to/",
                           "tar -C $from --format=posix -cf - . | tar -C $to -xpf -"}) {
    ASSERT_TRUE(Does("rm -rf -- *"));
    ASSERT_TRUE(
        Succeeds(absl::StrCat("umask 077; from=", source(), " to=", directory(), "; ", copy)))
        << copy;
    EXPECT_TRUE(Succeeds(
        absl::StrCat("diff <(cd ", source(), "; ", list, ") <(cd ", directory(), "; ", list, ")")))
        << copy;
  }
}

TEST_F(EditToolsTest, SedAndEditors) {
  ASSERT_TRUE(MountWritable());
  ASSERT_TRUE(
      Does("printf '/tmp/old' > objects/file/1/path && sed -i s/old/new/ "
           "objects/file/1/path"));
  EXPECT_EQ(Get(At("objects/file/1/path")), "/tmp/new\n");
  if (HasProgram("ed")) {
    EXPECT_TRUE(Does("printf 's/new/ed/\\nw\\nq\\n' | ed -s objects/file/1/path"));
    EXPECT_EQ(Get(At("objects/file/1/path")), "/tmp/ed\n");
  }
  if (HasProgram("vim")) {
    for (const char* way : {"yes", "no", "auto"}) {
      EXPECT_TRUE(Does(absl::StrCat("vim -es -u NONE --cmd 'set backupcopy=", way,
                                    " writebackup' -c '%s,/tmp/.*,/tmp/", way,
                                    ",' -c wq objects/file/1/path </dev/null")));
      EXPECT_EQ(Get(At("objects/file/1/path")), absl::StrCat("/tmp/", way, "\n"));
    }
  }
  // As most editors do it: a new file, synced, in place of the old.
  EXPECT_TRUE(Does(
      "python3 - <<'E'\nimport os\nold = 'objects/file/1/path'\nnew = old + '.tmp'\n"
      "with open(new, 'x') as f:\n  f.write('/tmp/python\\n'); f.flush(); os.fsync(f.fileno())\n"
      "os.chmod(new, os.stat(old).st_mode & 0o7777)\nos.replace(new, old)\n"
      "d = os.open('objects/file/1', os.O_RDONLY); os.fsync(d)\nE"));
  EXPECT_EQ(Get(At("objects/file/1/path")), "/tmp/python\n");
  const CommandResult diff = RunScript(absl::StrCat("crfs diff ", image(), " ", directory()));
  EXPECT_EQ(diff.out.find("objects/file/1/path: "), 0u) << diff.out;
  EXPECT_EQ(diff.out.find('\n'), diff.out.size() - 1) << diff.out;
}

TEST_F(EditToolsTest, RenamesAreCheckedAndRefusedInWhole) {
  ASSERT_TRUE(MountWritable());
  const std::string before = Get(Nice());
  EXPECT_TRUE(
      Does("cd tasks/300/threads/300/sched; echo many > .scratch; ! mv .scratch nice && "
           "test -e .scratch"));
  EXPECT_EQ(Get(Nice()), before);
  EXPECT_TRUE(
      Does("cd tasks/300/threads/300/sched; echo 6 > .scratch; mv .scratch nice && "
           "! test -e .scratch"));
  EXPECT_EQ(Get(Nice()), "6\n");
  struct stat status;
  ASSERT_EQ(::stat(Nice().c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 2);
  // In another form than the one in which it shows.
  EXPECT_TRUE(
      Does("cd tasks/300/threads/300/regs; echo 0x0042 > .rip; stat .rip >/dev/null; "
           "mv .rip rip; test $(stat -c %s rip) = 5 && grep -qx 0x42 rip"));
  EXPECT_TRUE(
      Does("cd tasks/300/threads/300/sched; echo 7 > .scratch; mv -n .scratch nice; "
           "grep -qx 6 nice"));
}

TEST_F(EditToolsTest, LinksBeforeTheirTargetsAndElsewhere) {
  ASSERT_TRUE(MountWritable());
  EXPECT_TRUE(
      Does("ln -sfn ../../objects/mm/7777 tasks/300/mm && "
           "test $(readlink tasks/300/mm) = ../../objects/mm/7777"));
  EXPECT_TRUE(Does("cat tasks/300/mm/brk; test $? = 1"));
  EXPECT_TRUE(Does("ln -sfn ../../objects/mm/2 tasks/300/mm && cat tasks/300/mm/brk"));
  EXPECT_TRUE(
      Does("ln -sfn ../../objects/mm/1 tasks/300/mm && "
           "test tasks/300/mm -ef objects/mm/1"));
  EXPECT_TRUE(Does("rm tasks/300/mm && ! readlink tasks/300/mm"));
  EXPECT_TRUE(Does("ln -s ../../objects/mm/1 tasks/300/mm"));
}

TEST_F(EditToolsTest, RmOfObjects) {
  ASSERT_TRUE(MountWritable());
  // A descriptor, as one does who wants the program not to have it; then all of a table.
  const CommandResult first =
      RunScript(absl::StrCat("cd ", directory(), "; ls -d objects/fdtable/1/[0-9]* | head -1"));
  const std::string descriptor = first.out.substr(0, first.out.find('\n'));
  ASSERT_NE(descriptor, "");
  EXPECT_TRUE(Does(absl::StrCat("rm -r ", descriptor, " && ! test -e ", descriptor)));
  EXPECT_TRUE(Does("rm -r objects/fdtable/1 && ! test -e objects/fdtable/1"));
  EXPECT_TRUE(Does("rmdir objects/sighand && exit 1; test -d objects/sighand"));
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(MountWritable());
  EXPECT_TRUE(Does("! test -e objects/fdtable/1"));
  // And back again.
  EXPECT_TRUE(Succeeds(
      absl::StrCat("cp -a ", source(), "/objects/fdtable/1 ", directory(), "/objects/fdtable/")));
  EXPECT_TRUE(IsTheImage(directory()));
}

// What has been taken away of an image stays away when its folder is made again.
TEST_F(EditToolsTest, FoldersThatAreMadeAgainAreEmpty) {
  ASSERT_TRUE(MountWritable());
  EXPECT_TRUE(Does("rm -r objects/pipe && mkdir objects/pipe && test -z \"$(ls objects/pipe)\""));
  EXPECT_TRUE(Does("rm -r objects && mkdir objects && test -z \"$(ls objects)\""));
  EXPECT_TRUE(
      Does("rm -r tasks/300/threads && mkdir tasks/300/threads && "
           "test -z \"$(ls tasks/300/threads)\""));
  EXPECT_TRUE(Does("rm -r tasks/300 && mkdir tasks/300 && test -z \"$(ls tasks/300)\""));
  EXPECT_TRUE(Does("rm -rf -- * && test -z \"$(ls)\""));
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(MountWritable());
  EXPECT_TRUE(Does("test -z \"$(ls)\""));
  EXPECT_TRUE(Succeeds(absl::StrCat("cp -a ", source(), "/. ", directory(), "/")));
  EXPECT_TRUE(IsTheImage(directory()));
}

TEST_F(EditToolsTest, TruncateAndAppend) {
  ASSERT_TRUE(MountWritable());
  EXPECT_TRUE(
      Does("cd objects/pipe/1; printf 12345 > data; truncate -s 3 data; "
           "test \"$(cat data)\" = 123; printf 45 >> data; test \"$(cat data)\" = 12345; "
           "truncate -s 0 data; test $(stat -c %s data) = 0"));
  EXPECT_TRUE(
      Does("echo hello > note; cat note note >> note2; truncate -s 20 note2; "
           "test $(stat -c %s note2) = 20; printf x >> note2; test $(wc -c < note2) = 21"));
}

TEST_F(EditToolsTest, WhatNoTreeHasIsRefused) {
  ASSERT_TRUE(MountWritable());
  EXPECT_EQ(::link(Nice().c_str(), At("hard").c_str()), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::mkfifo(At("fifo").c_str(), 0600), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::mknod(At("regular").c_str(), S_IFREG | 0600, 0), 0);
  EXPECT_TRUE(Does("test -f regular && echo x > regular && rm regular"));
  EXPECT_EQ(::rename(At("objects").c_str(), At("tasks/300/objects").c_str()), -1);
  EXPECT_EQ(errno, EXDEV);
  EXPECT_TRUE(Does("test -d objects/mm/1"));
  EXPECT_TRUE(Does("! setfattr -n user.crfs.id -v 7 objects/mm/1"));
}

TEST_F(EditToolsTest, AttributesOfFiles) {
  if (!HasProgram("setfattr")) GTEST_SKIP();
  ASSERT_TRUE(MountWritable());
  EXPECT_TRUE(
      Does("cd tasks/300; f=oom_score_adj; setfattr -n user.a -v 1 $f && "
           "setfattr -n user.b -v 2 $f && setfattr -n user.a -v 3 $f && "
           "setfattr -x user.b $f && test $(getfattr --only-values -n user.a $f) = 3 && "
           "getfattr -d $f | grep -q '^user.a=\"3\"' && ! getfattr -n user.b $f && "
           "! setfattr -x user.b $f"));
  EXPECT_TRUE(
      Does("python3 - <<'E'\nimport os, errno\nf = 'tasks/300/oom_score_adj'\n"
           "def fails(e, *a):\n  try: os.setxattr(*a)\n"
           "  except OSError as x: assert x.errno == e, x\n  else: assert False\n"
           "fails(errno.EEXIST, f, 'user.a', b'1', os.XATTR_CREATE)\n"
           "fails(errno.ENODATA, f, 'user.c', b'1', os.XATTR_REPLACE)\n"
           "fails(errno.EOPNOTSUPP, f, 'security.x', b'1')\nE"));
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(MountWritable());
  EXPECT_EQ(Xattr(At("tasks/300/oom_score_adj"), "user.a"), "3");
}

TEST_F(EditToolsTest, FilesThatAreUnlinkedWhileOpen) {
  ASSERT_TRUE(MountWritable());
  EXPECT_TRUE(
      Does("exec 3<> note; echo kept >&3; rm note; test \"$(cat < /proc/self/fd/3)\" = kept "
           "|| test \"$(dd if=/dev/fd/3 status=none)\" = kept; echo new > note; "
           "test $(cat note) = new"));
  EXPECT_TRUE(
      Does("python3 - <<'E'\nimport os\nf = os.open('u', os.O_RDWR | os.O_CREAT, 0o600)\n"
           "os.write(f, b'abc'); os.unlink('u')\nassert os.fstat(f).st_size == 3\n"
           "assert os.pread(f, 3, 0) == b'abc'\nos.close(f)\n"
           "assert not os.path.exists('u')\nE"));
}

TEST_F(EditToolsTest, MappingsOutliveTheirDescriptors) {
  ASSERT_TRUE(MountNew());
  EXPECT_TRUE(
      Does("python3 - <<'E'\nimport mmap, os\nf = os.open('note', os.O_RDWR | os.O_CREAT, 0o600)\n"
           "os.write(f, b'.' * 9000)\nm = mmap.mmap(f, 9000)\nos.close(f)\n"
           "m[5000:5004] = b'kept'\nm.close()\nE"));
  EXPECT_TRUE(Does("test $(grep -c kept note) = 1"));
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(MountNew());
  EXPECT_TRUE(Does("test $(grep -c kept note) = 1 && test $(stat -c %s note) = 9000"));
}

TEST_F(EditToolsTest, SpaceIsThatOfTheDisk) {
  ASSERT_TRUE(MountNew());
  EXPECT_TRUE(Succeeds(absl::StrCat("test $(df --output=size ", directory(),
                                    " | tail -1) = $(df "
                                    "--output=size ",
                                    home(), " | tail -1)")));
}

}  // namespace
}  // namespace crfs
