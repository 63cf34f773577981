// SPDX-License-Identifier: Apache-2.0
//
// How mounts begin and end.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/mount/mounted.h"

namespace crfs {
namespace {

class LifetimeTest : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Generate();
  }

  // The one daemon that there is.
  pid_t Daemon() const {
    const std::vector<pid_t> daemons = Daemons();
    EXPECT_EQ(daemons.size(), 1u);
    return daemons.empty() ? -1 : daemons[0];
  }

  std::string MountCommand(const std::string& arguments = "") const {
    return absl::StrCat("crfs mount --index ", index(), " ", arguments, " ", image(), " ",
                        directory());
  }
};

TEST_F(LifetimeTest, TheDaemonIsItsOwnSessionWithoutTerminalOrDirectory) {
  // Run waits until nobody holds its pipes, so the daemon has let go of them.
  ASSERT_TRUE(Mount());
  const pid_t daemon = Daemon();
  ASSERT_GT(daemon, 0);
  EXPECT_EQ(::getsid(daemon), daemon);
  EXPECT_EQ(RunScript(absl::StrCat("readlink /proc/", daemon, "/cwd /proc/", daemon, "/fd/0 /proc/",
                                   daemon, "/fd/1 /proc/", daemon, "/fd/2"))
                .out,
            "/\n/dev/null\n/dev/null\n/dev/null\n");
  EXPECT_TRUE(Unmount());
  EXPECT_FALSE(IsMounted(directory()));
  EXPECT_TRUE(DaemonsEnd());
}

TEST_F(LifetimeTest, SignalsUnmount) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    ASSERT_TRUE(Mount());
    const pid_t daemon = Daemon();
    ASSERT_GT(daemon, 0);
    ASSERT_EQ(::kill(daemon, signal), 0);
    EXPECT_TRUE(DaemonsEnd()) << signal;
    EXPECT_FALSE(IsMounted(directory())) << signal;
  }
}

TEST_F(LifetimeTest, SignalsUnmountEvenIfInUse) {
  ASSERT_TRUE(Mount());
  EXPECT_TRUE(
      Succeeds(absl::StrCat("cd ", directory(), " && kill -TERM ", Daemon(),
                            "; for i in $(seq 100); do stat -f . >/dev/null 2>&1 || exit 0; "
                            "sleep 0.1; done; exit 1")));
  EXPECT_TRUE(DaemonsEnd());
  EXPECT_FALSE(IsMounted(directory()));
}

TEST_F(LifetimeTest, ForegroundStaysAndEndsWithZero) {
  for (const char* flag : {"--foreground", "-f", "-o foreground"}) {
    // The same process, so the same pid, all the way.
    EXPECT_TRUE(
        Succeeds(absl::StrCat("$CRFS mount --index ", index(), " ", flag, " ", image(), " ",
                              directory(), " & pid=$!; for i in $(seq 100); do test -e ",
                              directory(), "/tasks && break; sleep 0.1; done; test -e ",
                              directory(), "/tasks || exit 9; kill -TERM $pid; wait $pid")));
    EXPECT_FALSE(IsMounted(directory()));
  }
  // Ended by umount it is well, too.
  EXPECT_TRUE(Succeeds(absl::StrCat("$CRFS mount --index ", index(), " -f ", image(), " ",
                                    directory(), " & pid=$!; for i in $(seq 100); do test -e ",
                                    directory(), "/tasks && break; sleep 0.1; done; crfs umount ",
                                    directory(), " && wait $pid")));
}

TEST_F(LifetimeTest, UmountOfABusyMountSaysSo) {
  ASSERT_TRUE(Mount());
  const CommandResult busy =
      RunScript(absl::StrCat("cd ", directory(), " && crfs umount ", directory()));
  EXPECT_EQ(busy.status, 1);
  EXPECT_NE(busy.err.find("is in use"), std::string::npos) << busy.err;
  EXPECT_NE(busy.err.find("fuser -vm"), std::string::npos) << busy.err;
  EXPECT_TRUE(IsMounted(directory()));
  EXPECT_TRUE(Succeeds(absl::StrCat("cd ", directory(), " && crfs umount --lazy ", directory(),
                                    " && ls . | grep -q tasks")));
  EXPECT_FALSE(IsMounted(directory()));
  EXPECT_TRUE(DaemonsEnd());
}

TEST_F(LifetimeTest, UmountOfWhatIsNotOurs) {
  const CommandResult nothing = RunScript(absl::StrCat("crfs umount ", directory()));
  EXPECT_EQ(nothing.status, 1);
  EXPECT_NE(nothing.err.find("nothing is mounted here"), std::string::npos) << nothing.err;
  const CommandResult other = RunScript("crfs umount /proc");
  EXPECT_EQ(other.status, 1);
  EXPECT_NE(other.err.find("type proc"), std::string::npos) << other.err;
  EXPECT_EQ(RunScript(absl::StrCat("crfs umount ", home(), "/missing")).status, 1);
  EXPECT_EQ(RunScript("crfs umount").status, 2);
}

TEST_F(LifetimeTest, RelativePathsWorkInTheBackground) {
  ASSERT_TRUE(Succeeds(absl::StrCat("cd ", home(), " && crfs mount --index index image.crfs mnt")));
  EXPECT_TRUE(Succeeds(absl::StrCat("cat ", directory(), "/checkpoint/uuid")));
  EXPECT_TRUE(Succeeds(absl::StrCat("cd ", home(), " && crfs umount ./mnt/")));
}

TEST_F(LifetimeTest, TwiceInOneDirectoryIsRefusedTwiceElsewhereWorks) {
  ASSERT_TRUE(Mount());
  const CommandResult again = RunScript(MountCommand());
  EXPECT_EQ(again.status, 1);
  EXPECT_NE(again.err.find("is mounted here already"), std::string::npos) << again.err;
  ASSERT_TRUE(Succeeds(absl::StrCat("mkdir ", home(), "/other && crfs mount --index ", index(), " ",
                                    image(), " ", home(), "/other && diff -r --no-dereference ",
                                    directory(), " ", home(), "/other")));
  EXPECT_EQ(Daemons().size(), 2u);
}

TEST_F(LifetimeTest, OddNames) {
  const std::string odd = home() + "/a, b\\c";
  EXPECT_TRUE(Succeeds(absl::StrCat(
      "mkdir '", odd, "' && cp ", image(), " '", odd, "/i,m.crfs' && crfs mount --index ", index(),
      " '", odd, "/i,m.crfs' '", odd, "' && ls '", odd, "/tasks' && findmnt -n '", odd,
      "' | grep -q 'i,m.crfs' && crfs umount '", odd, "'")));
}

TEST_F(LifetimeTest, ADeadMountIsNamedAndCanBeUnmounted) {
  ASSERT_TRUE(Mount());
  const pid_t daemon = Daemon();
  ASSERT_GT(daemon, 0);
  ASSERT_EQ(::kill(daemon, SIGKILL), 0);
  ASSERT_TRUE(DaemonsEnd());
  ASSERT_TRUE(IsMounted(directory()));
  const CommandResult refused = RunScript(MountCommand());
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("is dead"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("crfs umount"), std::string::npos) << refused.err;
  EXPECT_TRUE(Unmount());
  EXPECT_FALSE(IsMounted(directory()));
  ASSERT_TRUE(Mount());
}

}  // namespace
}  // namespace crfs
