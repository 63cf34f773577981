// SPDX-License-Identifier: Apache-2.0
//
// For each row that is stored: the text of a value is that value again, and the text of what
// was read is the text.

#include "index/codec.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/generate/values.h"

namespace crfs {
namespace {

void ExpectRoundTrip(const ObjectType& type, const Row& row, const Value& value) {
  if (row.wire == Wire::kBytes) {
    EXPECT_TRUE(CheckBytes(row, value.bytes).ok());
  } else {
    EXPECT_TRUE(CheckNumber(row, value.number).ok());
  }
  const std::string text = FormatValue(row, value);
  const auto parsed = ParseValue(row, text);
  ASSERT_TRUE(parsed.ok()) << type.name << "." << row.field << ": " << parsed.status() << "\n"
                           << text;
  ASSERT_TRUE(*parsed == value) << type.name << "." << row.field << "\n" << text;
  ASSERT_EQ(FormatValue(row, *parsed), text) << type.name << "." << row.field;
}

template <typename Visit>
void ForEachStoredRow(Visit visit) {
  for (const ObjectType& type : ObjectTypes()) {
    for (const Row& row : type.rows) {
      if (row.wire != Wire::kRef && row.wire != Wire::kNone) visit(type, row);
    }
  }
}

TEST(CodecPropertyTest, RandomValues) {
  Random random(20260131);
  ForEachStoredRow([&](const ObjectType& type, const Row& row) {
    for (int i = 0; i < 300; ++i) ExpectRoundTrip(type, row, RandomValue(row, random));
  });
}

TEST(CodecPropertyTest, EdgeValues) {
  ForEachStoredRow([](const ObjectType& type, const Row& row) {
    for (const Value& value : EdgeValues(row)) ExpectRoundTrip(type, row, value);
  });
}

TEST(CodecPropertyTest, EachBitAndItsComplement) {
  ForEachStoredRow([](const ObjectType& type, const Row& row) {
    if (row.wire == Wire::kBytes) return;
    const int width = row.wire == Wire::kU32 || row.wire == Wire::kS32 ? 32 : 64;
    for (int bit = 0; bit < width; ++bit) {
      for (uint64_t number : {uint64_t{1} << bit, ~(uint64_t{1} << bit)}) {
        if (row.wire == Wire::kU32) number = static_cast<uint32_t>(number);
        if (row.wire == Wire::kS32) {
          number = static_cast<uint64_t>(int64_t{static_cast<int32_t>(number)});
        }
        if (CheckNumber(row, number).ok()) ExpectRoundTrip(type, row, {number, ""});
      }
    }
  });
}

// What is accepted, however noisy, has one text: reading that again changes nothing.
TEST(CodecPropertyTest, AcceptedTextsHaveOneForm) {
  Random random(7);
  ForEachStoredRow([&](const ObjectType& type, const Row& row) {
    for (int i = 0; i < 200; ++i) {
      std::string text = FormatValue(row, RandomValue(row, random));
      for (uint64_t edits = random.Below(3); edits > 0 && !text.empty(); --edits) {
        const size_t place = random.Below(text.size());
        if (random.OneIn(2)) {
          text.erase(place, 1);
        } else {
          text[place] = "0 1-a\n\\x:.Z"[random.Below(11)];
        }
      }
      const auto value = ParseValue(row, text);
      if (value.ok()) ExpectRoundTrip(type, row, *value);
    }
  });
}

}  // namespace
}  // namespace crfs
