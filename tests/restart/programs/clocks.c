// SPDX-License-Identifier: Apache-2.0
//
// clocks FOLDER: calls into the vdso again and again, through the addresses that the C library
// looked up at its start, until FOLDER/go is there. It sleeps most of the time, outside the vdso,
// so that another kernel can restart it. Then it writes `right` to FOLDER/result if
// all of them still agree with the system calls that they stand for.
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long seconds_of_vdso(clockid_t clock) {
  struct timespec now;
  return clock_gettime(clock, &now) == 0 ? now.tv_sec : -1;
}

static long long seconds_of_kernel(clockid_t clock) {
  struct timespec now;
  return syscall(SYS_clock_gettime, clock, &now) == 0 ? now.tv_sec : -2;
}

static const char* judge(void) {
  static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
  for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); ++i) {
    if (llabs(seconds_of_vdso(clocks[i]) - seconds_of_kernel(clocks[i])) > 1)
      return "clock_gettime";
  }
  struct timeval now;
  if (gettimeofday(&now, NULL) != 0 || llabs(now.tv_sec - seconds_of_kernel(CLOCK_REALTIME)) > 1) {
    return "gettimeofday";
  }
  if (llabs((long long)time(NULL) - seconds_of_kernel(CLOCK_REALTIME)) > 1) return "time";
  const int cpu = sched_getcpu();
  if (cpu < 0 || cpu >= sysconf(_SC_NPROCESSORS_CONF)) return "getcpu";
  return "right";
}

int main(int argc, char** argv) {
  if (argc != 2 || chdir("/") != 0) return 2;
  char go[4096], result[4096];
  snprintf(go, sizeof(go), "%s/go", argv[1]);
  snprintf(result, sizeof(result), "%s/result", argv[1]);
  struct timespec now;
  while (access(go, F_OK) != 0) {
    for (int i = 0; i < 1000; ++i) clock_gettime(CLOCK_MONOTONIC, &now);
    usleep(50000);
  }
  FILE* file = fopen(result, "w");
  if (file == NULL) return 1;
  fprintf(file, "%s\n", judge());
  return fclose(file) == 0 ? 0 : 1;
}
