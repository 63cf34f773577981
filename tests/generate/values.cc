// SPDX-License-Identifier: Apache-2.0

#include "tests/generate/values.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <string>

#include "index/codec.h"
#include "index/ranges.h"

namespace crfs {
namespace {

constexpr size_t kLong = 20000;

std::string RandomBytes(Random& random, size_t length) {
  std::string bytes(length, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Next());
  return bytes;
}

size_t RandomLength(Random& random) {
  if (random.OneIn(1000)) return random.Below(kLong);
  return random.Below(random.OneIn(4) ? 200 : 24);
}

// Text as people have it, and as nobody wants it.
std::string RandomText(Random& random) {
  static constexpr const char* kParts[] = {"/",    "usr",   "lib",        " ",  "\n",
                                           "\\",   "\\012", "a b",        "\t", "\xff",
                                           "\xc3", "é",     "\U0001f4be", "x=1"};
  const size_t length = RandomLength(random);
  std::string text;
  while (text.size() < length) {
    if (random.OneIn(8)) {
      text += static_cast<char>(1 + random.Below(255));
    } else {
      text += kParts[random.Below(std::size(kParts))];
    }
  }
  return text;
}

std::string RandomBytesOf(Codec codec, Random& random) {
  switch (codec) {
    case Codec::kText:
      return RandomText(random);
    case Codec::kStrings: {
      std::string strings;
      for (uint64_t count = random.Below(5); count > 0; --count) {
        strings += RandomText(random) + '\0';
      }
      // What a program has written over need not end as it should.
      if (random.OneIn(8)) strings += "unended";
      return strings;
    }
    case Codec::kNumbers:
      return RandomBytes(random, RandomLength(random) / 4 * 4);
    case Codec::kAuxv: {
      std::string bytes;
      for (uint64_t count = random.Below(24); count > 0; --count) {
        bytes += static_cast<char>(random.Below(60));
        bytes += std::string(7, '\0') + RandomBytes(random, 8);
      }
      return bytes;
    }
    case Codec::kUuid:
      return random.OneIn(8) ? "" : RandomBytes(random, 16);
    case Codec::kCpulist: {
      std::string bytes = RandomBytes(random, random.Below(40));
      while (!bytes.empty() && bytes.back() == '\0') bytes.pop_back();
      return bytes;
    }
    case Codec::kRanges: {
      std::vector<crfs_extent> ranges;
      uint64_t page = 0;
      for (uint64_t count = random.Below(5); count > 0; --count) {
        const uint64_t begin = page + 1 + random.Below(9);
        page = begin + 1 + random.Below(9);
        ranges.push_back(
            {.offset = begin * kRangesPageSize, .length = (page - begin) * kRangesPageSize});
      }
      return PackRanges(ranges);
    }
    default:
      return RandomBytes(random, RandomLength(random));
  }
}

bool IsNarrow(const Row& row) { return row.wire == Wire::kU32 || row.wire == Wire::kS32; }

uint64_t ToWidth(const Row& row, uint64_t number) {
  if (row.wire == Wire::kU32) return static_cast<uint32_t>(number);
  if (row.wire == Wire::kS32) return static_cast<uint64_t>(int64_t{static_cast<int32_t>(number)});
  return number;
}

}  // namespace

uint64_t Random::Next() {
  state_ += 0x9e3779b97f4a7c15;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

Value RandomValue(const Row& row, Random& random) {
  assert(row.wire != Wire::kRef && row.wire != Wire::kNone);
  Value value;
  if (row.wire == Wire::kBytes) {
    value.bytes = RandomBytesOf(row.codec, random);
    return value;
  }
  switch (row.codec) {
    case Codec::kEnum:
      value.number = row.words[random.Below(row.words.size())].value;
      break;
    case Codec::kSignal:
      value.number = random.Below(65);
      break;
    case Codec::kUmask:
      value.number = random.Below(01000);
      break;
    case Codec::kPerm:
      value.number = random.Below(16);
      break;
    default:
      // Each length in bits is as likely as another.
      value.number = ToWidth(row, random.Next() >> random.Below(IsNarrow(row) ? 32 : 64));
      break;
  }
  return value;
}

std::vector<Value> EdgeValues(const Row& row) {
  std::vector<Value> values;
  const auto add_bytes = [&](std::string bytes) { values.push_back({0, std::move(bytes)}); };
  const auto add_number = [&](uint64_t number) { values.push_back({ToWidth(row, number), ""}); };
  if (row.wire == Wire::kBytes) {
    using std::string_literals::operator""s;
    for (const std::string& bytes : {""s,
                                     "a"s,
                                     "\n"s,
                                     "\\"s,
                                     "\\012"s,
                                     "two\nlines\n"s,
                                     "\xff\xfe"s,
                                     "é \U0001f4be"s,
                                     " "s,
                                     "a\0b\0"s,
                                     "\0"s,
                                     "\0\0"s,
                                     "a\0\nb\\\0"s,
                                     std::string(5000, '\\'),
                                     std::string(4000, '\xaa'),
                                     std::string(16, '\0'),
                                     std::string(32, '\xff'),
                                     "\x01\0\0\0\0\0\0\x80"s,
                                     "\x0f\x01"s,
                                     "\xff\xff\xff\xff\xff\xff\xff\xff\x01"s}) {
      if (CheckBytes(row, bytes).ok()) add_bytes(bytes);
    }
    return values;
  }
  for (const Word& word : row.words) {
    add_number(row.codec == Codec::kEnum ? word.value : uint64_t{1} << word.value);
  }
  constexpr auto kMax = std::numeric_limits<uint64_t>::max();
  for (const uint64_t number : {uint64_t{0},
                                uint64_t{1},
                                uint64_t{2},
                                uint64_t{3},
                                uint64_t{15},
                                uint64_t{33},
                                uint64_t{34},
                                uint64_t{64},
                                uint64_t{0777},
                                uint64_t{4096},
                                uint64_t{999'999'999},
                                uint64_t{1'000'000'000},
                                kMax,
                                kMax - 1,
                                kMax >> 1,
                                (kMax >> 1) + 1,
                                kMax >> 32,
                                (kMax >> 32) + 1,
                                kMax >> 33,
                                (kMax >> 33) + 1,
                                uint64_t{0x7fff'ffff'f000}}) {
    if (CheckNumber(row, ToWidth(row, number)).ok()) add_number(number);
  }
  return values;
}

}  // namespace crfs
