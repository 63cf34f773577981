// SPDX-License-Identifier: Apache-2.0
//
// Programs under crfs run: their checkpoints, and what is left when crfs dies.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/run_folder.h"
#include "index/loaded_checkpoint.h"
#include "tests/ptrace/program.h"
#include "tests/sanitized.h"

namespace crfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RunTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(std::getenv("CRFS"), nullptr);
    char name[] = "/tmp/crfs-run-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    if (crfs_ != 0) Wait(SIGKILL);
    for (const pid_t pid : started_) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    std::filesystem::remove_all(folder_);
  }

  // Starts crfs run with these words; the program may write its pid to FOLDER/pid.
  void Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"crfs", "run"});
    crfs_ = ::fork();
    if (crfs_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::chdir(folder_.c_str()) != 0) ::_exit(126);
    const int null = ::open("/dev/null", O_RDWR);
    const int told = ::open("told", O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(null, STDIN_FILENO);
    ::dup2(null, STDOUT_FILENO);
    ::dup2(told, STDERR_FILENO);
    // The pipes of who has started the test have ends outside of the program.
    ::close_range(3, ~0U, 0);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execv(std::getenv("CRFS"), argv.data());
    ::_exit(127);
  }
  // A shell script under it.
  void RunScript(const std::string& every, const std::string& keep, const std::string& script) {
    Run({"--engine", "ptrace", "--every", every, "--keep", keep, "--to", "images", "--", "/bin/sh",
         "-c", "echo $$ >pid.new; mv pid.new pid; " + script});
    ASSERT_TRUE(Eventually([&] { return Program() != 0; }));
    started_.insert(Program());
  }
  pid_t Program() const {
    pid_t pid = 0;
    std::ifstream(folder_ + "/pid") >> pid;
    return pid;
  }

  // The exit status of crfs.
  int Wait(int signal = 0) {
    if (signal != 0) ::kill(crfs_, signal);
    int status = 0;
    if (!Eventually([&] { return ::waitpid(crfs_, &status, WNOHANG) == crfs_; })) return -1;
    crfs_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    std::error_code none;  // it is not made yet
    for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/images", none)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  std::vector<std::string> Images() const {
    std::vector<std::string> images;
    for (const std::string& name : Names()) {
      if (!absl::StartsWith(name, ".") && absl::EndsWith(name, ".crfs")) images.push_back(name);
    }
    return images;
  }
  uint64_t Newest() const {
    uint64_t number = 0;
    const std::vector<std::string> images = Images();
    if (!images.empty()) (void)absl::SimpleAtoi(images.back().substr(0, 8), &number);
    return number;
  }
  void ExpectWhole(const std::string& name) const {
    const auto loaded = LoadedCheckpoint::FromImage(absl::StrCat(folder_, "/images/", name));
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_TRUE(loaded->VerifyMemory().ok()) << name;
  }
  std::string Told() const {
    std::ifstream file(folder_ + "/told");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string folder_;
  pid_t crfs_ = 0;
  std::set<pid_t> started_;
};

TEST_F(RunTest, KeepsTheNewestAndEndsAsTheProgramDoes) {
  RunScript("0.2", "2", "while [ ! -e end ]; do sleep 0.05; done; exit 7");
  ASSERT_TRUE(Eventually([&] { return Newest() >= 5; }));
  std::ofstream(folder_ + "/end") << "x";
  EXPECT_EQ(Wait(), 7);
  const std::vector<std::string> images = Images();
  ASSERT_EQ(images.size(), 2U);
  for (const std::string& image : images) ExpectWhole(image);
  EXPECT_EQ(Names().size(), 3U) << "and the settings";
  EXPECT_EQ(Told(), "");
}

TEST_F(RunTest, TakesThemAtTheInterval) {
  const absl::Time begin = absl::Now();
  RunScript("0.5", "100", "sleep 1000");
  ASSERT_TRUE(Eventually([&] { return Newest() >= 4; }));
  // None comes early; how late one may be is up to the machine.
  EXPECT_GE(absl::Now() - begin, absl::Milliseconds(1990));
  EXPECT_EQ(Wait(SIGTERM), 128 + SIGTERM);
}

TEST_F(RunTest, PassesSignalsOn) {
  RunScript("60", "1",
            "trap 'echo got >got' USR1; trap 'exit 5' TERM; while :; do sleep 0.05; done");
  ASSERT_TRUE(Eventually([&] {
    return (std::strtoull(StatusLine(Program(), "SigCgt").c_str(), nullptr, 16) >> (SIGTERM - 1) &
            1) != 0;
  }));
  ::kill(crfs_, SIGUSR1);
  EXPECT_TRUE(Eventually([&] { return ::access((folder_ + "/got").c_str(), F_OK) == 0; }));
  EXPECT_EQ(Wait(SIGTERM), 5);
  EXPECT_THAT(Images(), IsEmpty());
}

TEST_F(RunTest, SaysWhyNoProgramRuns) {
  Run({"--every", "1", "--to", "images", "--", "/nonexistent/program"});
  EXPECT_EQ(Wait(), 1);
  EXPECT_THAT(Told(), HasSubstr("crfs: /nonexistent/program: cannot be run: No such file"));
}

