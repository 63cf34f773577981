// SPDX-License-Identifier: Apache-2.0
//
// Descriptors, what stands behind them, and what is shared.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "crfs/words.h"
#include "engine/proc_file.h"
#include "tests/ptrace/program.h"

namespace crfs {
namespace {

void Sleep(Board& board) {
  ++board.ready;
  while (board.go == 0) ::usleep(1000);
}

TEST(Files, AreTheSameWhereTheProgramShares) {
  char name[] = "/tmp/crfs-files-XXXXXX";
  ::close(::mkstemp(name));
  ASSERT_EQ(::truncate(name, 10'000), 0);
  Program program(
      [&](Board& board) {
        const int first = ::open(name, O_RDWR | O_APPEND);
        const int second = ::dup3(first, 40, O_CLOEXEC);
        const int other = ::open(name, O_RDWR | O_APPEND);
        ::lseek(first, 123, SEEK_SET);
        board.value[0] = first;
        board.value[1] = second;
        board.value[2] = other;
        board.value[3] = ::open(name, O_PATH);
        board.value[4] = ::open("/proc/self/stat", O_RDONLY);
        board.value[5] = ::epoll_create1(0);
        board.value[6] = ::eventfd(3, EFD_NONBLOCK);
        board.value[7] = ::socket(AF_UNIX, SOCK_DGRAM, 0);
        board.value[8] = ::open("/dev/null", O_WRONLY);
        board.value[9] = ::open("/tmp", O_DIRECTORY);
        void* mapped = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, other, 4096);
        board.value[10] = reinterpret_cast<int64_t>(mapped);
        const pid_t child = ::fork();
        if (child == 0) {
          Sleep(board);
          ::_exit(0);
        }
        board.value[11] = child;
        Sleep(board);
        ::waitpid(child, nullptr, 0);
        if (::lseek(first, 0, SEEK_CUR) != 123) board.wrong = 1;
      },
      2);
  const LoadedCheckpoint saved = program.Save();
  const pid_t pid = program.pid();
  const Board& board = program.board();
  const auto file = [&](int which) {
    return FileOf(saved, pid, static_cast<int>(board.value[which]));
  };
  const ObjectView first = file(0);
  struct stat stat = {};
  ASSERT_EQ(::stat(name, &stat), 0);
  EXPECT_EQ(first.Number("kind"), CRFS_file_kind_regular);
  EXPECT_EQ(first.Bytes("path"), name);
  EXPECT_EQ(first.Number("pos"), 123U);
  EXPECT_EQ(first.Number("flags") & (O_ACCMODE | O_APPEND | O_CLOEXEC),
            static_cast<uint64_t>(O_RDWR | O_APPEND));
  EXPECT_EQ(first.Number("size"), 10'000U);
  EXPECT_EQ(first.Number("inode"), stat.st_ino);
  EXPECT_EQ(first.Number("mode"), stat.st_mode);
  EXPECT_EQ(first.Number("mtime"),
            static_cast<uint64_t>(stat.st_mtim.tv_sec * 1'000'000'000 + stat.st_mtim.tv_nsec));
  EXPECT_EQ(first.Number("deleted"), 0U);
  EXPECT_EQ(file(1).id(), first.id());
  EXPECT_EQ(FdOf(saved, pid, 40).Number("cloexec"), 1U);
  EXPECT_EQ(FdOf(saved, pid, static_cast<int>(board.value[0])).Number("cloexec"), 0U);
  EXPECT_NE(file(2).id(), first.id());
  EXPECT_EQ(file(2).Number("pos"), 0U);
  EXPECT_EQ(file(3).Number("kind"), CRFS_file_kind_path);
  EXPECT_EQ(file(4).Number("kind"), CRFS_file_kind_proc);
  EXPECT_EQ(file(5).Number("kind"), CRFS_file_kind_epoll);
  EXPECT_EQ(file(6).Number("kind"), CRFS_file_kind_eventfd);
  EXPECT_NE(std::string(file(6).Bytes("fdinfo")).find("eventfd-count:"), std::string::npos);
  EXPECT_EQ(file(7).Number("kind"), CRFS_file_kind_socket);
  EXPECT_EQ(file(8).Number("kind"), CRFS_file_kind_chardev);
  EXPECT_EQ(file(8).Number("rdev"), uint64_t{1} << 32 | 3);
  EXPECT_EQ(file(9).Number("kind"), CRFS_file_kind_directory);
  const ObjectView vma =
      FindObject(saved, "vma", "start", static_cast<uint64_t>(board.value[10].load()));
  EXPECT_EQ(vma.Number("offset"), 4096U);
  EXPECT_EQ(vma.Number("kind"), CRFS_vma_kind_file);
  const ObjectView mapped = saved.Get("file", vma.Number("file"));
  EXPECT_EQ(mapped.Bytes("path"), name);
  EXPECT_EQ(mapped.Number("flags") & O_ACCMODE, static_cast<uint64_t>(O_RDWR));
  const auto child = static_cast<pid_t>(board.value[11].load());
  EXPECT_EQ(FileOf(saved, child, static_cast<int>(board.value[0])).id(), first.id());
  EXPECT_EQ(FileOf(saved, child, static_cast<int>(board.value[5])).id(), file(5).id());
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
  ::unlink(name);
}

TEST(Files, OfPipes) {
  int outside[2];
  ASSERT_EQ(::pipe2(outside, O_CLOEXEC), 0);
  Program program([&](Board& board) {
    int ends[2], packets[2];
    [[maybe_unused]] int made = ::pipe(ends);
    made = ::pipe2(packets, O_DIRECT | O_NONBLOCK);
    ::fcntl(ends[1], F_SETPIPE_SZ, 8192);
    ::fcntl(ends[0], F_SETOWN, ::getpid());
    ::fcntl(ends[0], F_SETSIG, SIGUSR1);
    [[maybe_unused]] ssize_t put = ::write(ends[1], "not yet read", 12);
    put = ::write(packets[1], "one", 3);
    put = ::write(packets[1], "three", 5);
    ::close(outside[1]);
    board.value[0] = ends[0];
    board.value[1] = ends[1];
    board.value[2] = packets[0];
    Sleep(board);
    char buffer[20] = {};
    if (::read(ends[0], buffer, sizeof(buffer)) != 12) board.wrong = 1;
    if (std::string(buffer) != "not yet read") board.wrong = 2;
    if (::read(packets[0], buffer, sizeof(buffer)) != 3) board.wrong = 3;
    ::close(ends[1]);
    if (::read(ends[0], buffer, sizeof(buffer)) != 0) board.wrong = 4;  // nobody else has it open
  });
  const LoadedCheckpoint saved = program.Save();
  const auto file = [&](int which) {
    return FileOf(saved, program.pid(), static_cast<int>(program.board().value[which]));
  };
  EXPECT_EQ(file(0).Number("kind"), CRFS_file_kind_pipe);
  EXPECT_EQ(file(0).Number("pipe"), file(1).Number("pipe"));
  EXPECT_NE(file(0).id(), file(1).id());
  EXPECT_EQ(file(0).Number("owner_pid"), static_cast<uint64_t>(program.pid()));
  EXPECT_EQ(file(0).Number("owner_signal"), static_cast<uint64_t>(SIGUSR1));
  EXPECT_EQ(file(1).Number("owner_pid"), 0U);
  const ObjectView pipe = saved.Get("pipe", file(0).Number("pipe"));
  EXPECT_EQ(pipe.Bytes("data"), "not yet read");
  EXPECT_EQ(pipe.Number("capacity"), 8192U);
  EXPECT_EQ(pipe.Number("readers"), 1U);
  EXPECT_EQ(pipe.Number("writers"), 1U);
  const ObjectView packets = saved.Get("pipe", file(2).Number("pipe"));
  EXPECT_EQ(packets.Bytes("data"), "onethree");
  EXPECT_EQ(packets.Bytes("packets"), std::string("\3\0\0\0\5\0\0\0", 8));
  // One whose other end the test holds.
  const ObjectView half =
      saved.Get("pipe", FileOf(saved, program.pid(), outside[0]).Number("pipe"));
  EXPECT_EQ(half.Number("writers"), 1U);
  ::close(outside[1]);
  const LoadedCheckpoint again = program.Save();
  EXPECT_EQ(
      again.Get("pipe", FileOf(again, program.pid(), outside[0]).Number("pipe")).Number("writers"),
      0U);
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
  ::close(outside[0]);
}

TEST(Files, OfDirectoriesAndTheDeleted) {
  char name[] = "/tmp/crfs-gone-XXXXXX (deleted)";
  const int file = ::mkstemps(name, 10);
  const std::string kept = name;
  Program program([&](Board& board) {
    [[maybe_unused]] int result = ::chdir("/tmp");
    const int gone = ::open("/tmp/crfs-gone", O_RDWR | O_CREAT, 0600);
    ::unlink("/tmp/crfs-gone");
    board.value[0] = gone;
    Sleep(board);
  });
  const LoadedCheckpoint saved = program.Save();
  const ObjectView task = FindObject(saved, "task", "pid", static_cast<uint64_t>(program.pid()));
  const ObjectView fs = saved.Get("fs", task.Number("fs"));
  EXPECT_EQ(saved.Get("file", fs.Number("cwd")).Bytes("path"), "/tmp");
  EXPECT_EQ(saved.Get("file", fs.Number("root")).Bytes("path"), "/");
  EXPECT_EQ(saved.Get("file", fs.Number("root")).Number("kind"), CRFS_file_kind_path);
  const ObjectView gone = FileOf(saved, program.pid(), static_cast<int>(program.board().value[0]));
  EXPECT_EQ(gone.Number("deleted"), 1U);
  EXPECT_EQ(gone.Bytes("path"), "/tmp/crfs-gone");
  // A name that only looks so.
  const ObjectView there = FileOf(saved, program.pid(), file);
  EXPECT_EQ(there.Number("deleted"), 0U);
  EXPECT_EQ(there.Bytes("path"), kept);
  EXPECT_FALSE(Program::Try(program.pid()).ok());
  ::unlink(kept.c_str());
  ::close(file);
}

}  // namespace
}  // namespace crfs
