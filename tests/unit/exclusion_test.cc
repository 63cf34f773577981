// SPDX-License-Identifier: Apache-2.0

#include "engine/exclusion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace crfs {
namespace {

using ::testing::HasSubstr;

Exclusion Parsed(absl::string_view text) {
  const absl::StatusOr<Exclusion> exclusion = ParseExclusion(text);
  EXPECT_TRUE(exclusion.ok()) << exclusion.status();
  return exclusion.ok() ? *exclusion : Exclusion{};
}

TEST(ExclusionTest, OfADescriptor) {
  const Exclusion all = Parsed("fd:6");
  EXPECT_EQ(all.text, "fd:6");
  EXPECT_EQ(all.kind, Exclusion::Kind::kDescriptor);
  EXPECT_EQ(all.pid, 0);
  EXPECT_EQ(all.fd, 6);
  const Exclusion one = Parsed("981:fd:2147483647");
  EXPECT_EQ(one.pid, 981);
  EXPECT_EQ(one.fd, 2147483647);
}

TEST(ExclusionTest, OfAName) {
  EXPECT_EQ(Parsed("vma:[heap]").name, "[heap]");
  EXPECT_EQ(Parsed("vma:/a b:c-d").name, "/a b:c-d");
  EXPECT_EQ(Parsed("7:vma:fd:6").name, "fd:6");
  EXPECT_EQ(Parsed("7:vma:fd:6").pid, 7);
  EXPECT_EQ(Parsed("7:vma:fd:6").kind, Exclusion::Kind::kName);
}

TEST(ExclusionTest, OfARangeCountsWholePagesAlone) {
  const auto range = [](absl::string_view text) {
    const Exclusion exclusion = Parsed(text);
    EXPECT_EQ(exclusion.kind, Exclusion::Kind::kRange) << text;
    return std::pair(exclusion.begin, exclusion.end);
  };
  using Pair = std::pair<uint64_t, uint64_t>;
  EXPECT_EQ(range("1000-3000"), Pair(0x1000, 0x3000));
  EXPECT_EQ(range("0x1001-0x3fff"), Pair(0x2000, 0x3000));
  EXPECT_EQ(range("7F00Aa000000-7f00aa001000"), Pair(0x7f00aa000000, 0x7f00aa001000));
  EXPECT_EQ(range("0-ffffffffffffffff"), Pair(0, 0xfffffffffffff000));
  EXPECT_EQ(range("12:1000-3000"), Pair(0x1000, 0x3000));
}

TEST(ExclusionTest, NothingElseIsTaken) {
  struct Case {
    absl::string_view text;
    absl::string_view why;
  };
  for (const auto& [text, why] : {Case{"", "is not fd:N"},
                                  Case{"fd", "is not fd:N"},
                                  Case{"fd:", "names no descriptor"},
                                  Case{"fd:-1", "names no descriptor"},
                                  Case{"fd:+1", "names no descriptor"},
                                  Case{"fd: 1", "names no descriptor"},
                                  Case{"fd:1 ", "names no descriptor"},
                                  Case{"fd:0x1", "names no descriptor"},
                                  Case{"fd:2147483648", "names no descriptor"},
                                  Case{"fd:99999999999999999999", "names no descriptor"},
                                  Case{"0:fd:1", "has no pid"},
                                  Case{"-3:fd:1", "is not fd:N"},
                                  Case{"99999999999:fd:1", "is not fd:N"},
                                  Case{"3:4:fd:1", "is not fd:N"},
                                  Case{"vma:", "names no mapping"},
                                  Case{"vma:[stack]", "no program can go on without"},
                                  Case{"5:vma:[vdso]", "no program can go on without"},
                                  Case{"vma:[vvar]", "no program can go on without"},
                                  Case{"1000", "is not fd:N"},
                                  Case{"1000-", "is not fd:N"},
                                  Case{"-1000", "is not fd:N"},
                                  Case{"1000--2000", "is not fd:N"},
                                  Case{"1000-2000-3000", "is not fd:N"},
                                  Case{"1000-2000x", "is not fd:N"},
                                  Case{"1000-10000000000000000", "is not fd:N"},
                                  Case{"3000-1000", "ends where it has not begun"},
                                  Case{"1000-1000", "ends where it has not begun"},
                                  Case{"1001-1fff", "holds no whole page"},
                                  Case{"1001-2fff", "holds no whole page"},
                                  Case{"fffffffffffff001-ffffffffffffffff", "holds no whole page"},
                                  Case{absl::string_view("fd:1\0", 5), "names no descriptor"}}) {
    const absl::StatusOr<Exclusion> exclusion = ParseExclusion(text);
    EXPECT_TRUE(absl::IsInvalidArgument(exclusion.status())) << text;
    EXPECT_THAT(std::string(exclusion.status().message()), HasSubstr(std::string(why))) << text;
  }
}

}  // namespace
}  // namespace crfs
