// SPDX-License-Identifier: Apache-2.0
//
// Two bytes choose a row; the others are a text, and a value. A text that is accepted has
// one form, and a value that is allowed comes back from its text.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "index/codec.h"

namespace {

using crfs::Row;
using crfs::Value;
using crfs::Wire;

const std::vector<const Row*>& StoredRows() {
  static const std::vector<const Row*>& rows = *[] {
    auto* all = new std::vector<const Row*>;
    for (const crfs::ObjectType& type : crfs::ObjectTypes()) {
      for (const Row& row : type.rows) {
        if (row.wire != Wire::kRef && row.wire != Wire::kNone) all->push_back(&row);
      }
    }
    return all;
  }();
  return rows;
}

void ExpectRoundTrip(const Row& row, const Value& value) {
  const std::string text = FormatValue(row, value);
  const auto parsed = ParseValue(row, text);
  if (!parsed.ok() || !(*parsed == value) || FormatValue(row, *parsed) != text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const Row& row = *StoredRows()[(data[0] + data[1] * 256U) % StoredRows().size()];
  const std::string rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto parsed = ParseValue(row, rest);
  if (parsed.ok()) ExpectRoundTrip(row, *parsed);

  Value value;
  if (row.wire == Wire::kBytes) {
    if (!CheckBytes(row, rest).ok()) return 0;
    value.bytes = rest;
  } else {
    std::memcpy(&value.number, rest.data(), std::min(rest.size(), sizeof(value.number)));
    if (row.wire == Wire::kU32) value.number = static_cast<uint32_t>(value.number);
    if (row.wire == Wire::kS32) {
      value.number = static_cast<uint64_t>(int64_t{static_cast<int32_t>(value.number)});
    }
    if (!CheckNumber(row, value.number).ok()) return 0;
  }
  ExpectRoundTrip(row, value);
  return 0;
}
