// SPDX-License-Identifier: Apache-2.0
//
// An image goes through pipes, part by part, in bounded memory, and comes out the same.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "index/byte_stream.h"
#include "index/image_input.h"
#include "index/image_reader.h"
#include "index/unique_fd.h"
#include "tests/generate/copier.h"
#include "tests/generate/generate.h"
#include "tests/sanitized.h"

namespace crfs {
namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read = UniqueFd(ends[0]);
    write = UniqueFd(ends[1]);
  }
  UniqueFd read, write;
};

// Digests what passes to the next sink, if there is one.
class DigestingSink : public ByteSink {
 public:
  explicit DigestingSink(ByteSink* next) : next_(next) {}
  absl::Status Write(absl::string_view bytes) override {
    digester.Add(bytes);
    size += bytes.size();
    return next_ == nullptr ? absl::OkStatus() : next_->Write(bytes);
  }
  Digester digester;
  uint64_t size = 0;

 private:
  ByteSink* next_;
};

// VmHWM, KiB: the most memory this program has held since ResetPeak.
uint64_t PeakMemory() {
  std::ifstream status("/proc/self/status");
  std::string line;
  uint64_t peak = 0;
  while (std::getline(status, line)) {
    if (line.rfind("VmHWM:", 0) != 0) continue;
    for (const absl::string_view word : absl::StrSplit(line, ' ')) {
      if (absl::SimpleAtoi(word, &peak)) break;
    }
  }
  return peak;
}
void ResetPeak() { std::ofstream("/proc/self/clear_refs") << "5"; }

TEST(StreamTest, ThroughTwoPipesInBoundedMemory) {
  Pipe first, second;
  Digest written{};
  uint64_t size = 0;
  ResetPeak();
  const uint64_t before = PeakMemory();
  absl::Status generated, passed;
  std::thread generator([&] {
    FdSink sink(first.write.get(), "first pipe");
    // The image is written twice at once: into the pipe, and into a digest.
    DigestingSink both(&sink);
    generated = GenerateImage({.seed = 9, .objects = 100'000, .memory = 512 << 20}, both);
    first.write.reset();
    written = both.digester.Get();
    size = both.size;
  });
  std::thread copier([&] {
    FdSource source(first.read.get(), "first pipe");
    FdSink sink(second.write.get(), "second pipe");
    passed = CopyImage(source, sink);
    second.write.reset();
  });
  FdSource source(second.read.get(), "second pipe");
  DigestingSink end(nullptr);
  const absl::Status read = CopyImage(source, end);
  generator.join();
  copier.join();
  const uint64_t after = PeakMemory();
  EXPECT_TRUE(generated.ok()) << generated;
  EXPECT_TRUE(passed.ok()) << passed;
  EXPECT_TRUE(read.ok()) << read;
  EXPECT_EQ(end.digester.Get(), written);
  EXPECT_EQ(end.size, size);
  EXPECT_GT(end.size, uint64_t{512} << 20);
  // Two readers, three writers and a generator. Sanitizers keep what is freed for a while.
  constexpr uint64_t kMost = kSanitized ? 512 << 10 : 24 << 10;
  EXPECT_LT(after - before, kMost) << "KiB";
}

}  // namespace
}  // namespace crfs
