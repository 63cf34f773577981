// SPDX-License-Identifier: Apache-2.0
//
// Arguments that no honest caller gives.

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include "harness.h"

namespace kmod_test {
namespace {

int Ioctl(int fd, unsigned long command, void* args) { return ioctl(fd, command, args) < 0 ? -errno : 0; }

TEST(hostile_sizes) {
  Fd device(open(CRFS_DEVICE_PATH, O_RDWR | O_CLOEXEC));
  Checkpoint checkpoint;
  const unsigned long commands[] = {CRFS_IOC_FREEZE, CRFS_IOC_CAPTURE, CRFS_IOC_MEMORY, CRFS_IOC_THAW};
  alignas(8) char args[8192] = {};
  auto& size = *reinterpret_cast<uint32_t*>(args);
  for (unsigned long command : commands) {
    for (uint32_t bad : {0u, 1u, 4u, 7u}) {
      size = bad;
      EXPECT_EQ(Ioctl(checkpoint.fd(), command, args), -EINVAL);
    }
    for (uint32_t bad : {4097u, 0x80000000u, 0xffffffffu}) {
      size = bad;
      EXPECT_EQ(Ioctl(checkpoint.fd(), command, args), -E2BIG);
    }
    EXPECT_EQ(Ioctl(checkpoint.fd(), command, nullptr), -EFAULT);
    EXPECT_EQ(Ioctl(checkpoint.fd(), command, reinterpret_cast<void*>(0xffff888000000000)), -EFAULT);
    EXPECT_EQ(Ioctl(device.get(), command, args), -ENOTTY);
  }
  size = 200;
  args[199] = 1;
  EXPECT_EQ(Ioctl(device.get(), CRFS_IOC_QUERY, args), -E2BIG);
  args[199] = 0;
  EXPECT_EQ(Ioctl(device.get(), CRFS_IOC_QUERY, args), 0);
  EXPECT_EQ(size, 200u);
  EXPECT_EQ(Ioctl(checkpoint.fd(), CRFS_IOC_QUERY, args), -ENOTTY);
  EXPECT_EQ(Ioctl(checkpoint.fd(), 0xdeadbeef, args), -ENOTTY);
  // The struct ends where the page does.
  auto* pages = static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  munmap(pages + 4096, 4096);
  auto* edge = reinterpret_cast<crfs_ioc_thaw*>(pages + 4096 - sizeof(crfs_ioc_thaw));
  edge->size = sizeof(*edge);
  EXPECT_EQ(Ioctl(checkpoint.fd(), CRFS_IOC_THAW, edge), 0);
  edge->size = sizeof(*edge) + 8;
  EXPECT_EQ(Ioctl(checkpoint.fd(), CRFS_IOC_THAW, edge), -EFAULT);
  munmap(pages, 4096);
  return "";
}

TEST(hostile_flags_and_order) {
  Target target([](Target& self) {
    self.Ready();
    for (;;) self.Beat(), Pause(1);
  });
  Fd device(open(CRFS_DEVICE_PATH, O_RDWR | O_CLOEXEC));
  crfs_ioc_checkpoint flags{sizeof(flags), 1};
  EXPECT_EQ(Ioctl(device.get(), CRFS_IOC_CHECKPOINT, &flags), -EINVAL);
  Checkpoint checkpoint;
  char byte;
  EXPECT_EQ(read(checkpoint.fd(), &byte, 1), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(checkpoint.Capture(), -EINVAL);  // of nothing
  int error;
  checkpoint.Memory(CRFS_TAG_mm, 1, &error);
  EXPECT_EQ(error, EINVAL);
  Fd mem(open(("/proc/" + std::to_string(target.pid()) + "/mem").c_str(), O_RDONLY));
  crfs_ioc_freeze freeze{};
  freeze.size = sizeof(freeze);
  freeze.pid = static_cast<uint32_t>(target.pid());
  freeze.mem_fd = mem.get();
  freeze.flags = 1;
  EXPECT_EQ(Ioctl(checkpoint.fd(), CRFS_IOC_FREEZE, &freeze), -EINVAL);
  freeze.flags = 0;
  freeze.reserved = 1;
  EXPECT_EQ(Ioctl(checkpoint.fd(), CRFS_IOC_FREEZE, &freeze), -EINVAL);
  freeze.reserved = 0;
  freeze.timeout_ms = 0xffffffff;
  EXPECT_EQ(Ioctl(checkpoint.fd(), CRFS_IOC_FREEZE, &freeze), 0);
  EXPECT_EQ(checkpoint.Capture(), 0);
  for (uint64_t id : {uint64_t{0}, uint64_t{2}, ~uint64_t{0}, uint64_t{1} << 32}) {
    checkpoint.Memory(CRFS_TAG_mm, id, &error);
    EXPECT_EQ(error, ENOENT);
  }
  EXPECT_EQ(syscall(SYS_read, checkpoint.fd(), 8L, 100L), -1);
  EXPECT_EQ(errno, EFAULT);
  Fd memory = checkpoint.Memory(CRFS_TAG_mm, 1, &error);
  EXPECT_EQ(write(memory.get(), "x", 1), -1);
  EXPECT_EQ(write(checkpoint.fd(), "x", 1), -1);
  EXPECT_EQ(pread(memory.get(), &byte, 1, -1), -1);
  EXPECT_EQ(lseek(memory.get(), -1, SEEK_SET), -1);
  EXPECT_EQ(lseek(memory.get(), 0, SEEK_END), -1);
  EXPECT_EQ(Ioctl(memory.get(), CRFS_IOC_THAW, &freeze), -ENOTTY);
  return "";
}

// Random bytes, for whatever the rules above forgot.
TEST(hostile_noise) {
  srand(4711);
  Fd device(open(CRFS_DEVICE_PATH, O_RDWR | O_CLOEXEC));
  Checkpoint checkpoint;
  for (int i = 0; i < 20000; i++) {
    alignas(8) uint32_t args[64];
    for (uint32_t& word : args) word = rand() % 3 ? 0 : static_cast<uint32_t>(rand()) >> (rand() % 32);
    args[0] = static_cast<uint32_t>(8 + rand() % 60);
    unsigned long command = 0xcf00 + static_cast<unsigned long>(rand() % 8);
    int result = ioctl(rand() % 2 ? device.get() : checkpoint.fd(), command, args);
    if (result > 2 && (command == CRFS_IOC_CHECKPOINT || command == CRFS_IOC_RESTART)) close(result);
  }
  return "";
}

}  // namespace
}  // namespace kmod_test
