// SPDX-License-Identifier: Apache-2.0
//
// Which memory is saved, and that it is what the program had.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "crfs/words.h"
#include "engine/proc_maps.h"
#include "engine/ptrace_pages.h"
#include "tests/ptrace/program.h"
#include "tests/sanitized.h"

namespace crfs {
namespace {

using ::testing::ElementsAre;

constexpr size_t kPage = 4096;
constexpr size_t kPages = 64;

void Sleep(Board& board) {
  ++board.ready;
  while (board.go == 0) ::usleep(1000);
}

char* Map(int prot, int flags, int fd = -1, size_t pages = kPages) {
  void* memory = ::mmap(nullptr, pages * kPage, prot, flags, fd, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
}

ObjectView VmaAt(const LoadedCheckpoint& saved, int64_t address) {
  for (const uint64_t id : saved.Ids("vma")) {
    const ObjectView vma = saved.Get("vma", id);
    const auto place = static_cast<uint64_t>(address);
    if (vma.Number("start") <= place && place < vma.Number("end")) return vma;
  }
  ADD_FAILURE() << "nothing is mapped at " << address;
  return saved.Get("vma", 1);
}

// What is saved of an object, by page from the address that `base` is the place of.
std::map<uint64_t, std::string> SavedPages(const LoadedCheckpoint& saved, const ObjectView& owner,
                                           uint64_t base = 0) {
  std::map<uint64_t, std::string> pages;
  const absl::StatusOr<LoadedMemory> memory = saved.Memory(owner);
  if (!memory.ok()) {
    ADD_FAILURE() << memory.status();
    return pages;
  }
  for (const LoadedExtent& extent : memory->extents) {
    for (uint64_t done = 0; done < extent.length; done += kPage) {
      std::string page(kPage, '?');
      EXPECT_EQ(
          ::pread(memory->fd, page.data(), kPage, static_cast<off_t>(extent.file_offset + done)),
          static_cast<ssize_t>(kPage));
      if (extent.offset + done >= base) pages[(extent.offset + done - base) / kPage] = page;
    }
  }
  return pages;
}

std::map<uint64_t, std::string> PagesAt(const LoadedCheckpoint& saved, int64_t address,
                                        size_t count) {
  const ObjectView vma = VmaAt(saved, address);
  auto pages = SavedPages(saved, vma, static_cast<uint64_t>(address) - vma.Number("start"));
  pages.erase(pages.lower_bound(count), pages.end());
  return pages;
}

std::string Filled(char byte) { return std::string(kPage, byte); }

// Two mappings that nothing merges: what lies beside them has another protection.
char* Alone(int prot, int flags, int fd = -1) {
  char* all = Map(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, kPages + 2);
  return static_cast<char*>(::mmap(all + kPage, kPages * kPage, prot, flags | MAP_FIXED, fd, 0));
}

TEST(Memory, OfEachKind) {
  char name[] = "/tmp/crfs-memory-XXXXXX";
  const int file = ::mkstemp(name);
  const std::string contents(kPages * kPage, 'f');
  ASSERT_EQ(::write(file, contents.data(), contents.size()), static_cast<ssize_t>(contents.size()));
  Program program(
      [&](Board& board) {
        char* anonymous = Alone(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        std::memset(anonymous + 3 * kPage, 'a', 2 * kPage);
        std::memset(anonymous + 9 * kPage, 'b', kPage);
        [[maybe_unused]] volatile char zero = anonymous[20 * kPage];  // the zero page
        char* hidden = Alone(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        std::memset(hidden, 'h', kPage);
        ::mprotect(hidden, kPages * kPage, PROT_NONE);
        char* of_file = Alone(PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
        [[maybe_unused]] volatile char clean = of_file[5 * kPage];
        of_file[7 * kPage] = 'w';
        std::memset(of_file + 8 * kPage, 0, kPage);
        char* shared = Alone(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
        std::memset(shared + 30 * kPage, 's', kPage);
        const int memfd = ::memfd_create("board", 0);
        [[maybe_unused]] const int sized = ::ftruncate(memfd, 2 * kPage + 100);
        [[maybe_unused]] const ssize_t put = ::pwrite(memfd, "tail", 4, 2 * kPage + 90);
        board.value[0] = reinterpret_cast<int64_t>(anonymous);
        board.value[1] = reinterpret_cast<int64_t>(hidden);
        board.value[2] = reinterpret_cast<int64_t>(of_file);
        board.value[3] = reinterpret_cast<int64_t>(shared);
        board.value[4] = memfd;
        if (::fork() == 0) {  // shares the nameless memory, and its pages copy-on-write
          Sleep(board);
          ::_exit(0);
        }
        Sleep(board);
        ::wait(nullptr);
        if (anonymous[4 * kPage] != 'a' || shared[30 * kPage] != 's') board.wrong = 1;
      },
      2);
  ::unlink(name);
  const LoadedCheckpoint saved = program.Save();
  const Board& board = program.board();
  const ObjectView root = FindObject(saved, "task", "pid", static_cast<uint64_t>(program.pid()));
  EXPECT_EQ(root.Number("mm"), 1U);

  EXPECT_EQ(
      PagesAt(saved, board.value[0], kPages),
      (std::map<uint64_t, std::string>{{3, Filled('a')}, {4, Filled('a')}, {9, Filled('b')}}));
  EXPECT_EQ(PagesAt(saved, board.value[1], kPages),
            (std::map<uint64_t, std::string>{{0, Filled('h')}}));
  std::string written = Filled('f');
  written[0] = 'w';
  EXPECT_EQ(PagesAt(saved, board.value[2], kPages),
            (std::map<uint64_t, std::string>{{7, written}, {8, Filled('\0')}}));
  EXPECT_TRUE(PagesAt(saved, board.value[3], kPages).empty());
  const ObjectView shared = VmaAt(saved, board.value[3]);
  EXPECT_EQ(shared.Number("kind"), CRFS_vma_kind_shmem);
  EXPECT_EQ(shared.Number("file"), 0U);
  ASSERT_NE(shared.Number("shmem"), 0U);
  EXPECT_EQ(SavedPages(saved, saved.Get("shmem", shared.Number("shmem"))),
            (std::map<uint64_t, std::string>{{30, Filled('s')}}));
  const ObjectView memfd = FileOf(saved, program.pid(), static_cast<int>(board.value[4]));
  EXPECT_EQ(memfd.Number("kind"), CRFS_file_kind_shmem);
  EXPECT_EQ(memfd.Bytes("path"), "/memfd:board");
  const auto tail = SavedPages(saved, saved.Get("shmem", memfd.Number("shmem")));
  ASSERT_EQ(tail.size(), 1U);
  EXPECT_EQ(tail.at(2).substr(90, 10), std::string("tail\0\0\0\0\0\0", 10));
  EXPECT_EQ(tail.at(2).substr(100), std::string(kPage - 100, '\0'));
  // The child has the same shared memory and file, and its own copy of the rest.
  EXPECT_EQ(saved.Ids("mm").size(), 2U);
  uint64_t users = 0;
  for (const uint64_t id : saved.Ids("vma")) {
    users += saved.Get("vma", id).Number("shmem") == shared.Number("shmem");
  }
  EXPECT_EQ(users, 2U);
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
  ::close(file);
}

TEST(Memory, RowsOfMappingsAreThoseOfProc) {
  Program program([](Board& board) { Sleep(board); });
  const LoadedCheckpoint saved = program.Save();
  const std::vector<ProcMapping> mappings = *ReadMappings(program.pid());
  const auto ids = saved.Ids("vma");
  ASSERT_EQ(ids.size(), mappings.size());
  std::map<std::string, uint64_t> kinds;
  for (size_t i = 0; i < ids.size(); ++i) {
    const ObjectView vma = saved.Get("vma", ids[i]);
    EXPECT_EQ(vma.Number("start"), mappings[i].start);
    EXPECT_EQ(vma.Number("end"), mappings[i].end);
    EXPECT_EQ(vma.Number("prot"), mappings[i].prot);
    EXPECT_EQ(vma.Number("flags"), mappings[i].flags);
    EXPECT_NE(vma.Number("flags"), 0U);
    kinds[mappings[i].name] = vma.Number("kind");
    if (vma.Number("file") != 0) {
      const ObjectView file = saved.Get("file", vma.Number("file"));
      EXPECT_EQ(file.Bytes("path"), mappings[i].name);
      EXPECT_EQ(file.Number("inode"), mappings[i].inode);
      EXPECT_EQ(file.Number("dev"), mappings[i].dev);
    }
  }
  EXPECT_EQ(kinds["[stack]"], CRFS_vma_kind_stack);
  if (!kSanitized) {  // whose memory comes from elsewhere
    EXPECT_EQ(kinds["[heap]"], CRFS_vma_kind_heap);
  }
  EXPECT_EQ(kinds["[vdso]"], CRFS_vma_kind_vdso);
  EXPECT_EQ(kinds["[vvar]"], CRFS_vma_kind_vvar);
  const ObjectView mm = saved.Get("mm", 1);
  // The program's file is the one that its own code is mapped from.
  EXPECT_EQ(VmaAt(saved, static_cast<int64_t>(mm.Number("start_code"))).Number("file"),
            mm.Number("exe"));
  // The code of the vdso is saved whole.
  EXPECT_EQ(SavedPages(saved, VmaAt(saved, static_cast<int64_t>(mm.Number("vdso")))).empty(),
            false);
}

// Huge pages, the huge zero page, and pages that kill whoever touches them.
TEST(Memory, OfHugePagesAndGuards) {
  constexpr size_t kHuge = 2 << 20;
  constexpr int kGuardInstall = 102;  // MADV_GUARD_INSTALL, Linux 6.13
  Program program([](Board& board) {
    char* memory = Map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 4 * kHuge / kPage);
    memory += kHuge - reinterpret_cast<uintptr_t>(memory) % kHuge;
    ::madvise(memory, 2 * kHuge, MADV_HUGEPAGE);
    [[maybe_unused]] volatile char zero = memory[kPage];
    std::memset(memory + kHuge, 'h', kHuge);
    char* guarded = Alone(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    std::memset(guarded, 'g', 3 * kPage);
    board.value[2] = ::madvise(guarded + kPage, kPage, kGuardInstall);
    board.value[0] = reinterpret_cast<int64_t>(memory);
    board.value[1] = reinterpret_cast<int64_t>(guarded);
    Sleep(board);
  });
  const LoadedCheckpoint saved = program.Save();
  const auto huge = PagesAt(saved, program.board().value[0], 2 * kHuge / kPage);
  EXPECT_EQ(huge.size(), kHuge / kPage);
  EXPECT_EQ(huge.begin()->first, kHuge / kPage);
  EXPECT_EQ(huge.begin()->second, Filled('h'));
  std::map<uint64_t, std::string> expected = {{0, Filled('g')}, {2, Filled('g')}};
  if (program.board().value[2] != 0) expected[1] = Filled('g');  // no guards here
  EXPECT_EQ(PagesAt(saved, program.board().value[1], kPages), expected);
}

// Kernels before 6.7 tell less: both ways must find the same, for who may see the flags of pages.
// To others a page of zeros that fork(2) shares is the zero page.
TEST(Pages, AreFoundAlikeInBothWays) {
  if (!HasPagemapScan()) GTEST_SKIP() << "this kernel has no PAGEMAP_SCAN";
  if (kSanitized) GTEST_SKIP() << "the shadow of all memory has billions of entries";
  Program program(
      [](Board& board) {
        char* memory = Alone(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        std::memset(memory + kPage, 'x', 3 * kPage);
        [[maybe_unused]] volatile char zero = memory[10 * kPage];
        std::memset(memory + 20 * kPage, 0, 1);
        board.value[0] = reinterpret_cast<int64_t>(memory);
        if (::fork() == 0) {
          Sleep(board);
          ::_exit(0);
        }
        Sleep(board);
      },
      2);
  const absl::StatusOr<PrivatePages> scan = PrivatePages::Open(program.pid());
  const absl::StatusOr<PrivatePages> read =
      PrivatePages::Open(program.pid(), PrivatePages::Way::kPagemap);
  ASSERT_TRUE(scan.ok() && read.ok());
  const bool sees_flags = ::access("/proc/kpageflags", R_OK) == 0;
  bool found = false;
  const std::vector<ProcMapping> mappings = *ReadMappings(program.pid());
  for (const ProcMapping& mapping : mappings) {
    if (mapping.shared || mapping.Has(CRFS_vma_flags_pf) || mapping.Has(CRFS_vma_flags_io)) {
      continue;
    }
    const auto left = scan->Find(mapping.start, mapping.end, mapping.has_file());
    const auto right = read->Find(mapping.start, mapping.end, mapping.has_file());
    ASSERT_TRUE(left.ok() && right.ok());
    const auto ends = [](const std::vector<PageRange>& ranges) {
      std::vector<std::pair<uint64_t, uint64_t>> pairs;
      for (const PageRange& range : ranges) pairs.emplace_back(range.start, range.end);
      return pairs;
    };
    if (sees_flags) {
      EXPECT_EQ(ends(*left), ends(*right)) << mapping.name;
    }
    if (mapping.start != static_cast<uint64_t>(program.board().value[0])) continue;
    const std::pair<uint64_t, uint64_t> written(mapping.start + kPage, mapping.start + 4 * kPage);
    const std::pair<uint64_t, uint64_t> zeros(mapping.start + 20 * kPage,
                                              mapping.start + 21 * kPage);
    EXPECT_THAT(ends(*left), ElementsAre(written, zeros));
    EXPECT_EQ(ends(*right).front(), written);
    found = true;
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace crfs
