// SPDX-License-Identifier: Apache-2.0

#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "harness.h"

namespace kmod_test {

uint64_t Random::Next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

uint64_t Random::Edge() {
  static const uint64_t kEdges[] = {0,
                                    1,
                                    2,
                                    7,
                                    8,
                                    63,
                                    64,
                                    65,
                                    4095,
                                    4096,
                                    0xffff,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    0x100000000,
                                    ~uint64_t{0},
                                    ~uint64_t{4095},
                                    uint64_t{1} << 63,
                                    (uint64_t{1} << 63) - 1,
                                    0x7fffffffefff,
                                    0x7ffffffff000,
                                    0x800000000000,
                                    0xffff800000000000,
                                    0xffff888000000000,
                                    0xffffffff81000000,
                                    0xffffffffff600000,
                                    0xfffffffffffff000};
  uint64_t edge = Of(kEdges);
  switch (Below(6)) {
    case 0:
      return edge + 1;
    case 1:
      return edge - 1;
    case 2:
      return Next() >> Below(64);
    case 3:
      return uint64_t{1} << Below(64);
    default:
      return edge;
  }
}

void Tally::AddError(const std::string& step, int error) {
  Add(step + " " + (error ? strerrorname_np(-error) : "ok"));
}

std::string Tally::Text() const {
  std::string text;
  for (const auto& [outcome, count] : counts_)
    text += (text.empty() ? "" : ", ") + outcome + " " + std::to_string(count);
  return text;
}

std::string Fuzz(const char* name, double seconds,
                 const std::function<std::string(Random&, Tally&)>& round) {
  if (options.seconds) seconds = options.seconds;
  printf("# %s: --seed %llu --seconds %.0f\n", name, static_cast<unsigned long long>(options.seed),
         seconds);
  fflush(stdout);
  Tally tally;
  std::string why;
  uint64_t rounds = 0;
  for (double end = Seconds() + seconds; Seconds() < end && why.empty(); rounds++) {
    Random random(options.seed + rounds);
    why = round(random, tally);
    if (!why.empty()) why = "seed " + std::to_string(options.seed + rounds) + ": " + why;
  }
  printf("# %s: %llu rounds: %s\n", name, static_cast<unsigned long long>(rounds),
         tally.Text().c_str());
  return why;
}

namespace {

std::vector<pid_t> Children() {
  std::vector<pid_t> pids;
  std::string list = ReadFile("/proc/thread-self/children");
  for (char* at = list.data(); *at;) {
    pids.push_back(static_cast<pid_t>(strtol(at, &at, 10)));
    while (*at == ' ') at++;
  }
  return pids;
}

// Children may still come, from those who die.
void ReapAll() {
  for (std::vector<pid_t> pids; !(pids = Children()).empty();) {
    for (pid_t pid : pids) kill(pid, SIGKILL);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    Pause(1);
  }
}

}  // namespace

std::string Apart(double seconds, const std::function<std::string()>& body) {
  int ends[2];
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || pipe2(ends, O_CLOEXEC) != 0) return strerror(errno);
  fflush(nullptr);
  pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::string why = body();
    // With its NUL: tasks that were made hold the pipe, too, so its end says nothing.
    _exit(write(ends[1], why.c_str(), why.size() + 1) < 0);
  }
  close(ends[1]);
  std::string why;
  pollfd wait{ends[0], POLLIN, 0};
  char text[1000];
  double end = Seconds() + seconds;
  while (Seconds() < end && (why.empty() || why.back())) {
    bool dead = StateOf(pid) == 'Z';
    if (poll(&wait, 1, 20) > 0) {
      ssize_t got = read(ends[0], text, sizeof(text));
      if (got <= 0) break;
      why.append(text, static_cast<size_t>(got));
    } else if (dead) {
      break;
    }
  }
  if (!why.empty() && !why.back()) why.pop_back();
  close(ends[0]);
  kill(pid, SIGKILL);
  ReapAll();
  return why;
}

bool BecomeNobody() {
  __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  data[CAP_CHECKPOINT_RESTORE / 32].permitted = data[CAP_CHECKPOINT_RESTORE / 32].effective =
      1u << CAP_CHECKPOINT_RESTORE % 32;
  return prctl(PR_SET_KEEPCAPS, 1) == 0 && setresgid(65534, 65534, 65534) == 0 &&
         setresuid(65534, 65534, 65534) == 0 && syscall(SYS_capset, &head, data) == 0;
}

bool IsDocumented(int error) {
  static const int kErrors[] = {0,          ENODEV,    EBADMSG, ENOENT,  ESRCH,  EINVAL,
                                ENODATA,    EEXIST,    EACCES,  ETXTBSY, EAGAIN, EPERM,
                                EOPNOTSUPP, ETIMEDOUT, ENOMEM,  EDEADLK, EINTR,  EFAULT};
  return std::find(std::begin(kErrors), std::end(kErrors), -error) != std::end(kErrors);
}

namespace {

void Handler(int) {}

void Sleepy(Target& self) {
  constexpr size_t kPage = 4096;
  auto map = [](size_t pages, int flags) {
    return static_cast<char*>(
        mmap(nullptr, pages * kPage, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0));
  };
  memset(map(16, MAP_PRIVATE), 'x', 8 * kPage);
  memset(map(4, MAP_SHARED), 's', kPage);
  char* constant = map(4, MAP_PRIVATE);
  constant[0] = 'c';
  mlock(constant, 4 * kPage);
  mprotect(constant, 4 * kPage, PROT_READ);
  map(4, MAP_PRIVATE | MAP_GROWSDOWN)[3 * kPage] = 'g';
  static char stack[65536];
  stack_t alternative{stack, 0, sizeof(stack)};
  sigaltstack(&alternative, nullptr);
  struct sigaction action {};
  action.sa_handler = Handler;
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR1, &action, nullptr);
  sigset_t set;
  sigfillset(&set);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  itimerval timer{{100, 0}, {1000, 0}};
  setitimer(ITIMER_REAL, &timer, nullptr);
  std::thread([] {
    union sigval value {};
    pthread_sigqueue(pthread_self(), SIGUSR2, value);
    for (;;) pause();
  }).detach();
  union sigval value {};
  sigqueue(getpid(), SIGRTMIN, value);
  kill(getpid(), SIGTERM);
  self.Ready();
  for (;;) sleep(1000);
}

}  // namespace

const Saved& ProgramToSpoil() {
  static const Saved saved = [] {
    Target target(Sleepy);
    Pause(30);
    Saved made = Save({target.pid()});
    Kill(target.pid());
    target.Forget();
    return made;
  }();
  return saved;
}

Saved Copy(const Saved& saved) {
  Saved copy;
  copy.stream = saved.stream;
  copy.memory = Fd(dup(saved.memory.get()));
  copy.at = saved.at;
  for (const auto& [id, fd] : saved.files) copy.files[id] = Fd(dup(fd.get()));
  for (const auto& [id, fd] : saved.shmems) copy.shmems[id] = Fd(dup(fd.get()));
  copy.error = saved.error;
  return copy;
}

}  // namespace kmod_test
