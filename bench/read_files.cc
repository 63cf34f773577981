// SPDX-License-Identifier: Apache-2.0
//
// read_files TIMES FILE...: reads each file TIMES times from begin to end, all files at
// once, each in a thread of its own. Prints seconds for one time, the median; of several
// files, for all to have been read, on average.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

bool ReadOnce(const char* path, std::vector<char>& buffer) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t got;
  while ((got = ::read(fd, buffer.data(), buffer.size())) > 0) {
  }
  ::close(fd);
  return got == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int times = argc > 2 ? std::atoi(argv[1]) : 0;
  if (times <= 0) {
    std::fprintf(stderr, "Usage: read_files TIMES FILE...\n");
    return 2;
  }
  std::atomic<bool> failed = false;
  std::vector<double> seconds;  // of the first file
  std::vector<std::thread> threads;
  const Clock::time_point begin = Clock::now();
  for (int i = 2; i < argc; ++i) {
    threads.emplace_back([&, i] {
      std::vector<char> buffer(1 << 20);
      for (int time = 0; time < times; ++time) {
        const Clock::time_point start = Clock::now();
        if (!ReadOnce(argv[i], buffer)) {
          std::perror(argv[i]);
          failed = true;
          return;
        }
        if (i == 2) seconds.push_back(Since(start));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double all = Since(begin);
  if (failed) return 1;
  std::sort(seconds.begin(), seconds.end());
  std::printf("%.6f\n", argc == 3 ? seconds[seconds.size() / 2] : all / times);
  return 0;
}
