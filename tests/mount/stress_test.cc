// SPDX-License-Identifier: Apache-2.0
//
// Many at once, and what the daemon keeps of it.

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/mount/mounted.h"
#include "tests/sanitized.h"

namespace crfs {
namespace {

class StressTest : public MountTest {
 protected:
  // Bytes of memory that the daemon has in use.
  uint64_t Resident() const {
    const std::vector<pid_t> daemons = Daemons();
    EXPECT_EQ(daemons.size(), 1u);
    std::ifstream file(absl::StrCat("/proc/", daemons.empty() ? 0 : daemons[0], "/status"));
    for (std::string line; std::getline(file, line);) {
      if (!absl::StartsWith(line, "VmRSS:")) continue;
      const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
      uint64_t kilobytes = 0;
      EXPECT_TRUE(words.size() > 1 && absl::SimpleAtoi(words[1], &kilobytes)) << line;
      return kilobytes * 1024;
    }
    return 0;
  }
};

// Everything that reads, from many processes, while the kernel forgets what it knows.
TEST_F(StressTest, ReadersAtOnce) {
  GenerateAndMount({.tasks = 8, .memory = 32 << 20});
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_TRUE(Succeeds(
      absl::StrCat(
          "cd ", directory(), "; set -o pipefail; sum() { tar -cf - . | sha256sum; }; ",
          "wanted=$(sum) || exit 1; pids=(); for i in 1 2 3 4 5 6; do (for j in 1 2 3; do ",
          "test \"$(sum)\" = \"$wanted\" || exit 1; find . -ls | wc -l > /dev/null; ",
          "cat .views/blob | cmp - ", image(), " || exit 1; done) & pids+=($!); done; ",
          "for i in 1 2 3 4; do echo 2 > /proc/sys/vm/drop_caches 2>/dev/null; sleep 0.2; "
          "done; for p in ${pids[@]}; do wait $p || exit 1; done"),
      250));
}

TEST_F(StressTest, MountAndUnmountOverAndOver) {
  Generate();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Mount());
    ASSERT_TRUE(Succeeds(absl::StrCat("cat ", directory(), "/checkpoint/uuid")));
    ASSERT_TRUE(Unmount());
  }
  EXPECT_TRUE(DaemonsEnd());
}

// Readers killed in the middle of their requests.
TEST_F(StressTest, KilledReaders) {
  GenerateAndMount({.memory = 64 << 20});
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_TRUE(
      Succeeds(absl::StrCat("for i in $(seq 30); do cat ", directory(),
                            "/.views/blob > /dev/null & p=$!; find ", directory(),
                            " -ls > /dev/null & q=$!; sleep 0.02; kill -9 $p $q 2>/dev/null; "
                            "wait $p $q 2>/dev/null; done; cmp ",
                            image(), " ", directory(), "/.views/blob")));
  EXPECT_EQ(Daemons().size(), 1u);
}

TEST_F(StressTest, MemoryStaysBounded) {
  if (kSanitized) GTEST_SKIP() << "sanitizers keep memory of their own";
  GenerateAndMount({.objects = 20'000, .memory = 64 << 20});
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_TRUE(Succeeds(absl::StrCat("cd ", directory(),
                                    " && find . -ls | wc -l && cat .views/blob | "
                                    "wc -c"),
                       250));
  EXPECT_LT(Resident(), 128u << 20);
}

}  // namespace
}  // namespace crfs
