/* SPDX-License-Identifier: MIT */
/*
 * File system calls with arguments that make little sense: numbers, pointers to
 * nowhere, to the edge of a page, to strings, descriptors of every kind, from
 * several processes at once.  The system has to outlive it; the last line is
 * "storm: N calls".  storm [seed [calls of a process]]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Calls of fs/ in syscall/table.def, but for those that end the test itself. */
static const int calls[] = {
	5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 32, 33, 34, 35, 36,
	37, 38, 43, 44, 45, 46, 47, 48, 49, 50, 52, 53, 54, 55, 56, 57, 59, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71,
	72, 73, 74, 76, 77, 78, 79, 80, 82, 83, 84, 85, 88, 166, 213, 223, 267, 276, 279, 285, 286, 287, 291, 437, 439,
	441, 452,
};
static const char *const names[] = {
	"a", "b", "a/b", "a/../b", "l", "l/x", ".", "..", "", "/proc/self/stat", "/proc/self/fd/3", "/proc/self/fd/5",
	"/proc/self/maps", "/dev/null", "/dev/zero", "a/", "fifo", "/proc/self/exe", "/proc/self/root/proc/self/cwd/a",
	"user.x", "trusted.y", "/sys/devices/system/cpu/online", "/dev/full", "mnt/x", "mnt",
};
static uint64_t state;
static char *area, *edge;

static uint64_t
rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t
argument(void)
{
	switch (rnd() % 14) {
	case 0: case 1: return rnd() % 16;
	case 2: return (uint64_t)AT_FDCWD;
	case 3: case 4: case 5: return (uint64_t)names[rnd() % (sizeof(names) / sizeof(names[0]))];
	case 6: return (uint64_t)area + rnd() % 8192;
	case 7: return (uint64_t)edge - rnd() % 64;
	case 8: return rnd() % 4096;
	case 9: return 1ULL << rnd() % 64;
	case 10: return ~0ULL - rnd() % 3;
	case 11: return 0;
	case 12: return 0xffff000040000000ULL + rnd() % (1 << 24);
	default: return rnd() >> rnd() % 64;
	}
}

static void
open_some(void)
{
	int p[2];

	while (open("/dev/null", O_RDWR) >= 0 && dup(0) < 3)
		;
	if (pipe2(p, O_NONBLOCK) < 0)
		return;
	open("a", O_RDWR | O_CREAT | O_NONBLOCK, 0666);
	open(".", O_RDONLY | O_DIRECTORY);
	epoll_create1(0);
	eventfd(1, EFD_NONBLOCK);
	inotify_init1(IN_NONBLOCK);
	open("fifo", O_RDWR | O_NONBLOCK);
	open("/proc/self/maps", O_RDONLY);
	open("b", O_PATH);
}

static void
tick(int sig)
{
	(void)sig;
}

static void
child(unsigned long count)
{
	struct sigaction sa = { .sa_handler = tick };
	struct rlimit lim = { 64, 64 }, size = { 1 << 20, 1 << 20 };

	setrlimit(RLIMIT_NOFILE, &lim);
	setrlimit(RLIMIT_FSIZE, &size);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	for (int s = 34; s < 65; s++)
		signal(s, SIG_IGN);
	sigaction(SIGALRM, &sa, NULL);
	area = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	edge = area + 12288;
	munmap(edge, 4096);
	for (unsigned long i = 0; i < count; i++) {
		if (i % 256 == 0) {
			for (int fd = 0; fd < 64; fd++)
				close(fd);
			open_some();
			for (int k = 0; k < 12288; k += 8)
				*(uint64_t *)(void *)(area + k) = argument();
		}
		/* What sleeps is woken. */
		ualarm(2000, 0);
		syscall(calls[rnd() % (sizeof(calls) / sizeof(calls[0]))], argument(), argument(), argument(), argument(),
		    argument(), argument());
	}
	_exit(0);
}

/* Batches of calls, each in a process of its own: one that sleeps with SIGALRM
 * blocked (ppoll with a mask of rubbish) is killed. */
static void
worker(unsigned long count)
{
	for (unsigned long done = 0; done < count; done += 512) {
		pid_t pid = fork();

		rnd();
		if (pid == 0)
			child(512);
		for (int ms = 0; pid > 0 && waitpid(pid, NULL, WNOHANG) == 0; ms += 5) {
			usleep(5000);
			if (ms >= 400) {
				kill(pid, SIGKILL);
				waitpid(pid, NULL, 0);
				break;
			}
		}
	}
	_exit(0);
}

int
main(int argc, char **argv)
{
	unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1, count = argc > 2 ? strtoul(argv[2], NULL, 0) : 20000;
	char dir[] = "/dev/shm/storm-XXXXXX";
	int out = dup(1), status, bad = 0;
	char text[64];

	fcntl(out, F_SETFD, FD_CLOEXEC);
	if (mkdtemp(dir) == NULL || chdir(dir) != 0 || mount("none", dir, "tmpfs", 0, "size=4m") != 0 || chdir(dir) != 0)
		return 1;
	mkdir("mnt", 0777), symlink("a", "l"), mkfifo("fifo", 0666);
	for (unsigned i = 0; i < 4; i++)
		if (fork() == 0) {
			state = 88172645463325252ULL + seed * 1000 + i;
			worker(count);
		}
	while (wait(&status) > 0)
		bad += status != 0;
	if (chdir("/") != 0 || umount2(dir, MNT_DETACH) != 0 || rmdir(dir) != 0)
		bad++;
	snprintf(text, sizeof(text), "storm: %lu calls, %d ended early\n", 4 * count, bad);
	return write(out, text, strlen(text)) < 0;
}
