// SPDX-License-Identifier: Apache-2.0
//
// copy_memory PID FILE: the least that a checkpoint of memory is. Every writable private mapping
// of a process is read by process_vm_readv(2), written to a file, and synced.

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "index/unique_fd.h"

namespace {

constexpr uint64_t kStep = 4 << 20;  // bytes

bool Copy(pid_t pid, uint64_t start, uint64_t end, int file, std::vector<char>& buffer) {
  while (start < end) {
    const size_t length = static_cast<size_t>(std::min<uint64_t>(end - start, kStep));
    const iovec local = {buffer.data(), length};
    const iovec remote = {reinterpret_cast<void*>(start), length};
    const ssize_t got = ::process_vm_readv(pid, &local, 1, &remote, 1, 0);
    if (got <= 0) return false;
    if (::write(file, buffer.data(), static_cast<size_t>(got)) != got) return false;
    start += static_cast<uint64_t>(got);
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const pid_t pid = std::atoi(argv[1]);
  const crfs::UniqueFd file(::open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return 1;
  std::vector<char> buffer(kStep);
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  for (std::string line; std::getline(maps, line);) {
    uint64_t start, end;
    char rights[5];
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s", &start, &end, rights) != 3)
      continue;
    if (rights[0] != 'r' || rights[1] != 'w' || rights[3] != 'p') continue;
    if (!Copy(pid, start, end, file.get(), buffer)) return 1;
  }
  return ::fdatasync(file.get()) == 0 ? 0 : 1;
}
