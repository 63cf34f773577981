// SPDX-License-Identifier: Apache-2.0
//
// Which pages are saved, and what the memory descriptors give.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>

#include "harness.h"

namespace kmod_test {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kHuge = 2 << 20;

char* Map(uint64_t length, int prot = PROT_READ | PROT_WRITE, int flags = MAP_PRIVATE | MAP_ANONYMOUS,
          int fd = -1, off_t offset = 0) {
  void* at = mmap(nullptr, length, prot, flags, fd, offset);
  if (at == MAP_FAILED) _exit(90);
  return static_cast<char*>(at);
}

void Touch(char* at, uint64_t length, uint64_t step = kPage) {
  for (uint64_t i = 0; i < length; i += step) at[i] = static_cast<char>(1 + i / kPage);
}

char* MapHuge(uint64_t length) {
  char* raw = Map(length + kHuge);
  char* at = reinterpret_cast<char*>((reinterpret_cast<uint64_t>(raw) + kHuge - 1) & ~(kHuge - 1));
  madvise(at, length, MADV_HUGEPAGE);
  return at;
}

// Whatever a private mapping can be made of.
void MakeMappings() {
  Touch(Map(64 * kPage), 64 * kPage);
  Map(64 * kPage);
  Touch(Map(600 * kPage), 600 * kPage, 3 * kPage);
  char* none = Map(16 * kPage);
  Touch(none, 8 * kPage);
  mprotect(none, 16 * kPage, PROT_NONE);
  char* zeros = Map(32 * kPage);
  volatile char sum = 0;
  for (uint64_t i = 0; i < 32; i++) sum = static_cast<char>(sum + zeros[i * kPage]);
  zeros[5 * kPage] = 1;
  char* huge = MapHuge(3 * kHuge);
  Touch(huge, 2 * kHuge);
  volatile char huge_zero = huge[2 * kHuge];
  static_cast<void>(huge_zero);
  madvise(huge + kHuge + 7 * kPage, 9 * kPage, MADV_DONTNEED);  // splits the second
  int fd = open("/proc/self/exe", O_RDONLY);
  char* file = Map(16 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
  for (uint64_t i = 0; i < 8; i++) sum = static_cast<char>(sum + file[i * kPage]);
  file[2 * kPage] = 1;
  file[3 * kPage] = 1;
  file[15 * kPage] = 1;
  char* out = Map(256 * kPage);
  Touch(out, 200 * kPage);
  madvise(out, 100 * kPage, MADV_PAGEOUT);
  char* cow = Map(32 * kPage);
  Touch(cow, 32 * kPage);
  if (fork() == 0) {  // shares them
    close_range(3, ~0u, 0);
    pause();
  }
  cow[4 * kPage] = 9;
  Touch(Map(kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS), kPage);
}

// The child that MakeMappings forked, which outlives its parent otherwise.
void KillChildren(pid_t pid) {
  std::string children =
      ReadFile("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
  if (!children.empty()) kill(static_cast<pid_t>(std::stol(children)), SIGKILL);
}

// The saved pages of [start, end), as pagemap has them, counted from start.
std::vector<bool> Pagemap(pid_t pid, uint64_t start, uint64_t end) {
  Fd map(open(("/proc/" + std::to_string(pid) + "/pagemap").c_str(), O_RDONLY));
  Fd kinds(open("/proc/kpageflags", O_RDONLY));
  std::vector<uint64_t> entries((end - start) / kPage);
  std::vector<bool> saved(entries.size());
  if (pread(map.get(), entries.data(), entries.size() * 8, static_cast<off_t>(start / kPage * 8)) !=
      static_cast<ssize_t>(entries.size() * 8))
    return {};
  for (size_t i = 0; i < entries.size(); i++) {
    bool present = entries[i] >> 63 & 1, swapped = entries[i] >> 62 & 1, file = entries[i] >> 61 & 1;
    uint64_t kind = 0;
    if (present && !file)
      if (pread(kinds.get(), &kind, 8, static_cast<off_t>((entries[i] & ((1ULL << 55) - 1)) * 8)) != 8)
        return {};
    saved[i] = (present && !file && !(kind >> 24 & 1)) || (swapped && !file);
  }
  return saved;
}

std::string CheckPages(Stream& stream, pid_t pid, uint64_t* swapped) {
  uint64_t checked = 0;
  for (const Object& object : stream.Of(CRFS_TAG_vma)) {
    const auto& vma = object.As<crfs_vma>();
    std::vector<bool> saved((vma.end - vma.start) / kPage);
    for (const Extent& extent : stream.extents[{CRFS_TAG_vma, object.id}])
      for (uint64_t at = extent.offset; at < extent.offset + extent.length; at += kPage)
        saved.at(at / kPage) = true;
    bool own = !(vma.prot & 8) && vma.kind != CRFS_vma_kind_vdso && vma.kind != CRFS_vma_kind_vvar &&
               vma.kind != CRFS_vma_kind_special;
    // The vdso is all there: it is code of this very kernel.
    std::vector<bool> expected = own ? Pagemap(pid, vma.start, vma.end)
                                     : std::vector<bool>(saved.size(), vma.kind == CRFS_vma_kind_vdso);
    for (size_t i = 0; i < saved.size(); i++) {
      EXPECT(expected.size() == saved.size(), "pagemap cannot be read");
      if (saved[i] != expected[i])
        return "page " + std::to_string(i) + " of the mapping of kind " + std::to_string(vma.kind) +
               " with " + std::to_string(saved.size()) + " pages is " + (saved[i] ? "" : "not ") + "saved";
    }
    checked += saved.size();
  }
  EXPECT(checked > 3000, "too few pages");
  Fd map(open(("/proc/" + std::to_string(pid) + "/pagemap").c_str(), O_RDONLY));
  *swapped = static_cast<uint64_t>(std::stoll("0" + Status(pid, "VmSwap")));
  return "";
}

TEST(pages_agree_with_pagemap) {
  Target target([](Target& self) {
    MakeMappings();
    self.Ready();
    pause();
  });
  Checkpoint checkpoint;
  Stream stream = Take(checkpoint, {target.pid()});
  EXPECT(stream.error.empty(), stream.error);
  uint64_t swapped = 0;
  std::string why = CheckPages(stream, target.pid(), &swapped);
  printf("# %lu KiB of the target are swapped out\n", swapped);
  checkpoint.Thaw();
  KillChildren(target.pid());
  return why;
}

TEST(sparse_tebibyte) {
  Target target([](Target& self) {
    char* at = Map(1ULL << 40, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    madvise(at, 1ULL << 40, MADV_NOHUGEPAGE);
    at[0] = at[(1ULL << 39) + 5] = at[(1ULL << 40) - 1] = 1;
    self.Ready(reinterpret_cast<uint64_t>(at));
    pause();
  });
  Checkpoint checkpoint;
  EXPECT_EQ(checkpoint.Freeze(target.pid()), 0);
  double start = Seconds();
  Stream stream = Take(checkpoint, {});
  double took = Seconds() - start;
  EXPECT(stream.error.empty(), stream.error);
  printf("# capture of a sparse 1 TiB: %.2f ms\n", took * 1e3);
  EXPECT(took < 1, std::to_string(took));
  uint64_t found = 0;
  for (const Object& object : stream.Of(CRFS_TAG_vma)) {
    if (object.As<crfs_vma>().end - object.As<crfs_vma>().start < 1ULL << 40) continue;
    uint64_t skip = target.word() - object.As<crfs_vma>().start;
    const auto& extents = stream.extents[{CRFS_TAG_vma, object.id}];
    for (uint64_t offset : {uint64_t{0}, uint64_t{1} << 39, (uint64_t{1} << 40) - kPage})
      found += std::any_of(extents.begin(), extents.end(), [&](const Extent& extent) {
        return extent.offset == offset + skip && extent.length == kPage;
      });
    EXPECT(extents.size() <= 4, std::to_string(extents.size()));
  }
  EXPECT_EQ(found, 3u);
  return "";
}

// Reads all extents of an mm by a descriptor of its own and compares them.
std::string CompareMm(Checkpoint& checkpoint, Stream& stream, pid_t pid, size_t part, size_t parts) {
  Fd memory = checkpoint.Memory(CRFS_TAG_mm, 1);
  EXPECT(memory.ok(), strerror(errno));
  std::vector<char> ours(1 << 20), theirs(1 << 20);
  size_t number = 0;
  for (const Object& object : stream.Of(CRFS_TAG_vma)) {
    for (const Extent& extent : stream.extents.count({CRFS_TAG_vma, object.id})
                                    ? stream.extents.at({CRFS_TAG_vma, object.id})
                                    : std::vector<Extent>{}) {
      for (uint64_t done = 0; done < extent.length; done += ours.size()) {
        if (number++ % parts != part) continue;
        uint64_t at = object.As<crfs_vma>().start + extent.offset + done;
        uint64_t length = std::min<uint64_t>(ours.size(), extent.length - done);
        EXPECT_EQ(pread(memory.get(), ours.data(), length, static_cast<off_t>(at)),
                  static_cast<ssize_t>(length));
        iovec local{theirs.data(), length}, remote{reinterpret_cast<void*>(at), length};
        if (process_vm_readv(pid, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(length))
          EXPECT(memcmp(ours.data(), theirs.data(), length) == 0, "memory differs");
        else
          EXPECT((object.As<crfs_vma>().prot & 1) == 0, "process_vm_readv");
      }
    }
  }
  return "";
}

TEST(parallel_memory_equals_process_vm_readv) {
  Target target([](Target& self) {
    char* at = Map(64 << 20);
    for (uint64_t i = 0; i < 64 << 20; i += 8) *reinterpret_cast<uint64_t*>(at + i) = i * 0x9e3779b97f4a7c15;
    MakeMappings();
    self.Ready();
    pause();
  });
  Checkpoint checkpoint;
  Stream stream = Take(checkpoint, {target.pid()});
  EXPECT(stream.error.empty(), stream.error);
  std::vector<std::string> why(4);
  std::vector<std::thread> readers;
  for (size_t i = 0; i < why.size(); i++)
    readers.emplace_back([&, i] { why[i] = CompareMm(checkpoint, stream, target.pid(), i, why.size()); });
  for (auto& reader : readers) reader.join();
  KillChildren(target.pid());
  for (const auto& reason : why) EXPECT(reason.empty(), reason);
  return "";
}

TEST(holes_splice_and_thaw) {
  Target target([](Target& self) {
    char* at = Map(8 * kPage);
    at[0] = 'a';
    at[kPage] = 'b';
    at[3 * kPage] = 'c';
    self.Ready(reinterpret_cast<uint64_t>(at));
    pause();
  });
  auto base = static_cast<off_t>(target.word());
  Checkpoint checkpoint;
  Stream stream = Take(checkpoint, {target.pid()});
  EXPECT(stream.error.empty(), stream.error);
  int error = 0;
  checkpoint.Memory(CRFS_TAG_mm, 2, &error);
  EXPECT_EQ(error, ENOENT);
  checkpoint.Memory(CRFS_TAG_file, 1, &error);
  EXPECT_EQ(error, EINVAL);
  Fd memory = checkpoint.Memory(CRFS_TAG_mm, 1, &error);
  EXPECT_EQ(error, 0);
  char buffer[8 * kPage];
  EXPECT_EQ(pread(memory.get(), buffer, sizeof(buffer), base), static_cast<ssize_t>(2 * kPage));
  EXPECT(buffer[0] == 'a' && buffer[kPage] == 'b', "contents");
  EXPECT_EQ(pread(memory.get(), buffer, 10, base + static_cast<off_t>(kPage) - 5), 10);
  EXPECT_EQ(buffer[5], 'b');
  EXPECT_EQ(pread(memory.get(), buffer, 10, base + 2 * static_cast<off_t>(kPage)), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(pread(memory.get(), buffer, 10, 0), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(pread(memory.get(), buffer, 10, INT64_MAX - 4), -1);
  EXPECT_EQ(lseek(memory.get(), base + 3 * static_cast<off_t>(kPage), SEEK_SET), base + 3 * static_cast<off_t>(kPage));
  EXPECT_EQ(read(memory.get(), buffer, 1), 1);
  EXPECT_EQ(buffer[0], 'c');
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  loff_t from = base;
  ssize_t moved = splice(memory.get(), &from, ends[1], nullptr, 2 * kPage, 0);
  EXPECT(moved > 0, strerror(errno));
  EXPECT_EQ(checkpoint.Thaw(), 0);
  target.~Target();
  new (&target) Target([](Target& self) { self.Ready(); });
  EXPECT_EQ(read(ends[0], buffer, sizeof(buffer)), moved);
  EXPECT_EQ(buffer[0], 'a');
  EXPECT_EQ(pread(memory.get(), buffer, 10, base), -1);
  EXPECT_EQ(errno, ENODATA);
  checkpoint.Memory(CRFS_TAG_mm, 1, &error);
  EXPECT_EQ(error, ENODATA);
  close(ends[0]);
  close(ends[1]);
  return "";
}

TEST(shared_memory) {
  Target target([](Target& self) {
    char* anon = Map(40 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    Touch(anon + 7 * kPage, 3 * kPage);
    int memfd = static_cast<int>(syscall(SYS_memfd_create, "some name", 2));
    if (ftruncate(memfd, 20 * kPage + 100) != 0) _exit(91);
    if (pwrite(memfd, "hello", 5, 20 * kPage) != 5) _exit(92);
    fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK);
    Map(4 * kPage, PROT_READ, MAP_SHARED, memfd, 2 * kPage);
    int id = shmget(IPC_PRIVATE, 10 * kPage, 0600);
    auto* sysv = static_cast<char*>(shmat(id, nullptr, 0));
    shmctl(id, IPC_RMID, nullptr);
    sysv[kPage] = 's';
    self.Ready();
    pause();
  });
  Checkpoint checkpoint;
  Stream stream = Take(checkpoint, {target.pid()});
  EXPECT(stream.error.empty(), stream.error);
  std::set<std::string> seen;
  for (const Object& object : stream.Of(CRFS_TAG_shmem)) {
    const auto& shmem = object.As<crfs_shmem>();
    const auto& extents = stream.extents[{CRFS_TAG_shmem, object.id}];
    std::string name(object.Bytes(shmem.name));
    Fd memory = checkpoint.Memory(CRFS_TAG_shmem, object.id);
    EXPECT(memory.ok(), strerror(errno));
    char page[kPage];
    if (name == "/dev/zero (deleted)" && shmem.size == 40 * kPage) {
      EXPECT_EQ(extents.size(), 1u);
      EXPECT(extents[0].offset == 7 * kPage && extents[0].length == 3 * kPage, "anonymous");
      EXPECT_EQ(pread(memory.get(), page, kPage, 8 * kPage), static_cast<ssize_t>(kPage));
      EXPECT_EQ(page[0], 2);
      seen.insert("anon");
    } else if (name == "/memfd:some name (deleted)") {
      EXPECT_EQ(shmem.size, 20 * kPage + 100);
      EXPECT_EQ(shmem.seals, static_cast<uint32_t>(F_SEAL_SHRINK));
      EXPECT_EQ(extents.size(), 1u);
      EXPECT(extents[0].offset == 20 * kPage && extents[0].length == kPage, "memfd");
      EXPECT_EQ(pread(memory.get(), page, kPage, 20 * kPage), static_cast<ssize_t>(kPage));
      EXPECT_EQ(std::string(page), "hello");
      int ends[2];
      EXPECT_EQ(pipe(ends), 0);
      loff_t from = 20 * kPage;
      EXPECT(splice(memory.get(), &from, ends[1], nullptr, 50, 0) > 0, strerror(errno));
      close(ends[0]);
      close(ends[1]);
      seen.insert("memfd");
    } else if (shmem.sysv) {
      EXPECT_EQ(shmem.size, 10 * kPage);
      EXPECT_EQ(extents.size(), 1u);
      EXPECT_EQ(pread(memory.get(), page, kPage, kPage), static_cast<ssize_t>(kPage));
      EXPECT_EQ(page[0], 's');
      seen.insert("sysv");
    }
  }
  EXPECT_EQ(seen.size(), 3u);
  uint64_t mapped_memfd = 0, memfds = 0;
  for (const Object& object : stream.Of(CRFS_TAG_vma)) {
    const auto& vma = object.As<crfs_vma>();
    if (vma.kind != CRFS_vma_kind_shmem) continue;
    EXPECT(vma.shmem != 0, "a shmem mapping without shmem");
    if (vma.file) {
      mapped_memfd = vma.file;
      EXPECT_EQ(vma.offset, 2 * kPage);
    }
  }
  for (const Object& object : stream.Of(CRFS_TAG_file))
    if (object.As<crfs_file>().kind == CRFS_file_kind_shmem) {
      memfds = object.id;
      EXPECT_EQ(object.Bytes(object.As<crfs_file>().path), std::string_view("/memfd:some name"));
      EXPECT_EQ(object.As<crfs_file>().deleted, 1u);
    }
  EXPECT_EQ(mapped_memfd, memfds);
  EXPECT(memfds != 0, "no memfd");
  return "";
}

TEST(rate) {
  constexpr uint64_t kLength = 192 << 20;
  Target target([](Target& self) {
    char* at = Map(kLength);
    Touch(at, kLength);
    self.Ready(reinterpret_cast<uint64_t>(at));
    pause();
  });
  Checkpoint checkpoint;
  Stream stream = Take(checkpoint, {target.pid()});
  EXPECT(stream.error.empty(), stream.error);
  Fd memory = checkpoint.Memory(CRFS_TAG_mm, 1);
  std::vector<char> buffer(4 << 20, 1);
  // By turns, chunk by chunk, and the medians: the machine may be busy with other things.
  std::vector<double> ours, theirs;
  for (int round = 0; round < 4; round++) {
    for (uint64_t done = 0; done < kLength; done += buffer.size()) {
      double start = Seconds();
      EXPECT_EQ(pread(memory.get(), buffer.data(), buffer.size(), static_cast<off_t>(target.word() + done)),
                static_cast<ssize_t>(buffer.size()));
      double middle = Seconds();
      iovec local{buffer.data(), buffer.size()};
      iovec remote{reinterpret_cast<void*>(target.word() + done), buffer.size()};
      EXPECT_EQ(process_vm_readv(target.pid(), &local, 1, &remote, 1, 0),
                static_cast<ssize_t>(buffer.size()));
      ours.push_back(middle - start);
      theirs.push_back(Seconds() - middle);
    }
  }
  std::nth_element(ours.begin(), ours.begin() + static_cast<long>(ours.size() / 2), ours.end());
  std::nth_element(theirs.begin(), theirs.begin() + static_cast<long>(theirs.size() / 2), theirs.end());
  double our_rate = 4 / ours[ours.size() / 2], their_rate = 4 / theirs[theirs.size() / 2];
  printf("# memory: /dev/crfs %.0f MiB/s, process_vm_readv %.0f MiB/s, ratio %.2f\n", our_rate, their_rate,
         our_rate / their_rate);
  EXPECT(our_rate / their_rate > 0.8, "slower than process_vm_readv");
  return "";
}

}  // namespace
}  // namespace kmod_test
