// SPDX-License-Identifier: Apache-2.0
// Interval timers: the real one rings when what remained of its time is over, then at its
// period; those of cpu time count on from where they were.
#include <signal.h>
#include <sys/time.h>

#include "state.h"

static volatile int rang;
static volatile double first;
static void ring(int) {
  if (rang++ == 0) first = now(CLOCK_MONOTONIC);
}

int main(int, char** argv) {
  signal(SIGALRM, ring);
  signal(SIGVTALRM, SIG_IGN);
  signal(SIGPROF, SIG_IGN);
  const struct itimerval real = {.it_value.tv_sec = 9, .it_interval.tv_usec = 250000};
  const struct itimerval virtual = {.it_value.tv_sec = 5000, .it_interval.tv_sec = 7};
  const struct itimerval profile = {.it_value.tv_sec = 6000};
  EXPECT(setitimer(ITIMER_VIRTUAL, &virtual, NULL) == 0);
  EXPECT(setitimer(ITIMER_PROF, &profile, NULL) == 0);
  EXPECT(setitimer(ITIMER_REAL, &real, NULL) == 0);
  const double begin = now(CLOCK_MONOTONIC);
  ready_and_await_go(argv[1]);

  char path[4096];
  snprintf(path, sizeof(path), "%s/away", argv[1]);
  double away, away_at_most;
  EXPECT(sscanf(read_file(path), "%lf %lf", &away, &away_at_most) == 2);
  while (rang == 0) usleep(1000);
  const double late = first - begin - 9;
  if (late < away - 0.5 || late > away_at_most + 3) {
    fprintf(stderr, "it rang %.2f s late: was away for %.2f to %.2f\n", late, away, away_at_most);
    return 1;
  }
  struct itimerval left;
  EXPECT(getitimer(ITIMER_REAL, &left) == 0 && left.it_interval.tv_usec == 250000);
  while (rang < 4) usleep(1000);
  EXPECT(getitimer(ITIMER_VIRTUAL, &left) == 0);
  EXPECT(left.it_value.tv_sec > 4000 && left.it_value.tv_sec <= 5000);
  EXPECT(left.it_interval.tv_sec == 7);
  EXPECT(getitimer(ITIMER_PROF, &left) == 0);
  EXPECT(left.it_value.tv_sec > 5000 && left.it_value.tv_sec <= 6000);
  return 0;
}
