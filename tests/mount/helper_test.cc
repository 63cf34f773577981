// SPDX-License-Identifier: Apache-2.0
//
// mount -t crfs and fstab.

#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/mount/mounted.h"

namespace crfs {
namespace {

class HelperTest : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, for a namespace of its own";
    Generate();
  }

  // Runs a script where mount(8) finds crfs as its helper: in a mount namespace of its own,
  // with a /sbin of its own. The home for indexes is this test's.
  CommandResult RunWithHelper(const std::string& script) const {
    return RunScript(absl::StrCat(
        "export CRFS HOME=", home(), " IMAGE=", image(), " DIR=", directory(),
        "; unset XDG_CACHE_HOME; cat > ", home(), "/script <<'END'\n",
        "sbin=$(readlink -f /sbin); mkdir -p $HOME/sbin $HOME/work; ",
        "mount -t tmpfs none $HOME/work && mkdir $HOME/work/upper $HOME/work/work && ",
        "mount -t overlay -o lowerdir=$sbin,upperdir=$HOME/work/upper,workdir=$HOME/work/work "
        "none $sbin || exit 77; ",
        "for name in mount.crfs mount.fuse.crfs; do ln -s $CRFS /sbin/$name; done\n", script,
        "\nEND\nunshare -m bash ", home(), "/script"));
  }

  void ExpectWorks(const std::string& script) {
    const CommandResult result = RunWithHelper(script);
    if (result.status == 77) GTEST_SKIP() << "no overlay here: " << result.err;
    EXPECT_EQ(result.status, 0) << result.out << result.err;
  }
};

TEST_F(HelperTest, MountByType) {
  ExpectWorks(
      "mount -t crfs -o index=$HOME/index $IMAGE $DIR && findmnt -n -o FSTYPE,SOURCE $DIR | grep "
      "\"^fuse.crfs *$IMAGE\" "
      "&& ls $DIR/tasks && umount $DIR");
}

TEST_F(HelperTest, MountByFuseSubtypeAndOptions) {
  ExpectWorks(
      "mount -t fuse.crfs -o views,index=$HOME/index,noallow_other,nosuid,x-test=1 $IMAGE $DIR && "
      "ls -A $DIR | grep -x .views && umount $DIR");
}

TEST_F(HelperTest, Fstab) {
  ExpectWorks(
      "echo \"$IMAGE $DIR crfs ro,index=$HOME/index,noauto,nofail,_netdev,x-systemd.automount 0 "
      "0\" > $HOME/fstab && "
      "mount -T $HOME/fstab $DIR && ls $DIR/tasks && umount $DIR && "
      "mount -T $HOME/fstab -f $DIR && ! mountpoint -q $DIR");
}

TEST_F(HelperTest, TreesThatCanBeChanged) {
  ExpectWorks(
      "set -e; mount -t crfs -o rw,index=$HOME/index $IMAGE $DIR; ! touch $DIR/x; umount $DIR; "
      "mount -t crfs -o writable,index=$HOME/index,edits=$HOME/edits $IMAGE $DIR; touch $DIR/x; "
      "umount $DIR; "
      "echo \"none $DIR crfs new,noauto 0 0\" > $HOME/fstab; mount -T $HOME/fstab $DIR; "
      "mkdir $DIR/tasks/7; umount $DIR; mount -T $HOME/fstab $DIR; test -d $DIR/tasks/7; "
      "findmnt -n -o SOURCE,OPTIONS $DIR | grep '^none *rw'; umount $DIR");
}

TEST_F(HelperTest, WrongWordsAndFailuresHaveTheStatusOfMount) {
  ExpectWorks(
      "mount -t crfs -o nonsense $IMAGE $DIR 2> $HOME/err; test $? = 1 || exit 1; "
      "grep nonsense $HOME/err || exit 1; mount -t crfs $HOME/missing $DIR; test $? = 32");
}

}  // namespace
}  // namespace crfs
