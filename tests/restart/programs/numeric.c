// SPDX-License-Identifier: Apache-2.0
//
// numeric THREADS ROUNDS RESULT: a sum that lives in vector registers. Each thread iterates a
// map on eight doubles held in AVX registers and folds them into a checksum; the sum of all
// is written to RESULT at the end, atomically. Any lost bit of a register shows in it.
#include <immintrin.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct work {
  int number;
  long rounds;
  uint64_t checksum;
};

__attribute__((target("avx"))) static void* iterate(void* argument) {
  struct work* work = argument;
  __m256d a = _mm256_set_pd(0.1, 0.2, 0.3, 0.4 + 0.01 * work->number);
  __m256d b = _mm256_set_pd(0.5, 0.6, 0.7, 0.8 - 0.01 * work->number);
  const __m256d one = _mm256_set1_pd(1.0);
  const __m256d r = _mm256_set1_pd(3.9);
  // The logistic map is chaotic: an error of one bit grows to a different sum.
  for (long i = 0; i < work->rounds; ++i) {
    a = _mm256_mul_pd(_mm256_mul_pd(r, a), _mm256_sub_pd(one, a));
    b = _mm256_mul_pd(_mm256_mul_pd(r, b), _mm256_sub_pd(one, b));
    // Keeps both in registers, whatever the optimizer thinks.
    __asm__ volatile("" : "+x"(a), "+x"(b));
  }
  double values[8];
  _mm256_storeu_pd(values, a);
  _mm256_storeu_pd(values + 4, b);
  for (int i = 0; i < 8; ++i) {
    uint64_t bits;
    memcpy(&bits, &values[i], sizeof(bits));
    work->checksum = work->checksum * 31 + bits;
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const int count = atoi(argv[1]);
  pthread_t* threads = calloc(count, sizeof(*threads));
  struct work* works = calloc(count, sizeof(*works));
  for (int i = 0; i < count; ++i) {
    works[i] = (struct work){.number = i, .rounds = atol(argv[2])};
    if (pthread_create(&threads[i], NULL, iterate, &works[i]) != 0) return 1;
  }
  uint64_t sum = 0;
  for (int i = 0; i < count; ++i) {
    pthread_join(threads[i], NULL);
    sum = sum * 1000003 + works[i].checksum;
  }
  char name[4096];
  snprintf(name, sizeof(name), "%s.new", argv[3]);
  FILE* file = fopen(name, "w");
  if (file == NULL) return 1;
  fprintf(file, "%016llx\n", (unsigned long long)sum);
  if (fclose(file) != 0 || rename(name, argv[3]) != 0) return 1;
  return 7;
}
