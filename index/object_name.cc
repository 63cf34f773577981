// SPDX-License-Identifier: Apache-2.0

#include "index/object_name.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "crfs/image.h"
#include "index/codec.h"
#include "index/codec_families.h"
#include "index/shape.h"

namespace crfs {
namespace {

// The greatest number that the key of a type can be.
uint64_t GreatestKey(const ObjectType& type) {
  if (type.key == Key::kId) return CRFS_ID_MAX;
  return FindAccess(type, Access::kKey)->wire == Wire::kU32 ? UINT32_MAX : UINT64_MAX;
}

}  // namespace

std::optional<ObjectName> ParseObjectName(const ObjectType& type, absl::string_view name) {
  ObjectName parsed;
  std::string canonical;
  switch (type.key) {
    case Key::kSingle:
      canonical = std::string(SingleName(type));
      break;
    case Key::kId:
    case Key::kNumber:
      if (!absl::SimpleAtoi(name, &parsed.key) || parsed.key > GreatestKey(type)) {
        return std::nullopt;
      }
      canonical = absl::StrCat(parsed.key);
      break;
    case Key::kSignal: {
      const auto signal = ParseSignal(name);
      if (!signal.ok()) return std::nullopt;
      parsed.key = *signal;
      canonical = FormatSignal(parsed.key);
      break;
    }
    case Key::kRange: {
      const size_t dash = name.find('-');
      if (dash == absl::string_view::npos ||
          !codec::ParseHexadecimal(name.substr(0, dash), 1, parsed.key) ||
          !codec::ParseHexadecimal(name.substr(dash + 1), 1, parsed.end)) {
        return std::nullopt;
      }
      canonical = FormatRange(parsed.key, parsed.end);
      break;
    }
  }
  if (canonical != name) return std::nullopt;
  return parsed;
}

}  // namespace crfs
