// SPDX-License-Identifier: Apache-2.0
//
// The extended state of each thread, in the layout of NT_X86_XSTATE (the xsave area of the
// Intel manual, volume 1, chapter 13, not compacted), against what this cpu and kernel have.

#include <cstring>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "crfs/schema.h"
#include "engine/restart_check.h"

namespace crfs {
namespace {

constexpr size_t kMxcsr = 24;
constexpr size_t kSavedComponents = 464;  // those that the kernel which saved it offered
constexpr size_t kXstateBv = 512;
constexpr size_t kXcompBv = 520;
constexpr size_t kReserved = 528;
constexpr size_t kHeaderEnd = 576;
constexpr uint32_t kMxcsrBits = 0x2ffff;

struct Component {
  unsigned bit;
  absl::string_view name;
  // Programs choose their code by it when they start, so it counts even if no register of
  // it was in use.
  bool is_chosen;
};

constexpr Component kComponents[] = {
    {2, "AVX", true},     {3, "MPX", false},    {4, "MPX", false},
    {5, "AVX-512", true}, {6, "AVX-512", true}, {7, "AVX-512", true},
    {9, "PKRU", false},   {17, "AMX", false},   {18, "AMX", false},
};

uint64_t Word(absl::string_view area, size_t offset) {
  uint64_t word;
  std::memcpy(&word, area.data() + offset, sizeof(word));
  return word;
}

// Names of components, each once; of those without a name, the number.
std::string Names(uint64_t components) {
  std::vector<std::string> names;
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((components >> bit & 1) == 0) continue;
    std::string name = absl::StrCat("component ", bit, " of xsave");
    for (const Component& known : kComponents) {
      if (known.bit == bit) name = std::string(known.name);
    }
    if (names.empty() || names.back() != name) names.push_back(std::move(name));
  }
  return absl::StrJoin(names, ", ");
}

uint64_t Chosen() {
  uint64_t chosen = 0;
  for (const Component& component : kComponents) {
    if (component.is_chosen) chosen |= uint64_t{1} << component.bit;
  }
  return chosen;
}

class XstateChecker {
 public:
  explicit XstateChecker(const RestartCheck& check) : check_(check) {}

  void Check(const ObjectView& thread) {
    const absl::string_view area = thread.Bytes("fpu");
    if (area.size() < kHeaderEnd) {
      return check_.Add(thread, "fpu",
                        absl::StrCat("has ", area.size(), " bytes, fewer than ", kHeaderEnd),
                        "write all of it as it was saved");
    }
    const uint64_t in_use = Word(area, kXstateBv), here = check_.machine.xstate;
    const uint64_t saved_on = Word(area, kSavedComponents) & Chosen();
    if (const uint64_t missing = (in_use | saved_on) & ~here; missing != 0) {
      // The program is told once of what no thread of it can have here.
      if ((in_use & ~here) != 0 || told_.insert(missing).second) {
        check_.Add(thread, "fpu",
                   absl::StrCat("was saved on a cpu with ", Names(missing),
                                ", which this cpu or kernel does not have"),
                   "restart it on a machine that has it");
      }
    }
    if (Word(area, kXcompBv) != 0 || !IsZero(area.substr(kReserved, kHeaderEnd - kReserved))) {
      Damaged(thread, "its header (from byte 520 on) is not that of an area that is not compacted");
    }
    if ((static_cast<uint32_t>(Word(area, kMxcsr)) & ~kMxcsrBits) != 0) {
      Damaged(thread, "mxcsr (at byte 24) has reserved bits");
    }
    for (unsigned bit = 2; bit < 64; ++bit) {
      if ((in_use & here) >> bit & 1 && check_.machine.xstate_ends[bit] > area.size()) {
        Damaged(thread, absl::StrCat("it is too short for ", Names(uint64_t{1} << bit)));
      }
    }
  }

 private:
  static bool IsZero(absl::string_view bytes) {
    return bytes.find_first_not_of('\0') == absl::string_view::npos;
  }

  void Damaged(const ObjectView& thread, absl::string_view what) {
    check_.Add(thread, "fpu", what, "write the bytes that were saved");
  }

  const RestartCheck& check_;
  absl::flat_hash_set<uint64_t> told_;
};

}  // namespace

void CheckExtendedState(const RestartCheck& check) {
  XstateChecker checker(check);
  for (const uint64_t id : check.checkpoint.Ids("thread")) {
    const ObjectView thread = check.checkpoint.Get("thread", id);
    if (thread.Number("state") != CRFS_state_zombie) checker.Check(thread);
  }
}

}  // namespace crfs
