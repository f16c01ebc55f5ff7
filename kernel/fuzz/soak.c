/* SPDX-License-Identifier: MIT */
/*
 * The long run: random worlds from a seed until so many invocations were made,
 * each once with fast paths and once without.
 * usage: kernel-soak [invocations [seed]]; with SOAK_TRACE set each seed is
 * printed, and `kernel-soak 1 seed` repeats one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

enum { RUN_BYTES = 6000 };

static uint64_t state;

static uint64_t
next_random(void)			/* splitmix64 */
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

int
main(int argc, char **argv)
{
	uint64_t wanted = argc > 1 ? strtoull(argv[1], NULL, 0) : 100000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	static uint8_t bytes[RUN_BYTES];

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (uint64_t run = seed; fuzz_invocations < wanted; run++) {
		state = run * 1000003;
		for (unsigned i = 0; i < RUN_BYTES; i++)
			bytes[i] = (uint8_t)(next_random() >> 24);
		if (getenv("SOAK_TRACE") != NULL)
			printf("seed %llu\n", (unsigned long long)run);
		if (fuzz_run(bytes, RUN_BYTES) != 0) {
			printf("seed %llu\n", (unsigned long long)run);
			return 1;
		}
		if (run % 1000 == 0)
			printf("seed %llu: %llu invocations\n", (unsigned long long)run,
				(unsigned long long)fuzz_invocations);
	}
	printf("%llu invocations, no finding\n", (unsigned long long)fuzz_invocations);
	return 0;
}
