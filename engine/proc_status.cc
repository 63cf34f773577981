// SPDX-License-Identifier: Apache-2.0

#include "engine/proc_status.h"

#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/proc_file.h"

namespace crfs {
namespace {

constexpr int kFirstField = 3;

}  // namespace

ProcStatus ProcStatus::Parse(absl::string_view text) {
  ProcStatus status;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const size_t colon = line.find(':');
    if (colon == absl::string_view::npos) continue;
    status.lines_.emplace(line.substr(0, colon),
                          absl::StripAsciiWhitespace(line.substr(colon + 1)));
  }
  return status;
}

absl::string_view ProcStatus::Text(absl::string_view name) const {
  const auto found = lines_.find(name);
  return found == lines_.end() ? absl::string_view() : absl::string_view(found->second);
}

uint64_t ProcStatus::Number(absl::string_view name) const {
  uint64_t number = 0;
  return absl::SimpleAtoi(Text(name), &number) ? number : 0;
}

uint64_t ProcStatus::Hex(absl::string_view name) const {
  uint64_t number = 0;
  return absl::SimpleHexAtoi(Text(name), &number) ? number : 0;
}

std::vector<uint32_t> ProcStatus::Numbers(absl::string_view name) const {
  std::vector<uint32_t> numbers;
  for (const absl::string_view word :
       absl::StrSplit(Text(name), absl::ByAnyChar(" \t"), absl::SkipEmpty())) {
    uint32_t number;
    if (absl::SimpleAtoi(word, &number)) numbers.push_back(number);
  }
  return numbers;
}

char ProcStatus::State() const {
  const absl::string_view state = Text("State");
  return state.empty() ? '?' : state.front();
}

absl::StatusOr<ProcStatus> ReadThreadStatus(pid_t pid, pid_t tid) {
  const absl::StatusOr<std::string> text =
      ReadProcFile(ProcPath(pid, absl::StrCat("task/", tid, "/status")));
  if (!text.ok()) return text.status();
  return ProcStatus::Parse(*text);
}

absl::StatusOr<std::optional<pid_t>> FindChild(pid_t parent, uint64_t pid) {
  const absl::StatusOr<std::vector<pid_t>> children = ListChildren(parent);
  if (!children.ok()) return children.status();
  for (const pid_t child : *children) {
    const absl::StatusOr<ProcStatus> status = ReadThreadStatus(child, child);
    if (!status.ok()) continue;
    const std::vector<uint32_t> ids = status->Numbers("NSpid");
    if (!ids.empty() && ids.back() == pid) return child;
  }
  return std::nullopt;
}

absl::StatusOr<ProcStat> ProcStat::Read(pid_t pid, pid_t tid) {
  return ReadFile(ProcPath(pid, absl::StrCat("task/", tid, "/stat")));
}

absl::StatusOr<ProcStat> ProcStat::ReadTask(pid_t pid) { return ReadFile(ProcPath(pid, "stat")); }

absl::StatusOr<ProcStat> ProcStat::ReadFile(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadProcFile(path);
  if (!text.ok()) return text.status();
  // The name, in parentheses, may hold anything.
  const size_t end = text->rfind(')');
  ProcStat stat;
  if (end != std::string::npos) {
    stat.fields_ =
        absl::StrSplit(absl::StripAsciiWhitespace(absl::string_view(*text).substr(end + 1)), ' ');
  }
  constexpr size_t kFields = 52;
  if (stat.fields_.size() + kFirstField - 1 < kFields) {
    return absl::InternalError(absl::StrCat(path, ": lacks fields"));
  }
  return stat;
}

uint64_t ProcStat::Number(int field) const {
  uint64_t number = 0;
  int64_t negative = 0;
  const std::string& text = fields_[static_cast<size_t>(field - kFirstField)];
  if (absl::SimpleAtoi(text, &number)) return number;
  return absl::SimpleAtoi(text, &negative) ? static_cast<uint64_t>(negative) : 0;
}

std::string PackNumbers(const std::vector<uint32_t>& numbers) {
  std::string bytes(numbers.size() * sizeof(uint32_t), '\0');
  if (!bytes.empty()) std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return bytes;
}

std::string MaskBytes(absl::string_view mask) {
  std::string digits;
  for (const char c : mask) {
    if (absl::ascii_isxdigit(static_cast<unsigned char>(c))) digits += c;
  }
  std::string bytes;
  while (!digits.empty()) {
    const size_t from = digits.size() < 2 ? 0 : digits.size() - 2;
    uint32_t byte = 0;
    (void)absl::SimpleHexAtoi(digits.substr(from), &byte);
    bytes += static_cast<char>(byte);
    digits.resize(from);
  }
  while (!bytes.empty() && bytes.back() == '\0') bytes.pop_back();
  return bytes;
}

}  // namespace crfs
