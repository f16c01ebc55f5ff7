/* SPDX-License-Identifier: MIT */
/*
 * Calls of memory and processes with arguments that make little sense, from several
 * processes at once, then the classic bombs: forks without end under RLIMIT_NPROC,
 * memory without end, a thousand threads.  The system has to outlive it and to
 * have its memory back: the last line is "memstorm: N calls, N KiB less".
 * memstorm [seed [calls of a process]]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

/* mm/ and proc/ of syscall/table.def but reboot, sethostname, exit and who kills others. */
static const int calls[] = {
	214, 215, 216, 222, 226, 227, 228, 229, 230, 231, 232, 233, 270, 271, 284,
	90, 91, 92, 95, 96, 97, 141, 148, 150, 153, 155, 156, 158, 160, 163, 165, 167, 168, 172, 173, 174, 178, 179,
	260, 261, 278, 281, 221, 283, 434, 435, 220, 98, 99, 100, 222, 226, 215, 216, 233, 222, 226, 215, 216, 233,
};
enum { PROCESSES = 6 };
static uint64_t state;
static char *area;

static uint64_t
rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t
value(void)
{
	switch (rnd() % 16) {
	case 0: return 0;
	case 1: return (uint64_t)-1;
	case 2: return rnd() % 64;
	case 3: return 1UL << (rnd() % 64);
	case 4: return rnd();
	case 5: return 0xffff000000000000UL + (rnd() % 4) * 4096;
	case 6: return 0x0001000000000000UL - 4096 * (rnd() % 4);
	case 7: return (uint64_t)&state & ~4095UL;
	case 8: return 4096 * (rnd() % 32);
	case 9: return rnd() % 8;
	default: return (uint64_t)area + 4096 * (rnd() % 64) + (rnd() % 4 == 0 ? rnd() % 4096 : 0);
	}
}

/* Children of clone may come out of it anywhere: they share our fate. */
static void
one_call(void)
{
	int nr = calls[rnd() % (sizeof(calls) / sizeof(calls[0]))];
	uint64_t a[6];

	for (int i = 0; i < 6; i++)
		a[i] = value();
	if (nr == SYS_clone || nr == SYS_clone3) {
		if (rnd() % 4 != 0)
			return;
		a[0] = nr == SYS_clone ? (a[0] & 0x7f) | (rnd() & 0xff00 & ~0x4000UL) : a[0];
		a[1] = nr == SYS_clone ? 0 : a[1];
	}
	if (nr == SYS_wait4 || nr == SYS_waitid)
		a[nr == SYS_wait4 ? 2 : 3] |= 1;
	if (nr == SYS_futex)
		a[1] = 1;
	if (nr == SYS_execve || nr == SYS_execveat)
		if (rnd() % 16 != 0)
			return;
	pid_t before = (pid_t)syscall(SYS_gettid);

	syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if ((pid_t)syscall(SYS_gettid) != before)
		syscall(SYS_exit_group, 0);
}

static void
storm(uint64_t seed, unsigned count)
{
	struct rlimit l = { 3, 3 };

	state = seed * 0x9e3779b97f4a7c15UL | 1;
	area = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	l.rlim_cur = l.rlim_max = 1UL << 30;
	setrlimit(RLIMIT_AS, &l);
	for (unsigned i = 0; i < count; i++)
		one_call();
	_exit(0);
}

static unsigned
storms(uint64_t seed, unsigned count)
{
	unsigned ended = 0;

	for (int round = 0; round < 40; round++)
		for (int i = 0; i < PROCESSES; i++) {
			if (fork() == 0)
				storm(seed++, count);
			seed++;
			if (i == PROCESSES - 1)
				while (wait(NULL) > 0)
					ended++;
		}
	return ended;
}

/* As many children as the limit allows, each trying to have more. */
static int
fork_bomb(void)
{
	struct rlimit l = { 120, 120 };
	pid_t c = fork();
	int st;

	if (c == 0) {
		setpgid(0, 0);
		setrlimit(RLIMIT_NPROC, &l);
		for (int i = 0; i < 60; i++)
			fork();
		_exit(0);
	}
	waitpid(c, &st, 0);
	kill(-c, SIGKILL);
	while (wait(NULL) > 0)
		;
	return st;
}

static int
memory_bomb(void)
{
	pid_t c = fork();
	int st = -1;

	if (c == 0) {
		for (;;) {
			char *p = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			if (p == MAP_FAILED)
				_exit(1);
			memset(p, 1, 64 << 20);
		}
	}
	waitpid(c, &st, 0);
	return st;
}

static pthread_barrier_t barrier;

static void *
thread(void *arg)
{
	pthread_barrier_wait(&barrier);
	return arg;
}

static int
threads(int n)
{
	static pthread_t t[2000];
	pthread_attr_t attr;
	int made;

	pthread_barrier_init(&barrier, NULL, (unsigned)n + 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	for (made = 0; made < n; made++)
		if (pthread_create(&t[made], &attr, thread, NULL) != 0)
			return made;
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	return made;
}

int
main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
	unsigned count = argc > 2 ? (unsigned)atoi(argv[2]) : 300, ended = 0;
	struct sysinfo a, b;

	setvbuf(stdout, NULL, _IONBF, 0);
	for (int i = 0; i < 2; i++) {
		sysinfo(&a);
		ended += storms(seed + 1000 * (uint64_t)i, count);
		printf("storms: %u processes\n", ended);
		printf("fork bomb: status %x\n", fork_bomb());
		printf("memory bomb: status %x\n", memory_bomb());
		printf("threads: %d\n", threads(1000));
		usleep(100000);
		sysinfo(&b);
	}
	printf("memstorm: %u calls, %ld KiB less\n", ended * count, (long)(a.freeram - b.freeram) / 1024);
	return 0;
}
