// SPDX-License-Identifier: Apache-2.0
//
// One small target: the stream's framing, and that the target goes on.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "harness.h"

namespace kmod_test {
namespace {

TEST(query) {
  Fd device(open(CRFS_DEVICE_PATH, O_RDWR | O_CLOEXEC));
  EXPECT(device.ok(), "cannot open " CRFS_DEVICE_PATH);
  crfs_ioc_query args{};
  args.size = sizeof(args);
  EXPECT_EQ(ioctl(device.get(), CRFS_IOC_QUERY, &args), 0);
  EXPECT_EQ(args.format, static_cast<uint32_t>(CRFS_FORMAT_VERSION));
  EXPECT_EQ(args.features & CRFS_FEATURE_CAPTURE, CRFS_FEATURE_CAPTURE);
  return "";
}

TEST(framing) {
  Target target([](Target& self) {
    self.Ready();
    for (;;) self.Beat(), Pause(1);
  });
  Checkpoint checkpoint;
  Stream stream = Take(checkpoint, {target.pid()});
  EXPECT(stream.error.empty(), stream.error);
  uint64_t before = target.beats();
  Pause(50);
  EXPECT_EQ(target.beats(), before);
  EXPECT_EQ(stream.Of(CRFS_TAG_task).size(), 1u);
  EXPECT_EQ(stream.Of(CRFS_TAG_thread).size(), 1u);
  EXPECT_EQ(stream.Of(CRFS_TAG_mm).size(), 1u);
  EXPECT(stream.memory > 0, "no memory");
  EXPECT_EQ(checkpoint.Thaw(), 0);
  EXPECT(checkpoint.thaw.frozen_ns > 50000000u, std::to_string(checkpoint.thaw.frozen_ns));
  EXPECT(target.Runs(), "the target does not go on");
  return "";
}

TEST(close_thaws) {
  Target target([](Target& self) {
    self.Ready();
    for (;;) self.Beat(), Pause(1);
  });
  Checkpoint checkpoint;
  EXPECT_EQ(checkpoint.Freeze(target.pid()), 0);
  uint64_t before = target.beats();
  Pause(50);
  EXPECT_EQ(target.beats(), before);
  checkpoint.Close();
  EXPECT(target.Runs(), "the target does not go on");
  return "";
}

}  // namespace
}  // namespace kmod_test
