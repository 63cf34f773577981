// SPDX-License-Identifier: Apache-2.0

#include <unistd.h>

#include <algorithm>
#include <set>

#include "harness.h"
#include "restarter.h"

namespace kmod_test {

namespace {

// Rows that user space restores (here: nobody), that count time, or that name objects whose
// numbers another order of encounter changes.
bool IsLeftOut(const std::string& object, const std::string& field) {
  static const std::set<std::string> left_out = {
      "task.fd",           "task.fs",          "task.itimer_real_value", "thread.cred", "thread.syscall_remaining",
      "vma.file",          "vma.shmem",        "mm.exe",                 "task.ppid",   "task.oom_score_adj",
      "thread.pdeath_signal", "task.child_subreaper",
  };
  return left_out.count(object + "." + field) != 0;
}

class Comparison {
 public:
  Comparison(const Object& before, const Object& after, const std::string& type)
      : before_(before), after_(after), type_(type) {}

  void Number(const char* field, uint64_t a, uint64_t b) {
    if (a == b || IsLeftOut(type_, field)) return;
    char text[80];
    snprintf(text, sizeof(text), "%#llx, now %#llx", static_cast<unsigned long long>(a), static_cast<unsigned long long>(b));
    Add(field, text);
  }
  void Bytes(const char* field, const crfs_bytes& a, const crfs_bytes& b) {
    std::string_view left = before_.Bytes(a), right = after_.Bytes(b);
    if (left == right || IsLeftOut(type_, field)) return;
    size_t at = 0;
    while (at < left.size() && at < right.size() && left[at] == right[at]) at++;
    Add(field, std::to_string(left.size()) + " bytes, now " + std::to_string(right.size()) + ", differ at " + std::to_string(at));
  }
  std::string Text() const { return text_; }

 private:
  void Add(const char* field, const std::string& what) {
    text_ += type_ + " " + std::to_string(before_.id) + " " + field + ": " + what + "\n";
  }
  const Object& before_;
  const Object& after_;
  std::string type_;
  std::string text_;
};

#define COMPARE_NUMBER(object, field) compare.Number(#field, static_cast<uint64_t>(a.field), static_cast<uint64_t>(b.field));
#define COMPARE_u32 COMPARE_NUMBER
#define COMPARE_s32 COMPARE_NUMBER
#define COMPARE_u64 COMPARE_NUMBER
#define COMPARE_s64 COMPARE_NUMBER
#define COMPARE_ref COMPARE_NUMBER
#define COMPARE_bytes(object, field) compare.Bytes(#field, a.field, b.field);
#define COMPARE_none(object, field)
#define COMPARE_restore(object, wire, field) COMPARE_##wire(object, field)
#define COMPARE_check(object, wire, field)
#define COMPARE_info(object, wire, field)
#define COMPARE_ROW(object, wire, field, path, codec, access, restart, source, since, doc) \
  COMPARE_##restart(object, wire, field)
#define COMPARE_TYPE(name)                                                               \
  std::string Compare_##name(const Object& before, const Object& after) {                \
    const auto& a = before.As<crfs_##name>();                                            \
    const auto& b = after.As<crfs_##name>();                                             \
    Comparison compare(before, after, #name);                                            \
    CRFS_ROWS_##name(COMPARE_ROW) return compare.Text();                                 \
  }
COMPARE_TYPE(mm)
COMPARE_TYPE(vma)
COMPARE_TYPE(sigaction)
COMPARE_TYPE(task)
COMPARE_TYPE(signal)
COMPARE_TYPE(thread)
COMPARE_TYPE(thread_signal)

std::string CompareAll(Saved& before, Saved& after, uint32_t type, const char* name,
                       std::string (*compare)(const Object&, const Object&)) {
  const auto& a = before.stream.Of(type);
  const auto& b = after.stream.Of(type);
  if (a.size() != b.size())
    return std::string(name) + ": " + std::to_string(a.size()) + " objects, now " + std::to_string(b.size()) + "\n";
  std::string text;
  for (size_t i = 0; i < a.size(); i++) text += compare(a[i], b[i]);
  return text;
}

// What is saved of one mapping, by page. What the kernel writes there is made zero.
std::map<uint64_t, std::string> Pages(Saved& saved, const Object& vma) {
  std::map<uint64_t, std::string> pages;
  const auto& row = vma.As<crfs_vma>();
  uint64_t at = saved.at[{CRFS_TAG_vma, vma.id}];
  for (const Extent& extent : saved.stream.extents[{CRFS_TAG_vma, vma.id}])
    for (uint64_t done = 0; done < extent.length; done += 4096, at += 4096) {
      std::string& page = pages[row.start + extent.offset + done];
      page.resize(4096);
      if (pread(saved.memory.get(), page.data(), 4096, static_cast<off_t>(at)) != 4096) page = "?";
    }
  for (const Object& thread : saved.stream.Of(CRFS_TAG_thread)) {
    uint64_t rseq = thread.As<crfs_thread>().rseq_address;
    auto page = pages.find(rseq & ~uint64_t{4095});
    if (rseq && page != pages.end()) memset(page->second.data() + rseq % 4096, 0, 32);
  }
  return pages;
}

std::string CompareMemory(Saved& before, Saved& after) {
  const auto& a = before.stream.Of(CRFS_TAG_vma);
  const auto& b = after.stream.Of(CRFS_TAG_vma);
  for (size_t i = 0; i < std::min(a.size(), b.size()); i++) {
    auto left = Pages(before, a[i]), right = Pages(after, b[i]);
    if (left == right) continue;
    char text[100];
    for (const auto& [address, page] : left) {
      snprintf(text, sizeof(text), "vma %llu page %#llx", static_cast<unsigned long long>(a[i].id), static_cast<unsigned long long>(address));
      if (!right.count(address)) return std::string(text) + " is not there\n";
      if (right[address] != page) return std::string(text) + " differs\n";
    }
    for (const auto& [address, page] : right) {
      snprintf(text, sizeof(text), "vma %llu page %#llx", static_cast<unsigned long long>(a[i].id), static_cast<unsigned long long>(address));
      if (!left.count(address))
        return std::string(text) + (page == std::string(4096, 0) ? " is new, with zeros" : " is new, with data") + ", in " +
               std::to_string(a[i].As<crfs_vma>().kind) + " " + std::string(a[i].Bytes(a[i].As<crfs_vma>().name)) + "\n";
    }
  }
  return "";
}

}  // namespace

std::string Differences(Saved& before, Saved& after) {
  std::string text;
#define COMPARE_ALL(name) text += CompareAll(before, after, CRFS_TAG_##name, #name, Compare_##name);
  COMPARE_ALL(mm)
  COMPARE_ALL(vma)
  COMPARE_ALL(sigaction)
  COMPARE_ALL(task)
  COMPARE_ALL(signal)
  COMPARE_ALL(thread)
  COMPARE_ALL(thread_signal)
  return text + CompareMemory(before, after);
}

}  // namespace kmod_test
