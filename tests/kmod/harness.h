// SPDX-License-Identifier: Apache-2.0
//
// Cases and targets. A case is TEST(name) { ... }; EXPECT fails it with a reason and returns.

#ifndef CRFS_TESTS_KMOD_HARNESS_H_
#define CRFS_TESTS_KMOD_HARNESS_H_

#include <sys/types.h>

#include <functional>
#include <string>

#include "client.h"

namespace kmod_test {

// What the command line says: --seed N, --seconds N (0: each fuzzer has its own).
struct Options {
  uint64_t seed = 1;
  double seconds = 0;
};
extern Options options;

// An empty string is success.
using Case = std::string (*)();
struct Register {
  Register(const char* name, Case function);
};

#define TEST(name)                                                        \
  static std::string Test_##name();                                       \
  static const ::kmod_test::Register register_##name(#name, Test_##name); \
  static std::string Test_##name()

#define EXPECT(condition, why) \
  do {                         \
    if (!(condition)) return std::string(#condition ": ") + (why); \
  } while (0)
#define EXPECT_EQ(a, b)                                                              \
  do {                                                                               \
    auto left_ = (a);                                                                \
    auto right_ = (b);                                                               \
    if (!(left_ == right_))                                                          \
      return std::string(#a " is ") + ::kmod_test::Show(left_) + ", not " #b " = " + \
             ::kmod_test::Show(right_);                                              \
  } while (0)
#define SKIP(why)                                                                    \
  do {                                                                               \
    return std::string("skip: ") + (why);                                            \
  } while (0)

std::string Show(const std::string& text);
std::string Show(std::string_view text);
std::string Show(const char* text);
template <typename T>
std::string Show(T value) {
  return std::to_string(value);
}

// A child process that runs `body`, killed and reaped when this goes. Start() returns once
// the child has called Ready(), or has ended.
class Target {
 public:
  explicit Target(const std::function<void(Target&)>& body);
  Target(const Target&) = delete;
  ~Target();
  pid_t pid() const { return pid_; }
  void Ready(uint64_t word = 0);    // in the child: tells the parent a number
  uint64_t word() const { return word_; }
  bool Runs(int milliseconds = 3000);  // does the child advance the counter that Beat() bumps
  void Beat();
  uint64_t beats() const;
  int Wait();  // the exit status as wait(2) gives it
  void Forget() { pid_ = -1; }

 private:
  struct Shared;
  Shared* shared_;
  pid_t pid_ = -1;
  uint64_t word_ = 0;
};

// Sleeps whatever signals come.
void Pause(int milliseconds);
double Seconds();
std::string ReadFile(const std::string& path);
// The value of a line `name:` of /proc/PID/status, blanks at its ends removed.
std::string Status(pid_t pid, const std::string& name);
char StateOf(pid_t tid);
// Until all threads of a task sleep, or have ended. False: they do not.
bool Settles(pid_t pid);

}  // namespace kmod_test

#endif  // CRFS_TESTS_KMOD_HARNESS_H_
