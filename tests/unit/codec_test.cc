// SPDX-License-Identifier: Apache-2.0
//
// The exact texts that people see and write. That each codec is its own inverse is tested
// for every row in tests/property/codec_test.cc.

#include "index/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace crfs {
namespace {

using ::testing::HasSubstr;
using std::string_literals::operator""s;

const Row& RowOf(absl::string_view type, absl::string_view field) {
  const Row* row = FindType(type)->Find(field);
  EXPECT_NE(row, nullptr) << field;
  return *row;
}

struct NumberText {
  const char* type;
  const char* field;
  uint64_t number;
  const char* text;
};

constexpr auto kMinusOne = static_cast<uint64_t>(-1);

TEST(CodecTest, Numbers) {
  const NumberText kTexts[] = {
      {"pipe", "capacity", 65536, "65536\n"},
      {"file", "pos", kMinusOne, "-1\n"},
      {"thread", "nice", static_cast<uint64_t>(-20), "-20\n"},
      {"thread", "rip", 0x7f12345678ab, "0x7f12345678ab\n"},
      {"thread", "rip", 0, "0x0\n"},
      {"thread", "personality", 0x40000, "00040000\n"},
      {"mm", "coredump_filter", 0x33, "00000033\n"},
      {"file", "mode", 0100644, "0100644\n"},
      {"file", "mode", 0, "0\n"},
      {"fs", "umask", 022, "0022\n"},
      {"vma", "offset", 0x1000, "00001000\n"},
      {"vma", "offset", 0x123456789000, "123456789000\n"},
      {"file", "dev", 0x800000001, "08:01\n"},
      {"file", "dev", 0xfd00000000, "fd:00\n"},
      {"file", "dev", 0x45600012378, "456:12378\n"},
      {"checkpoint", "downtime", 12'345'678, "0.012345678\n"},
      {"thread", "timerslack", 50'000, "0.000050000\n"},
      {"checkpoint", "time", 1'700'000'000'123'456'789, "2023-11-14T22:13:20.123456789Z\n"},
      {"file", "mtime", 0, "1970-01-01T00:00:00.000000000Z\n"},
      {"file", "mtime", kMinusOne, "1969-12-31T23:59:59.999999999Z\n"},
      {"checkpoint", "time", kMinusOne, "2554-07-21T23:34:33.709551615Z\n"},
      {"task", "rlimit_nofile_soft", 1024, "1024\n"},
      {"task", "rlimit_nofile_hard", kMinusOne, "unlimited\n"},
  };
  for (const NumberText& each : kTexts) {
    const Row& row = RowOf(each.type, each.field);
    EXPECT_EQ(FormatValue(row, {each.number, ""}), each.text) << each.field;
    const auto value = ParseValue(row, each.text);
    ASSERT_TRUE(value.ok()) << value.status() << " " << each.text;
    EXPECT_EQ(value->number, each.number) << each.text;
  }
}

TEST(CodecTest, Words) {
  const NumberText kTexts[] = {
      {"vma", "prot", 0, "---p\n"},
      {"vma", "prot", 3, "rw-p\n"},
      {"vma", "prot", 13, "r-xs\n"},
      {"sigaction", "handler", 0, "default\n"},
      {"sigaction", "handler", 1, "ignore\n"},
      {"sigaction", "handler", 0x401000, "0x401000\n"},
      {"sigaction", "flags", 0x14000000, "SA_RESTORER SA_RESTART\n"},
      {"task", "exit_signal", 17, "SIGCHLD\n"},
      {"task", "exit_signal", 0, "0\n"},
      {"task", "exit_signal", 34, "SIGRTMIN\n"},
      {"task", "exit_signal", 37, "SIGRTMIN+3\n"},
      {"task", "exit_signal", 64, "SIGRTMIN+30\n"},
      {"task", "exit_signal", 32, "SIG32\n"},
      {"thread", "sigmask", 0, "\n"},
      {"thread", "sigmask", 0x0000001000000201, "SIGHUP SIGUSR1 SIGRTMIN+3\n"},
      {"file", "kind", 4, "pipe\n"},
      {"thread", "policy", 0, "other\n"},
      {"file", "flags", 0, "O_RDONLY\n"},
      {"file", "flags", 02002001, "O_WRONLY O_APPEND O_CLOEXEC\n"},
      {"file", "flags", 3, "O_ACCMODE\n"},
      {"file", "flags", 0x80000006, "O_RDWR bit2 bit31\n"},
      {"vma", "flags", 0x73, "rd wr mr mw me\n"},
      {"cred", "cap_effective", 0, "\n"},
      {"cred", "cap_effective", (1ULL << 40) | 1, "cap_chown cap_checkpoint_restore\n"},
      {"cred", "cap_effective", 1ULL << 63, "bit63\n"},
  };
  for (const NumberText& each : kTexts) {
    const Row& row = RowOf(each.type, each.field);
    EXPECT_EQ(FormatValue(row, {each.number, ""}), each.text) << each.field;
    const auto value = ParseValue(row, each.text);
    ASSERT_TRUE(value.ok()) << value.status() << " " << each.text;
    EXPECT_EQ(value->number, each.number) << each.text;
  }
}

struct BytesText {
  const char* type;
  const char* field;
  std::string bytes;
  std::string text;
};

TEST(CodecTest, Bytes) {
  const BytesText kTexts[] = {
      {"file", "path", "/tmp/a b", "/tmp/a b\n"},
      {"file", "path", "/tmp/new\nline\\", "/tmp/new\\012line\\134\n"},
      {"file", "path", "", "\n"},
      {"file", "path", "/\xff\xc3\xa9", "/\xff\xc3\xa9\n"},
      {"task", "argv", "cat\0a b\0\0"s, "cat\na b\n\n"},
      {"task", "argv", "", ""},
      {"task", "argv", "two\nlines\0"s, "two\\012lines\n"},
      {"task", "argv", "nginx: worker", "nginx: worker"},
      {"pipe", "data", "\0\n\\"s, "\0\n\\"s},
      {"cred", "groups", "\4\0\0\0\x1b\0\0\0"s, "4 27\n"},
      {"cred", "groups", "", "\n"},
      {"thread", "cpus", "\x0f\x01"s, "0-3,8\n"},
      {"thread", "cpus", "\x06", "1-2\n"},
      {"thread", "cpus", "\xff\x01", "0-8\n"},
      {"thread", "cpus", "", "\n"},
      {"checkpoint", "uuid", "\x12\x34\x56\x78\x9a\xbc\xde\xf0\x12\x34\x56\x78\x9a\xbc\xde\xf0"s,
       "12345678-9abc-def0-1234-56789abcdef0\n"},
      {"checkpoint", "parent", "", "\n"},
      {"mm", "auxv",
       "\3\0\0\0\0\0\0\0\x40\0\x40\0\0\0\0\0\x63\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"
       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s,
       "AT_PHDR 0x400040\n99 0x1\nAT_NULL 0x0\n"},
      {"signal", "fields", "\x01\xab", "01ab\n"},
  };
  for (const BytesText& each : kTexts) {
    const Row& row = RowOf(each.type, each.field);
    EXPECT_EQ(FormatValue(row, {0, each.bytes}), each.text) << each.field;
    const auto value = ParseValue(row, each.text);
    ASSERT_TRUE(value.ok()) << value.status() << " " << each.text;
    EXPECT_EQ(value->bytes, each.bytes) << each.text;
  }
}

// What is understood besides the one text that is written.
TEST(CodecTest, Forgiven) {
  const NumberText kTexts[] = {
      {"pipe", "capacity", 65536, "65536"},  // no newline
      {"thread", "rip", 0xab, "0x00AB"},
      {"checkpoint", "downtime", 1'500'000'000, "1.5"},
      {"checkpoint", "downtime", 2'000'000'000, "2\n"},
      {"file", "mtime", 0, "1970-01-01T00:00:00Z"},
      {"sigaction", "flags", 0x14000000, "SA_RESTART SA_RESTORER\n"},
      {"thread", "sigmask", 0x201, "SIGUSR1 SIGHUP\n"},
  };
  for (const NumberText& each : kTexts) {
    const auto value = ParseValue(RowOf(each.type, each.field), each.text);
    ASSERT_TRUE(value.ok()) << value.status() << " " << each.text;
    EXPECT_EQ(value->number, each.number) << each.text;
  }
}

struct BadText {
  const char* type;
  const char* field;
  std::string text;
  const char* message;
};

TEST(CodecTest, NotAccepted) {
  const BadText kTexts[] = {
      {"pipe", "capacity", "", "expected a decimal number"},
      {"pipe", "capacity", "12x\n", "expected a decimal number, found \"12x\""},
      {"pipe", "capacity", "-1", "decimal"},
      {"pipe", "capacity", "007", "decimal"},
      {"pipe", "capacity", " 7", "decimal"},
      {"pipe", "capacity", "7\n\n", "one line"},
      {"file", "pos", "-0", "decimal"},
      {"thread", "rip", "7f00", "0x"},
      {"thread", "rip", "0x", "0x"},
      {"thread", "personality", "40000", "eight"},
      {"file", "mode", "644", "begins with 0"},
      {"file", "mode", "0800", "octal"},
      {"fs", "umask", "022", "four octal digits"},
      {"fs", "umask", "7777", "four octal digits"},
      {"file", "dev", "8:1", "major:minor"},
      {"file", "dev", "0801", "major:minor"},
      {"checkpoint", "downtime", "1.", "seconds"},
      {"checkpoint", "downtime", "1.0000000001", "seconds"},
      {"file", "mtime", "2023-02-29T00:00:00Z", "a time in UTC"},
      {"file", "mtime", "2023-02-28T00:00:00", "a time in UTC"},
      {"vma", "prot", "rwp", "rw-p"},
      {"vma", "prot", "wr-p", "rw-p"},
      {"sigaction", "handler", "0x1", "`ignore`"},
      {"sigaction", "flags", "SA_RESTART  SA_ONSTACK", "one blank"},
      {"sigaction", "flags", "SA_RESTART SA_RESTART", "each word once"},
      {"sigaction", "flags", "SA_NONE", "SA_NOCLDSTOP"},
      {"sigaction", "flags", "bit28", "words of"},
      {"sigaction", "flags", "bit64", "words of"},
      {"task", "exit_signal", "TERM", "SIGTERM"},
      {"task", "exit_signal", "SIGRTMIN+31", "SIGTERM"},
      {"thread", "sigmask", "SIGHUP,SIGINT", "one blank"},
      {"file", "kind", "tube", "one of: regular, directory"},
      {"file", "flags", "O_APPEND", "first word"},
      {"file", "flags", "", "first word"},
      {"file", "path", "a\nb", "one line"},
      {"file", "path", "a\\", "three octal digits"},
      {"file", "path", "a\\400", "three octal digits"},
      {"file", "path", "a\\000", "zero byte"},
      {"file", "path", "a\0"s, "zero byte"},
      {"task", "argv", "a\0"s, "lines of text"},
      {"cred", "groups", "4,27", "blank"},
      {"thread", "cpus", "3-0", "ascending"},
      {"thread", "cpus", "0,0", "ascending"},
      {"checkpoint", "uuid", "12345678", "uuid"},
      {"checkpoint", "uuid", "123456789-abc-def0-1234-56789abcdef0", "uuid"},
      {"mm", "auxv", "AT_PHDR\n", "AT_PHDR 0x400040"},
      {"signal", "fields", "abc", "two hexadecimal digits"},
  };
  for (const BadText& each : kTexts) {
    const auto value = ParseValue(RowOf(each.type, each.field), each.text);
    ASSERT_FALSE(value.ok()) << each.field << " " << each.text;
    EXPECT_TRUE(absl::IsInvalidArgument(value.status())) << value.status();
    EXPECT_THAT(std::string(value.status().message()), HasSubstr(each.message));
  }
}

TEST(CodecTest, OutOfRange) {
  const BadText kTexts[] = {
      {"cred", "uid", "4294967296", ""},
      {"thread", "nice", "2147483648", ""},
      {"pipe", "capacity", "18446744073709551616", ""},
      {"thread", "rip", "0x10000000000000000", ""},
      {"checkpoint", "downtime", "18446744073.709551616", ""},
      {"checkpoint", "time", "1969-12-31T23:59:59Z", ""},
      {"file", "mtime", "2500-01-01T00:00:00Z", ""},
      {"cred", "groups", "4294967296", ""},
      {"thread", "cpus", "65536", ""},
  };
  for (const BadText& each : kTexts) {
    const auto value = ParseValue(RowOf(each.type, each.field), each.text);
    EXPECT_TRUE(absl::IsOutOfRange(value.status())) << each.text << " " << value.status();
  }
}

TEST(CodecTest, DirectoryNames) {
  EXPECT_EQ(FormatRange(0x400000, 0x452000), "00400000-00452000");
  EXPECT_EQ(FormatRange(0x7ffff7dc3000, 0x7ffff7dc5000), "7ffff7dc3000-7ffff7dc5000");
  EXPECT_EQ(FormatSignal(10), "SIGUSR1");
  EXPECT_EQ(FormatSignal(65), "65");
}

}  // namespace
}  // namespace crfs
