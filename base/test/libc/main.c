/* SPDX-License-Identifier: MIT */
/*
 * What the C library can do in a native component; each line ends in ok.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

_Thread_local volatile int own = 42;
_Thread_local volatile int zero;
static int constructed;

__attribute__((constructor)) static void
construct(void)
{
	constructed = 1;
}

static int
compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int
memory_works(void)
{
	void *block[100];

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 100; i++) {
			block[i] = malloc(i * 97 + 1);
			if (block[i] == NULL)
				return 0;
			memset(block[i], (int)i, i * 97 + 1);
		}
		for (unsigned i = 0; i < 100; i++) {
			if (((unsigned char *)block[i])[i * 97] != i)
				return 0;
			free(block[i]);
		}
	}
	return malloc(1 << 30) == NULL && errno == ENOMEM;
}

static int
time_passes(void)
{
	struct timespec a, b, nap = { .tv_nsec = 20000000 };
	long ms;

	clock_gettime(CLOCK_MONOTONIC, &a);
	nanosleep(&nap, NULL);
	clock_gettime(CLOCK_MONOTONIC, &b);
	ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
	return ms >= 20 && time(NULL) > 1700000000;
}

int
main(int argc, char **argv)
{
	int numbers[5] = { 5, 3, 1, 4, 2 };
	char buffer[64];
	unsigned char noise[8] = { 0 };

	qsort(numbers, 5, sizeof *numbers, compare);
	snprintf(buffer, sizeof buffer, "%.3f %s %d", sqrt(2.0), strerror(ENOENT), numbers[4]);
	printf("libc: %d arguments, the last %s\n", argc, argv[argc - 1]);
	printf("libc: start %s\n", own == 42 && zero == 0 && constructed ? "ok" : "wrong");
	printf("libc: format [%s]\n", buffer);
	printf("libc: memory %s\n", memory_works() ? "ok" : "wrong");
	printf("libc: time %s\n", time_passes() ? "ok" : "wrong");
	printf("libc: random %s\n", getrandom(noise, 8, 0) == 8 && memcmp(noise, "\0\0\0\0\0\0\0", 8) != 0 ?
	    "ok" : "wrong");
	printf("libc: no files %s\n", fopen("/etc/passwd", "r") == NULL && errno == ENOSYS ? "ok" : "wrong");
	fflush(stdout);
	return 7;
}
