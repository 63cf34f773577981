// SPDX-License-Identifier: Apache-2.0

#include "engine/proc_maps.h"

#include <cstddef>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "crfs/words.h"
#include "engine/proc_file.h"
#include "engine/ptrace_inode.h"
#include "index/schema.h"

namespace crfs {
namespace {

bool TakeHex(absl::string_view& line, char end, uint64_t* number) {
  const size_t place = line.find(end);
  if (place == absl::string_view::npos || !absl::SimpleHexAtoi(line.substr(0, place), number)) {
    return false;
  }
  line.remove_prefix(place + 1);
  return true;
}

// "7f00-7f10 rw-p 00000000 08:01 1234      /path", false for other lines.
bool ParseHeader(absl::string_view line, ProcMapping* mapping) {
  if (!TakeHex(line, '-', &mapping->start) || !TakeHex(line, ' ', &mapping->end)) return false;
  if (line.size() < 5) return false;
  mapping->shared = line[3] == 's';
  mapping->prot = (line[0] == 'r' ? 1U : 0U) | (line[1] == 'w' ? 2U : 0U) |
                  (line[2] == 'x' ? 4U : 0U) | (mapping->shared ? 8U : 0U);
  line.remove_prefix(5);
  uint64_t major_number, minor_number;
  if (!TakeHex(line, ' ', &mapping->offset) || !TakeHex(line, ':', &major_number) ||
      !TakeHex(line, ' ', &minor_number)) {
    return false;
  }
  mapping->dev = DeviceNumber(major_number, minor_number);
  const size_t end = std::min(line.find(' '), line.size());
  if (!absl::SimpleAtoi(line.substr(0, end), &mapping->inode)) return false;
  line.remove_prefix(end);
  const size_t name = line.find_first_not_of(' ');
  if (name != absl::string_view::npos) {
    mapping->name = absl::StrReplaceAll(line.substr(name), {{"\\012", "\n"}});
  }
  return true;
}

uint64_t ParseFlags(absl::string_view line) {
  const Row& row = *FindType("vma")->Find("flags");
  uint64_t flags = 0;
  for (const absl::string_view word : absl::StrSplit(line, ' ', absl::SkipWhitespace())) {
    for (const Word& known : row.words) {
      if (known.name == word) flags |= uint64_t{1} << known.value;
    }
  }
  return flags;
}

}  // namespace

std::vector<ProcMapping> ParseSmaps(absl::string_view text) {
  std::vector<ProcMapping> mappings;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    ProcMapping mapping;
    absl::string_view rest = line;
    if (ParseHeader(line, &mapping)) {
      mappings.push_back(std::move(mapping));
    } else if (mappings.empty()) {
      continue;
    } else if (absl::ConsumePrefix(&rest, "VmFlags:")) {
      mappings.back().flags = ParseFlags(rest);
    } else if (absl::ConsumePrefix(&rest, "ProtectionKey:")) {
      (void)absl::SimpleAtoi(rest, &mappings.back().protection_key);
    }
  }
  if (!mappings.empty() && mappings.back().name == "[vsyscall]") mappings.pop_back();
  return mappings;
}

absl::StatusOr<std::vector<ProcMapping>> ReadMappings(pid_t pid) {
  const absl::StatusOr<std::string> text = ReadProcFile(ProcPath(pid, "smaps"));
  if (!text.ok()) return text.status();
  return ParseSmaps(*text);
}

absl::flat_hash_set<uint64_t> MappingsWithPolicy(pid_t pid) {
  absl::flat_hash_set<uint64_t> found;
  const std::string text = ReadProcFile(ProcPath(pid, "numa_maps")).value_or("");
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, absl::MaxSplits(' ', 2));
    uint64_t start;
    if (words.size() >= 2 && words[1] != "default" && absl::SimpleHexAtoi(words[0], &start)) {
      found.insert(start);
    }
  }
  return found;
}

}  // namespace crfs
