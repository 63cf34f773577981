// SPDX-License-Identifier: Apache-2.0
//
// What a checkpoint leaves out: by its options, and by the marks of the program.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "crfs/crfs.h"
#include "engine/zeroed_memory.h"
#include "index/ranges.h"
#include "tests/ptrace/program.h"

namespace crfs {
namespace {

using ::testing::HasSubstr;

constexpr size_t kPage = 4096, kSize = 16 * kPage;

void Sleep(Board& board) {
  ++board.ready;
  while (board.go == 0) ::usleep(1000);
}

char* Map(size_t size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::memset(memory, 'x', size);
  return static_cast<char*>(memory);
}

// A connection to itself.
int TcpSocket() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  const bool connected = ::bind(listener, generic, size) == 0 && ::listen(listener, 1) == 0 &&
                         ::getsockname(listener, generic, &size) == 0 &&
                         ::connect(client, generic, size) == 0;
  ::close(listener);
  return connected ? client : -1;
}

struct Saved {
  absl::Status status;
  std::optional<LoadedCheckpoint> checkpoint;
  CheckpointResult result;
};

// With options, and without --inspect.
Saved Save(pid_t pid, const std::vector<std::string>& words, bool dontdump = false) {
  CheckpointOptions options;
  options.pid = pid;
  options.engine = Engine::kPtrace;
  options.image = absl::StrCat("/tmp/crfs-exclude-", ::getpid(), ".crfs");
  options.exclude.dontdump = dontdump;
  for (const std::string& word : words) options.exclude.named.push_back(*ParseExclusion(word));
  absl::StatusOr<CheckpointResult> result = TakeCheckpoint(options);
  Saved saved;
  saved.status = result.status();
  if (!result.ok()) return saved;
  saved.result = *std::move(result);
  absl::StatusOr<LoadedCheckpoint> loaded = LoadedCheckpoint::FromImage(options.image);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(loaded->VerifyMemory().ok());
  ::unlink(options.image.c_str());
  saved.checkpoint.emplace(*std::move(loaded));
  return saved;
}

// The mapping that an address lies in.
ObjectView MappingAt(const LoadedCheckpoint& checkpoint, int64_t address) {
  for (const uint64_t id : checkpoint.Ids("vma")) {
    const ObjectView vma = checkpoint.Get("vma", id);
    if (vma.Number("start") <= static_cast<uint64_t>(address) &&
        static_cast<uint64_t>(address) < vma.Number("end")) {
      return vma;
    }
  }
  ADD_FAILURE() << "nothing is mapped there";
  return checkpoint.Get("vma", 1);
}

// How many of the pages from `address` on are saved, and how many excluded.
struct Pages {
  size_t saved = 0;
  size_t excluded = 0;
  bool operator==(const Pages&) const = default;
};
void PrintTo(const Pages& pages, std::ostream* out) {
  *out << pages.saved << " saved, " << pages.excluded << " excluded";
}

Pages PagesAt(const LoadedCheckpoint& checkpoint, int64_t address, size_t size) {
  const ObjectView vma = MappingAt(checkpoint, address);
  const auto begin = static_cast<uint64_t>(address) - vma.Number("start"), end = begin + size;
  const auto overlap = [&](uint64_t offset, uint64_t length) -> size_t {
    const uint64_t first = std::max(begin, offset), last = std::min(end, offset + length);
    return first < last ? (last - first) / kPage : 0;
  };
  Pages pages;
  const absl::StatusOr<LoadedMemory> memory = checkpoint.Memory(vma);
  const auto ranges = UnpackRanges(vma.Bytes("excluded"));
  EXPECT_TRUE(memory.ok() && ranges.ok());
  for (const LoadedExtent& extent : memory->extents) {
    pages.saved += overlap(extent.offset, extent.length);
  }
  for (const crfs_extent& range : *ranges) {
    pages.excluded += overlap(range.offset, range.length);
  }
  return pages;
}

std::string RangeOf(int64_t address, size_t size) {
  return absl::StrCat(absl::Hex(address), "-", absl::Hex(static_cast<uint64_t>(address) + size));
}

TEST(Exclude, ASocketThatCannotBeSaved) {
  Program program([](Board& board) {
    const int socket = TcpSocket();
    board.value[0] = socket;
    board.value[1] = ::dup(socket);
    if (socket < 0) board.wrong = 1;
    Sleep(board);
    if (::write(socket, "x", 1) < 0 && errno != EPIPE && errno != ECONNRESET) board.wrong = 1;
  });
  const int64_t socket = program.board().value[0], copy = program.board().value[1];
  EXPECT_THAT(std::string(Save(program.pid(), {}).status.message()), HasSubstr("of kind socket"));
  EXPECT_THAT(std::string(Save(program.pid(), {absl::StrCat("fd:", socket)}).status.message()),
              HasSubstr(absl::StrCat("objects/fdtable/1/", copy, ": is of kind socket")));
  const Saved saved =
      Save(program.pid(), {absl::StrCat("fd:", socket), absl::StrCat(program.pid(), ":fd:", copy)});
  ASSERT_TRUE(saved.status.ok()) << saved.status;
  EXPECT_EQ(FdOf(*saved.checkpoint, program.pid(), socket).Number("excluded"), 1U);
  EXPECT_EQ(FdOf(*saved.checkpoint, program.pid(), 2).Number("excluded"), 0U);
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

TEST(Exclude, ALockOnAFile) {
  char name[] = "/tmp/crfs-exclude-XXXXXX";
  const int file = ::mkstemp(name);
  Program program([&](Board& board) {
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    if (::fcntl(file, F_SETLK, &lock) != 0) board.wrong = 1;
    Sleep(board);
  });
  EXPECT_THAT(std::string(Save(program.pid(), {}).status.message()), HasSubstr("holds a lock"));
  const Saved saved = Save(program.pid(), {absl::StrCat("fd:", file)});
  EXPECT_TRUE(saved.status.ok()) << saved.status;
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
  ::close(file);
  ::unlink(name);
}

// Memory and pipes that nothing else leads to.
TEST(Exclude, WhatStandsBehindDescriptors) {
  Program program([](Board& board) {
    const int memory = ::memfd_create("scratch", 0);
    const std::string page(kPage, 'x');
    int ends[2];
    if (::pipe(ends) != 0 || ::write(ends[1], "left", 4) != 4 ||
        ::write(memory, page.data(), kPage) != static_cast<ssize_t>(kPage)) {
      board.wrong = 1;
    }
    board.value[0] = memory;
    board.value[1] = ends[0];
    board.value[2] = ends[1];
    Sleep(board);
  });
  const auto& fd = program.board().value;
  const auto word = [&](int which) { return absl::StrCat("fd:", fd[which].load()); };
  const Saved saved = Save(program.pid(), {word(0), word(1)});
  ASSERT_TRUE(saved.status.ok()) << saved.status;
  const LoadedCheckpoint& checkpoint = *saved.checkpoint;
  const ObjectView memory = FileOf(checkpoint, program.pid(), static_cast<int>(fd[0]));
  const absl::StatusOr<LoadedMemory> pages =
      checkpoint.Memory(checkpoint.Get("shmem", memory.Number("shmem")));
  ASSERT_TRUE(pages.ok());
  EXPECT_TRUE(pages->extents.empty());
  const uint64_t pipe = FileOf(checkpoint, program.pid(), static_cast<int>(fd[2])).Number("pipe");
  EXPECT_EQ(checkpoint.Get("pipe", pipe).Bytes("data"), "left") << "who writes is still there";
  const Saved neither = Save(program.pid(), {word(1), word(2)});
  ASSERT_TRUE(neither.status.ok()) << neither.status;
  EXPECT_EQ(neither.checkpoint->Get("pipe", pipe).Bytes("data"), "");
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

TEST(Exclude, WhatIsNotThereIsAnErrorAndTheProgramGoesOn) {
  Program program([](Board& board) { Sleep(board); });
  EXPECT_THAT(std::string(Save(program.pid(), {"fd:999"}).status.message()),
              HasSubstr("--exclude fd:999: there is no such descriptor"));
  EXPECT_THAT(std::string(Save(program.pid(), {"1000-2000"}).status.message()),
              HasSubstr("--exclude 1000-2000: there is no such memory"));
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

TEST(Exclude, MemoryByAddressNameAndAdvice) {
  char name[] = "/tmp/crfs-exclude-XXXXXX";
  const int file = ::mkstemp(name);
  ASSERT_EQ(::ftruncate(file, kSize), 0);
  Program program([&](Board& board) {
    char* const scratch = Map(kSize);
    char* const secret = Map(kSize);
    ::madvise(secret, kSize, MADV_DONTDUMP);
    auto* const mapped =
        static_cast<char*>(::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0));
    mapped[kPage] = 'y';
    board.value[0] = reinterpret_cast<int64_t>(scratch);
    board.value[1] = reinterpret_cast<int64_t>(secret);
    board.value[2] = reinterpret_cast<int64_t>(mapped);
    Sleep(board);
    const std::string whole(kSize, 'x');
    if (std::memcmp(scratch, whole.data(), kSize) != 0) board.wrong = 1;
    if (std::memcmp(secret, whole.data(), kSize) != 0) board.wrong = 1;
    if (mapped[kPage] != 'y') board.wrong = 1;
  });
  const auto& at = program.board().value;
  const Saved all = Save(program.pid(), {});
  ASSERT_TRUE(all.status.ok()) << all.status;
  EXPECT_EQ(PagesAt(*all.checkpoint, at[0], kSize), (Pages{16, 0}));
  EXPECT_EQ(PagesAt(*all.checkpoint, at[1], kSize), (Pages{16, 0}));
  EXPECT_EQ(PagesAt(*all.checkpoint, at[2], kSize), (Pages{1, 0}));
  const Saved part =
      Save(program.pid(), {RangeOf(at[0] + 100, 3 * kPage), absl::StrCat("vma:", name)},
           /*dontdump=*/true);
  ASSERT_TRUE(part.status.ok()) << part.status;
  EXPECT_EQ(PagesAt(*part.checkpoint, at[0], kSize), (Pages{14, 2}));
  EXPECT_EQ(PagesAt(*part.checkpoint, at[0] + static_cast<int64_t>(kPage), 2 * kPage),
            (Pages{0, 2}));
  EXPECT_EQ(PagesAt(*part.checkpoint, at[1], kSize), (Pages{0, 16}));
  EXPECT_EQ(PagesAt(*part.checkpoint, at[2], kSize), (Pages{0, 16}));
  EXPECT_EQ(all.result.memory - part.result.memory, (2 + 16 + 1) * kPage);
  // Of these, a restart fills with zeros what would be the file's.
  const ObjectView mapping = MappingAt(*part.checkpoint, at[2]);
  const auto zeroed = ZeroedRanges(mapping, *part.checkpoint->Memory(mapping));
  ASSERT_EQ(zeroed.size(), 1U);
  EXPECT_EQ(zeroed[0].length, kSize);
  const ObjectView anonymous = MappingAt(*part.checkpoint, at[0]);
  EXPECT_TRUE(ZeroedRanges(anonymous, *part.checkpoint->Memory(anonymous)).empty());
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
  ::close(file);
  ::unlink(name);
}

// fork(2) copies them.
TEST(Exclude, MarksOfTheProgramAndItsChild) {
  Program program(
      [](Board& board) {
        char* const scratch = Map(kSize);
        const int socket = TcpSocket();
        board.value[0] = reinterpret_cast<int64_t>(scratch);
        board.value[1] = socket;
        if (crfs_exclude(scratch, 2 * kPage + 100) != 0) board.wrong = 1;
        if (crfs_exclude_fd(socket) != 0) board.wrong = 1;
        const pid_t child = ::fork();
        if (child == 0) {
          scratch[0] = 'c';
          Sleep(board);
          ::_exit(0);
        }
        board.value[2] = child;
        Sleep(board);
        ::waitpid(child, nullptr, 0);
      },
      2);
  const auto& value = program.board().value;
  const Saved saved = Save(program.pid(), {});
  ASSERT_TRUE(saved.status.ok()) << saved.status;
  for (const pid_t pid : {program.pid(), static_cast<pid_t>(value[2].load())}) {
    EXPECT_EQ(FdOf(*saved.checkpoint, pid, static_cast<int>(value[1])).Number("excluded"), 1U);
  }
  size_t marked = 0;
  for (const uint64_t id : saved.checkpoint->Ids("vma")) {
    const ObjectView vma = saved.checkpoint->Get("vma", id);
    if (vma.Bytes("excluded").empty()) continue;
    ++marked;
    EXPECT_EQ(vma.Bytes("excluded"),
              PackRanges(std::vector<crfs_extent>{
                  {static_cast<uint64_t>(value[0]) - vma.Number("start"), 2 * kPage}}));
  }
  EXPECT_EQ(marked, 2U);
  EXPECT_EQ(PagesAt(*saved.checkpoint, value[0], kSize), (Pages{14, 2}));
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

// More than a table has room for, and half of them taken back.
TEST(Exclude, MarksOfManyThreads) {
  static constexpr size_t kThreads = 4, kEach = 400;
  Program program([](Board& board) {
    char* const scratch = Map(kThreads * kEach * kPage);
    board.value[0] = reinterpret_cast<int64_t>(scratch);
    std::vector<std::thread> threads;
    for (size_t thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&board, first = scratch + thread * kEach * kPage] {
        for (size_t i = 0; i < kEach; ++i) {
          if (crfs_exclude(first + i * kPage, kPage) != 0) board.wrong = 1;
          if (i % 2 == 1 && crfs_include(first + i * kPage, kPage) != 0) board.wrong = 1;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    Sleep(board);
  });
  const Saved saved = Save(program.pid(), {});
  ASSERT_TRUE(saved.status.ok()) << saved.status;
  EXPECT_EQ(PagesAt(*saved.checkpoint, program.board().value[0], kThreads * kEach * kPage),
            (Pages{kThreads * kEach / 2, kThreads * kEach / 2}));
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

TEST(Exclude, MarksThatMakeNoSenseAreRefused) {
  const auto fails = [](int result, int error) { return result == -1 && errno == error; };
  char memory[1] = {};
  EXPECT_TRUE(fails(crfs_exclude(memory, 0), EINVAL));
  EXPECT_TRUE(fails(crfs_exclude(memory, SIZE_MAX), EINVAL));
  EXPECT_TRUE(fails(crfs_include(memory, 0), EINVAL));
  EXPECT_TRUE(fails(crfs_exclude_fd(-1), EBADF));
  EXPECT_TRUE(fails(crfs_include_fd(-1), EBADF));
  EXPECT_TRUE(fails(crfs_include(memory, 1), ENOENT));
  EXPECT_TRUE(fails(crfs_include_fd(1000), ENOENT));
  EXPECT_EQ(crfs_exclude_fd(1000), 0);
  EXPECT_EQ(crfs_exclude_fd(1000), 0);
  EXPECT_EQ(crfs_include_fd(1000), 0);
  EXPECT_TRUE(fails(crfs_include_fd(1000), ENOENT)) << "both have been taken back";
}

}  // namespace
}  // namespace crfs
