// SPDX-License-Identifier: Apache-2.0
//
// States that are not saved are named, and what is like them but harmless is not.

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"

namespace kmod_test {
namespace {

constexpr long kSession = -3, kUser = -4;  // KEY_SPEC_*

long Keyctl(int command, long a = 0, long b = 0, long c = 0) {
  return syscall(SYS_keyctl, command, a, b, c, 0);
}
long NewSession(const char* name) { return Keyctl(1, reinterpret_cast<long>(name)); }
long AddKey(const char* name) { return syscall(SYS_add_key, "user", name, "x", 1, kSession); }

// The blockers of the mm and of the thread of a program that does `body` first.
std::string Blockers(bool (*body)(), uint32_t* mm, uint32_t* thread) {
  Target target([=](Target& self) {
    self.Ready(body());
    for (;;) pause();
  });
  EXPECT(target.word(), "it could not do that");
  Checkpoint checkpoint;
  Stream stream = Take(checkpoint, {target.pid()});
  EXPECT(stream.error.empty(), stream.error);
  *mm = stream.At(CRFS_TAG_mm, 1).As<crfs_mm>().blockers;
  *thread = stream.At(CRFS_TAG_thread, 1).As<crfs_thread>().blockers;
  return "";
}

TEST(unsaved_protection_keys) {
  int key = static_cast<int>(syscall(SYS_pkey_alloc, 0, 0));
  if (key < 0) SKIP("this machine has no protection keys");
  syscall(SYS_pkey_free, key);
  const struct {
    const char* name;
    bool (*body)();
    bool marked;
  } kCases[] = {
      {"none", [] { return true; }, false},
      {"a key", [] { return syscall(SYS_pkey_alloc, 0, 0) >= 0; }, true},
      {"a key that was given back, but not by its memory",
       [] {
         long key = syscall(SYS_pkey_alloc, 0, 0);
         void* at = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
         return syscall(SYS_pkey_mprotect, at, 4096L, PROT_READ, key) == 0 &&
                syscall(SYS_pkey_free, key) == 0;
       },
       true},
      {"memory that can only be executed",
       [] {
         return mmap(nullptr, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
       },
       true},
  };
  for (const auto& test : kCases) {
    uint32_t mm = 0, thread = 0;
    std::string why = Blockers(test.body, &mm, &thread);
    EXPECT(why.empty(), std::string(test.name) + ": " + why);
    EXPECT((mm >> CRFS_blockers_pkeys & 1) == test.marked, test.name);
  }
  return "";
}

TEST(unsaved_session_keyrings) {
  const struct {
    const char* name;
    bool (*body)();
    bool marked;
  } kCases[] = {
      {"none", [] { return true; }, false},
      {"an empty one", [] { return NewSession(nullptr) > 0; }, false},
      {"that of a login", [] { return NewSession(nullptr) > 0 && Keyctl(8, kUser, kSession) == 0; },
       false},
      {"that of a service", [] { return NewSession(nullptr) > 0 && AddKey("invocation_id") > 0; },
       false},
      {"one with a key", [] { return NewSession("mine") > 0 && AddKey("secret") > 0; }, true},
      {"one with many keys",
       [] {
         bool all = NewSession(nullptr) > 0;
         for (int i = 0; i < 100; i++)
           all = all && AddKey(("invocation_id" + std::to_string(i)).c_str()) > 0;
         return all;
       },
       true},
  };
  for (const auto& test : kCases) {
    uint32_t mm = 0, thread = 0;
    std::string why = Blockers(test.body, &mm, &thread);
    EXPECT(why.empty(), std::string(test.name) + ": " + why);
    EXPECT((thread >> CRFS_blockers_keyrings & 1) == test.marked, test.name);
  }
  return "";
}

}  // namespace
}  // namespace kmod_test