TEST_F(RunTest, TellsOfACheckpointThatFailsAndGoesOn) {
  RunScript("0.2", "2", "exec 8>gone; rm gone; while [ ! -e end ]; do sleep 0.05; done; exit 3");
  EXPECT_TRUE(Eventually([&] { return absl::StrContains(Told(), "cannot be restarted"); }));
  std::ofstream(folder_ + "/end") << "x";
  EXPECT_EQ(Wait(), 3);
  EXPECT_THAT(Images(), IsEmpty());
}

TEST_F(RunTest, LeavesOutWhatIsExcludedWhereThereIsSuchAThing) {
  Run({"--engine", "ptrace", "--every", "0.2", "--to", "images", "--exclude", "fd:8", "--exclude",
       "fd:9", "--", "/bin/sh", "-c", "exec 8>gone; rm gone; sleep 1000"});
  EXPECT_TRUE(Eventually([&] { return Newest() >= 1; }));
  EXPECT_EQ(Wait(SIGTERM), 128 + SIGTERM);
  ExpectWhole(Images().front());
}

TEST_F(RunTest, ResumeNeedsAFolderOfARun) {
  Run({"--resume", "images"});
  EXPECT_EQ(Wait(), 1);
  ASSERT_TRUE(std::filesystem::create_directory(folder_ + "/images"));
  Run({"--resume", "images"});
  EXPECT_EQ(Wait(), 1);
  EXPECT_THAT(Told(), HasSubstr("name a folder that crfs run --to has made"));
}

TEST_F(RunTest, ResumeSetsDamagedImagesAside) {
  RunScript("60", "2", "sleep 1000");
  EXPECT_EQ(Wait(SIGTERM), 128 + SIGTERM);
  std::ofstream(folder_ + "/images/00000001.crfs") << "damaged";
  std::ofstream(folder_ + "/images/00000002.crfs") << "damaged";
  Run({"--resume", "images"});
  EXPECT_EQ(Wait(), 1);
  EXPECT_THAT(Images(), IsEmpty());
  EXPECT_THAT(Names(), ElementsAre("00000001.crfs.damaged", "00000002.crfs.damaged", "settings"));
  EXPECT_THAT(Told(), HasSubstr("00000002.crfs: is set aside: the one before it is tried"));
  EXPECT_THAT(Told(), HasSubstr("there is no checkpoint that can be used"));
}

// A program that knows nothing of it, and whose environment is what it would be.
TEST_F(RunTest, ASignalHasTheProgramCheckpointItself) {
  ::setenv("LD_PRELOAD", "", 1);
  Run({"--signal", "USR2", "--keep", "2", "--to", "images", "--", "/bin/sh", "-c",
       "env | grep -E 'CRFS_PRELOAD|LD_PRELOAD' >environment; echo $$ >pid.new; mv pid.new pid; "
       "while [ ! -e end ]; do sleep 0.05; done; exit 4"});
  ::unsetenv("LD_PRELOAD");
  ASSERT_TRUE(Eventually([&] { return Program() != 0; }));
  started_.insert(Program());
  for (uint64_t i = 1; i <= 4; ++i) {
    ::kill(crfs_, SIGUSR2);
    ASSERT_TRUE(Eventually([&] { return Newest() == i; })) << i << ": " << Told();
    // The one before has been reported complete, and so may the next one begin.
    ::usleep(100'000);
  }
  EXPECT_EQ(Images().size(), 3U);
  std::ofstream(folder_ + "/end") << "x";
  EXPECT_EQ(Wait(), 4);
  EXPECT_THAT(Images(), ElementsAre("00000003.crfs", "00000004.crfs"));
  for (const std::string& image : Images()) ExpectWhole(image);
  EXPECT_EQ(Told(), "");
  std::ifstream environment(folder_ + "/environment");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(environment), {}), "LD_PRELOAD=\n");
}

// Whenever that is: what has an image's name is whole, and nothing else stays for long.
TEST_F(RunTest, KilledLeavesWholeImagesAlone) {
  std::mt19937 random(42);
  for (int round = 0; round < (kSanitized ? 4 : 15); ++round) {
    std::filesystem::remove_all(folder_ + "/images");
    std::filesystem::remove(folder_ + "/pid");
    RunScript("0.01", "2", "sleep 1000");
    ::usleep(std::uniform_int_distribution<useconds_t>(0, 400'000)(random));
    EXPECT_EQ(Wait(SIGKILL), -2);
    const pid_t program = Program();
    EXPECT_TRUE(Eventually([&] { return StatusLine(program, "TracerPid") == "0"; }));
    for (const std::string& image : Images()) ExpectWhole(image);
    EXPECT_LE(Images().size(), 3U);
    EXPECT_TRUE(Eventually([&] { return StateOf(program) == 'S'; })) << "it runs on";
    ::kill(program, SIGKILL);
    EXPECT_TRUE(Eventually([&] { return StateOf(program) == '?' || StateOf(program) == 'Z'; }));
    // Who comes next cleans up. Damaged images would be set aside; these are not.
    const std::vector<std::string> images = Images();
    const absl::StatusOr<RunFolder> folder = RunFolder::Open(folder_ + "/images");
    ASSERT_TRUE(folder.ok()) << folder.status();
    EXPECT_EQ(Images(), images);
    for (const std::string& name : Names()) EXPECT_FALSE(absl::StartsWith(name, ".")) << name;
  }
}

}  // namespace
}  // namespace crfs
