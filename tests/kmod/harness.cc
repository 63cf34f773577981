// SPDX-License-Identifier: Apache-2.0

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace kmod_test {

Options options;

namespace {

struct Named {
  const char* name;
  Case function;
};

std::vector<Named>& Cases() {
  static std::vector<Named> cases;
  return cases;
}

// Its use count, once what has just been killed is gone.
std::string ModuleUse() {
  std::string count;
  for (int i = 0; i < 100; i++) {
    count = ReadFile("/sys/module/crfs/refcnt");
    if (!count.empty()) count.pop_back();
    if (count == "0") break;
    Pause(20);
  }
  return count;
}

}  // namespace

Register::Register(const char* name, Case function) { Cases().push_back({name, function}); }

std::string Show(const std::string& text) { return '"' + text + '"'; }
std::string Show(std::string_view text) { return '"' + std::string(text) + '"'; }
std::string Show(const char* text) { return '"' + std::string(text) + '"'; }

struct Target::Shared {
  std::atomic<uint64_t> beats;
  std::atomic<uint64_t> word;
};

Target::Target(const std::function<void(Target&)>& body) {
  shared_ = static_cast<Shared*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  int ends[2];
  if (shared_ == MAP_FAILED || pipe2(ends, O_CLOEXEC) != 0) abort();
  fflush(nullptr);
  pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(99);
    close(ends[0]);
    word_ = static_cast<uint64_t>(ends[1]);  // until Ready()
    body(*this);
    _exit(0);
  }
  close(ends[1]);
  pollfd wait{ends[0], POLLIN, 0};
  poll(&wait, 1, 20000);
  close(ends[0]);
  word_ = shared_->word;
}

Target::~Target() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  munmap(shared_, 4096);
}

void Target::Ready(uint64_t word) {
  shared_->word = word;
  auto end = static_cast<int>(word_);
  if (write(end, "", 1) != 1) _exit(98);
  close(end);
}

void Target::Beat() { shared_->beats++; }
uint64_t Target::beats() const { return shared_->beats; }

bool Target::Runs(int milliseconds) {
  uint64_t before = beats();
  double end = Seconds() + milliseconds / 1e3;
  while (Seconds() < end) {
    if (beats() > before + 1) return true;
    Pause(2);
  }
  return false;
}

int Target::Wait() {
  int status = -1;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

void Pause(int milliseconds) {
  timespec left{milliseconds / 1000, milliseconds % 1000 * 1000000L};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

double Seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string Status(pid_t pid, const std::string& name) {
  std::istringstream in(ReadFile("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, name.size() + 1, name + ":") != 0) continue;
    size_t start = line.find_first_not_of(" \t", name.size() + 1);
    return start == std::string::npos ? "" : line.substr(start, line.find_last_not_of(" \t") - start + 1);
  }
  return "?";
}

char StateOf(pid_t tid) { return Status(tid, "State")[0]; }

bool Settles(pid_t pid) {
  const auto asleep = [pid] {
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
      const char state = StateOf(std::stoi(entry.path().filename()));
      if (state == 'R' || state == 'D') return false;
    }
    return true;
  };
  Pause(30);  // what sleeps yet may have been woken just now
  for (double end = Seconds() + 10; Seconds() < end; Pause(1)) {
    if (asleep()) return true;
  }
  return false;
}

}  // namespace kmod_test

int main(int argc, char** argv) {
  using namespace kmod_test;
  int failed = 0;
  signal(SIGPIPE, SIG_IGN);
  while (argc > 2 && std::string_view(argv[1]).compare(0, 2, "--") == 0) {
    if (std::string_view(argv[1]) == "--seed") options.seed = strtoull(argv[2], nullptr, 10);
    else if (std::string_view(argv[1]) == "--seconds") options.seconds = strtod(argv[2], nullptr);
    else return fprintf(stderr, "%s: unknown option\n", argv[1]), 2;
    argv += 2;
    argc -= 2;
  }
  for (const Named& test : Cases()) {
    std::string_view kind = std::string_view(test.name).substr(0, 4);
    bool chosen = argc < 2 && kind != "stre" && kind != "fuzz";
    for (int i = 1; i < argc; i++)
      chosen = chosen || std::string_view(test.name).find(argv[i]) != std::string_view::npos;
    if (!chosen) continue;
    double start = Seconds();
    std::string why = test.function();
    std::string used = ModuleUse();
    if (why.empty() && used != "0") why = "the module has " + used + " users left";
    double took = Seconds() - start;
    if (why.empty())
      printf("ok %s (%.1f s)\n", test.name, took);
    else if (why.compare(0, 5, "skip:") == 0)
      printf("ok %s # %s\n", test.name, why.c_str());
    else
      printf("FAIL %s %s\n", test.name, why.c_str());
    failed += !why.empty() && why.compare(0, 5, "skip:") != 0;
    fflush(stdout);
  }
  return failed != 0;
}
