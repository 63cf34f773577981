// SPDX-License-Identifier: Apache-2.0
// What /proc and the getters say of a task, word for word as before: credentials,
// capabilities, limits, directories, scheduling, names and the rest.
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "state.h"

static char text[1 << 16];
static size_t length;

static void add(const char* name, long value) {
  length += (size_t)snprintf(text + length, sizeof(text) - length, "%s %ld\n", name, value);
}

static void add_lines(const char* path, const char* const* wanted) {
  FILE* file = fopen(path, "r");
  EXPECT(file != NULL);
  char line[4096];
  while (fgets(line, sizeof(line), file) != NULL) {
    for (const char* const* name = wanted; *name != NULL; ++name) {
      if (strncmp(line, *name, strlen(*name)) == 0) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s", line);
      }
    }
  }
  fclose(file);
}

static const char* describe(void) {
  static const char* const status[] = {"Name",   "Umask",  "Uid",    "Gid",    "Groups",
                                       "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
                                       "NoNew",  "SigBlk", "SigIgn", "SigCgt", "Cpus_allowed",
                                       "NSpid",  "NSpgid", "NSsid",  "Tgid",   NULL};
  static const char* const all[] = {"", NULL};
  length = 0;
  add_lines("/proc/self/status", status);
  add_lines("/proc/self/limits", all);
  add_lines("/proc/self/oom_score_adj", all);
  add_lines("/proc/self/timerslack_ns", all);
  char directory[4096];
  EXPECT(getcwd(directory, sizeof(directory)) != NULL);
  length += (size_t)snprintf(text + length, sizeof(text) - length, "%s\n", directory);
  add("nice", getpriority(PRIO_PROCESS, 0));
  add("policy", sched_getscheduler(0));
  struct sched_param parameters;
  EXPECT(sched_getparam(0, &parameters) == 0);
  add("priority", parameters.sched_priority);
  add("ioprio", syscall(SYS_ioprio_get, 1, 0));
  add("personality", personality(0xffffffff));
  add("securebits", prctl(PR_GET_SECUREBITS));
  add("dumpable", prctl(PR_GET_DUMPABLE));
  add("timer slack", prctl(PR_GET_TIMERSLACK));
  add("thp", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
  int signal;
  EXPECT(prctl(PR_GET_PDEATHSIG, &signal) == 0);
  add("death signal", signal);
  return text;
}

int main(int, char** argv) {
  // As root, the state of a service that has given up most of what it may.
  EXPECT(chdir(argv[1]) == 0 && chmod(argv[1], 0777) == 0);
  umask(0137);
  EXPECT(personality(ADDR_NO_RANDOMIZE) != -1);
  EXPECT(prctl(PR_SET_NAME, "a new name") == 0);
  EXPECT(prctl(PR_SET_TIMERSLACK, 123456) == 0);
  EXPECT(setpriority(PRIO_PROCESS, 0, 3) == 0);
  const struct sched_param batch = {};
  EXPECT(sched_setscheduler(0, SCHED_BATCH, &batch) == 0);
  EXPECT(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 5) == 0);
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(1, &cpus);
  EXPECT(sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
  // Each limit is one that nobody else has.
  for (int resource = 0; resource < RLIM_NLIMITS; ++resource) {
    struct rlimit limit = {.rlim_cur = (1 << 30) + resource, .rlim_max = (1 << 30) + 100};
    if (resource == RLIMIT_NOFILE) limit = (struct rlimit){.rlim_cur = 77, .rlim_max = 99};
    if (resource == RLIMIT_NICE || resource == RLIMIT_RTPRIO) {
      limit = (struct rlimit){.rlim_cur = 11, .rlim_max = 12};
    }
    EXPECT(setrlimit(resource, &limit) == 0);
  }
  FILE* score = fopen("/proc/self/oom_score_adj", "w");
  EXPECT(score != NULL && fputs("321", score) >= 0 && fclose(score) == 0);
  const gid_t groups[] = {7, 100, 4242};
  EXPECT(setgroups(3, groups) == 0);
  EXPECT(prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT) == 0);
  EXPECT(prctl(PR_SET_KEEPCAPS, 1) == 0);
  EXPECT(setresgid(1001, 1002, 1003) == 0 && setresuid(2001, 2002, 2003) == 0);
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct caps[2] = {};
  caps[0].permitted = 1 << CAP_NET_RAW | 1 << CAP_SYS_NICE;
  caps[0].effective = 1 << CAP_SYS_NICE;
  caps[0].inheritable = 1 << CAP_NET_RAW;
  EXPECT(syscall(SYS_capset, &header, caps) == 0);
  EXPECT(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) == 0);
  EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  EXPECT(prctl(PR_SET_DUMPABLE, 1) == 0);
  EXPECT(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
  EXPECT(prctl(PR_SET_PDEATHSIG, SIGUSR2) == 0);
  signal(SIGUSR2, SIG_IGN);
  char* before = strdup(describe());
  ready_and_await_go(argv[1]);

  const char* after = describe();
  if (strcmp(before, after) != 0) {
    fprintf(stderr, "before:\n%s\nafter:\n%s\n", before, after);
    return 1;
  }
  return 0;
}
