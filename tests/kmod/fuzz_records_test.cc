// SPDX-License-Identifier: Apache-2.0
//
// Records of a real program, spoiled in one place or a few, with checksums that are right:
// each is refused as documented, or becomes a program that can only harm itself.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"
#include "harness.h"

namespace kmod_test {
namespace {

struct Field {
  const char* name;
  uint32_t type;
  size_t offset;
  size_t size;
  bool bytes;
};

// Every row that the module takes.
const std::vector<Field>& Fields() {
  static const std::vector<Field> fields = [] {
    std::vector<Field> made;
#define FIELD_NUMBER(o, f) \
  made.push_back({#o "." #f, CRFS_TAG_##o, offsetof(crfs_##o, f), sizeof(crfs_##o::f), false});
#define FIELD_u32 FIELD_NUMBER
#define FIELD_s32 FIELD_NUMBER
#define FIELD_u64 FIELD_NUMBER
#define FIELD_s64 FIELD_NUMBER
#define FIELD_ref FIELD_NUMBER
#define FIELD_none(o, f)
#define FIELD_bytes(o, f) \
  made.push_back({#o "." #f, CRFS_TAG_##o, offsetof(crfs_##o, f), sizeof(crfs_bytes), true});
#define FIELD_ROW(o, wire, f, ...) FIELD_##wire(o, f)
    CRFS_ROWS_mm(FIELD_ROW) CRFS_ROWS_vma(FIELD_ROW) CRFS_ROWS_sighand(FIELD_ROW)
        CRFS_ROWS_sigaction(FIELD_ROW) CRFS_ROWS_task(FIELD_ROW) CRFS_ROWS_signal(FIELD_ROW)
            CRFS_ROWS_thread(FIELD_ROW) CRFS_ROWS_thread_signal(FIELD_ROW) return made;
  }();
  return fields;
}

// Of a field whose bits mean something.
uint64_t Fitting(Random& random, const std::string& name, uint64_t old) {
  static const uint64_t kFlags[] = {0x100,   0x200,   0x3000,  0x4000,  0x10000,
                                    0x20000, 0x40000, 0x80000, 0x200000};
  static const uint64_t kSelectors[] = {0,    3,    7,    0x10, 0x18, 0x23, 0x2b,  0x30,
                                        0x33, 0x43, 0x53, 0x63, 0x6b, 0x7b, 0xfffb};
  if (name == "thread.eflags") return old ^ random.Of(kFlags);
  if (name.size() == 9 && name.back() == 's' && name.compare(0, 7, "thread.") == 0)
    return random.Of(kSelectors);
  if (random.OneIn(2)) return old ^ uint64_t { 1 } << random.Below(40);
  return old + (random.Below(17) - 8) * (random.OneIn(2) ? 1 : 4096);
}

std::string SpoilNumber(Random& random, const Field& field, std::string& body) {
  uint64_t value = 0;
  char* at = body.data() + sizeof(crfs_body) + field.offset;
  memcpy(&value, at, field.size);
  uint64_t next = random.OneIn(3) ? Fitting(random, field.name, value) : random.Edge();
  memcpy(at, &next, field.size);
  char text[100];
  snprintf(text, sizeof(text), "%s %#llx->%#llx ", field.name,
           static_cast<unsigned long long>(value), static_cast<unsigned long long>(next));
  return text;
}

// The head of an xsave area is where most can go wrong.
std::string SpoilBytes(Random& random, const Field& field, std::string& body) {
  char* at = body.data() + sizeof(crfs_body) + field.offset;
  crfs_bytes bytes;
  memcpy(&bytes, at, sizeof(bytes));
  if (random.OneIn(4) || !bytes.length) {
    (random.OneIn(2) ? bytes.offset : bytes.length) = static_cast<uint32_t>(random.Edge());
    memcpy(at, &bytes, sizeof(bytes));
    return std::string(field.name) + " range ";
  }
  size_t where = random.Below(bytes.length);
  if (bytes.length > 576 && !random.OneIn(3))
    where = random.OneIn(2) ? 512 + random.Below(64) : 24 + random.Below(8);
  body[bytes.offset + where] = static_cast<char>(random.Next());
  return std::string(field.name) + "[" + std::to_string(where) + "] ";
}

std::string SpoilOne(Random& random, Saved& saved) {
  const Field& field = random.Of(Fields());
  auto& objects = saved.stream.objects[field.type];
  if (objects.empty()) return "";
  switch (random.Below(40)) {
    case 0: {  // one more, or one less
      std::string body = random.Of(objects).body;
      // Of mappings only more: what is to be filled goes by their places.
      if (field.type == CRFS_TAG_vma || random.OneIn(2))
        objects.push_back({objects.back().id + 1, body});
      else
        objects.erase(objects.begin() + static_cast<long>(random.Below(objects.size())));
      return std::string(field.name) + " record count ";
    }
    case 1: {  // a body that is cut, or goes on
      std::string& body = random.Of(objects).body;
      body.resize(random.OneIn(2) ? random.Below(body.size()) : body.size() + random.Below(64));
      return std::string(field.name) + " body ";
    }
    default: {
      std::string& body = random.Of(objects).body;
      if (body.size() < sizeof(crfs_body) + field.offset + field.size) return "";
      return field.bytes ? SpoilBytes(random, field, body) : SpoilNumber(random, field, body);
    }
  }
}

// Everything, as far as it goes. The outcome: "STEP ERRNO".
std::string Run(Saved& saved, std::string* what) {
  Restart restart;
  std::string why = restart.Load(saved);
  if (!why.empty()) return "load refuses";
  if (!(why = restart.Make(saved, nullptr, [] {
         if (!BecomeNobody()) _exit(94);
       })).empty())
    return "join refuses";
  int error = restart.Gather(3000);
  const char* step = "gather";
  if (!error) error = restart.Build(10000), step = "build";
  if (!error) error = restart.Start(5000), step = "start";
  if (!IsDocumented(error)) *what += std::string(step) + " gives " + strerror(-error);
  if (!error) Pause(3);
  return std::string(step) + " " + (error ? strerrorname_np(-error) : "ok");
}

std::string Round(Random& random, Tally& tally) {
  if (!ProgramToSpoil().error.empty()) return ProgramToSpoil().error;
  // What the records themselves show is told without making any task, so many can be tried.
  Saved saved;
  std::string what;
  for (int error = -1; error;) {
    saved = Copy(ProgramToSpoil());
    what.clear();
    for (uint64_t count = 1 + random.Below(3); count; count--) what += SpoilOne(random, saved);
    Restart restart;
    error = restart.Write(RecordsOf(saved.stream));
    if (error) tally.AddError("write", error);
  }
  std::string outcome = Apart(6, [&] {
    std::string problem;
    std::string end = Run(saved, &problem);
    return end + (problem.empty() ? "" : "\n" + what + problem);
  });
  if (outcome.empty()) outcome = "killed";
  size_t line = outcome.find('\n');
  tally.Add(outcome.substr(0, line));
  return line == std::string::npos ? "" : outcome.substr(line + 1);
}

// Without a fault it starts: else the fuzzer would try nothing.
TEST(fuzz_records) {
  Saved whole = Copy(ProgramToSpoil());
  EXPECT(whole.error.empty(), whole.error);
  std::string outcome = Apart(25, [&] {
    std::string problem;
    return Run(whole, &problem) + problem;
  });
  EXPECT_EQ(outcome, std::string("start ok"));
  return Fuzz("fuzz_records", 12, Round);
}

}  // namespace
}  // namespace kmod_test
