// SPDX-License-Identifier: Apache-2.0
//
// What may go wrong: errno, words, and a program that is none the worse.

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/lib/image.h"
#include "tests/ptrace/program.h"

namespace crfs {
namespace {

// Each must fail so, with these words, and leave nothing.
void ExpectFailure(
    const char* image, int error, const char* words,
    const std::function<void(Options&)>& before = [](Options&) {}) {
  Program program([&](Board& board) {
    Options options;
    before(options);
    int result = crfs_checkpoint_self(image, &options);
    if (result == 0) result = crfs_checkpoint_wait(-1, options.words, sizeof(options.words));
    if (result != -1 || errno != error || std::strstr(options.words, words) == nullptr) {
      std::fprintf(stderr, "%d, %s: %s\n", result, std::strerror(errno), options.words);
      board.wrong = 1;
    }
    if (::waitpid(-1, nullptr, __WALL) != -1 || errno != ECHILD) board.wrong = 2;
    ++board.ready;
  });
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_EQ(program.board().wrong, 0);
}

TEST(Fails, WithoutAPath) {
  ExpectFailure("", EINVAL, "no path");
  ExpectFailure(nullptr, EINVAL, "no path");
}

TEST(Fails, WhereNoImageCanBe) {
  ExpectFailure("/nonexistent/x", ENOENT, "/nonexistent/x");
  ExpectFailure("/dev/null/x", ENOTDIR, "/dev/null/x");
  ExpectFailure("/tmp", EISDIR, "/tmp");
  ExpectFailure("/dev/full", ENOSPC, "/dev/full");
}

TEST(Fails, WithoutCrfs) {
  const ImagePath image;
  ExpectFailure(image.c_str(), ENOENT, "$CRFS",
                [](Options&) { ::setenv("CRFS", "/nonexistent/crfs", 1); });
  ExpectFailure(image.c_str(), ENOENT, "$CRFS",
                [](Options&) { ::setenv("CRFS", "no-such-program", 1); });
  ExpectFailure(image.c_str(), EACCES, "cannot be run",
                [](Options&) { ::setenv("CRFS", "/etc/passwd", 1); });
  ExpectFailure(image.c_str(), ECANCELED, "another program",
                [](Options&) { ::setenv("CRFS", "false", 1); });
  EXPECT_FALSE(image.exists());
}

TEST(Fails, WithWhatCannotBeRestarted) {
  const ImagePath image;
  ExpectFailure(image.c_str(), EOPNOTSUPP, "is of kind socket",
                [](Options&) { EXPECT_GE(::socket(AF_UNIX, SOCK_STREAM, 0), 0); });
  EXPECT_FALSE(image.exists());
}

TEST(Fails, WithOptionsThatThereAreNot) {
  ExpectFailure("x", EINVAL, "scope", [](Options& options) { options.scope = 7; });
  ExpectFailure("x", E2BIG, "does not know", [](Options& options) { options.reserved = 1; });
  ExpectFailure("x", EINVAL, "", [](Options& options) { options.size = 0; });
}

TEST(Fails, WithOptionsThatAreLonger) {
  struct Later {
    crfs_checkpoint_options known;
    long unknown;
  };
  const ImagePath image;
  Program program([&](Board& board) {
    Later options = {CRFS_CHECKPOINT_OPTIONS_INIT, 0};
    options.known.size = sizeof(options);
    if (crfs_checkpoint_self(image.c_str(), &options.known) != 0) board.wrong = errno;
    if (crfs_checkpoint_wait(-1, nullptr, 0) != 0) board.wrong = errno;
    options.unknown = 1;
    if (crfs_checkpoint_self(image.c_str(), &options.known) != -1 || errno != E2BIG) {
      board.wrong = 1;
    }
    ++board.ready;
  });
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_EQ(program.board().wrong, 0);
}

}  // namespace
}  // namespace crfs
