/* SPDX-License-Identifier: MIT */
/*
 * The work of the storage lines, the same static binary on Tessera and on Linux.
 * It marks where each piece of work begins and ends with hints that are NOPs to
 * a processor and that the emulator's plugin (../plugin/count.c) counts between:
 * all instructions of the machine, whoever executes them.  When all is done it
 * prints, in the order of the marks,
 *
 *	storage <name> <operations>
 *
 * What was written goes to the disk, and the machine rests, before each mark.
 *
 *	storage boot	one mark, for what the boot has cost
 *	storage FOLDER	FOLDER has (../storage.py): `big` of 64 MiB, `many` with
 *			10,000 files in folders, `tree.tar`; nothing of it read yet
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	REPEATS = 3,
	MIB = 1 << 20,
	BIG = 64 * MIB,
	BLOCK = 4096,
	DIRECT_FROM = 200 * MIB,	/* within the root partition */
	SMALL = MIB,			/* the file of the cached lines */
	CACHED = 1000,			/* operations of a run, here and below */
	RANDOM = 1024,
	THREADS = 32,
	FSYNCS = 50,
	CREATES = 200,
	MAX_LINES = 128,
	REST_US = 300 * 1000,
};

#define DISK "/dev/nvme0n1"

extern char **environ;
static char *buffer;			/* 1 MiB, aligned for O_DIRECT */
static struct {
	const char *name;
	unsigned operations;
} lines[MAX_LINES];
static unsigned line_count;

static void
check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "storage: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void mark_begin(void) { __asm__ volatile("hint #126" : : : "memory"); }
static void mark_end(void) { __asm__ volatile("hint #127" : : : "memory"); }

static void
rest(void)
{
	sync();
	usleep(REST_US);
}

static void
measure(const char *name, unsigned operations, void (*work)(unsigned), unsigned times)
{
	while (times-- > 0) {
		rest();
		mark_begin();
		work(operations);
		mark_end();
		check(line_count < MAX_LINES, "too many lines");
		lines[line_count].name = name;
		lines[line_count++].operations = operations;
	}
}

static void
run(char *const argv[])
{
	int status;
	pid_t pid;

	check(posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0, argv[0]);
	check(waitpid(pid, &status, 0) == pid && status == 0, argv[0]);
}

#define RUN(...) run((char *const[]){ __VA_ARGS__, NULL })

static int
open_file(const char *name, int flags)
{
	int fd = open(name, flags, 0644);

	check(fd >= 0, name);
	return fd;
}

/* ---- names ---- */

static void
find_many(unsigned n)
{
	(void)n;
	RUN("find", "many", "-name", "no such name");
}

static void
create_unlink(unsigned n)
{
	while (n-- > 0) {
		close(open_file("new", O_WRONLY | O_CREAT | O_EXCL));
		check(unlink("new") == 0, "unlink");
	}
}

static void
untar_sync(unsigned n)
{
	(void)n;
	RUN("tar", "xf", "tree.tar", "-C", "out");
	sync();
}

static void
remove_sync(unsigned n)
{
	(void)n;
	RUN("rm", "-r", "out");
	sync();
}

/* ---- large reads, through the cache and beside it ---- */

static void
read_big(int fd, size_t piece)
{
	size_t done = 0;
	ssize_t got = 1;

	for (; done < BIG && got > 0; done += (size_t)got)
		got = read(fd, buffer, piece);
	check(done == BIG, "64 MiB");
}

static void
read_through_cache(unsigned n)
{
	int fd = open_file("big", O_RDONLY);

	(void)n;
	read_big(fd, 65536);
	close(fd);
}

/* The disk itself: a file's O_DIRECT may be answered out of the cache. */
static int fd_direct;

static void
read_direct(size_t piece)
{
	check(lseek(fd_direct, DIRECT_FROM, SEEK_SET) == DIRECT_FROM, DISK);
	read_big(fd_direct, piece);
}

static void
read_direct_64k(unsigned n)
{
	(void)n;
	read_direct(65536);
}

static void
read_direct_1m(unsigned n)
{
	(void)n;
	read_direct(MIB);
}

/* Somewhere on the disk, the same places each time. */
static off_t
place(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return DIRECT_FROM + (off_t)(*state >> 8) % (BIG / BLOCK) * BLOCK;
}

static void
random_reads(uint32_t seed, char *to, unsigned n)
{
	while (n-- > 0)
		check(pread(fd_direct, to, BLOCK, place(&seed)) == BLOCK, "pread");
}

static void
random_one(unsigned n)
{
	random_reads(1, buffer, n);
}

static pthread_barrier_t start;

static void *
random_thread(void *arg)
{
	unsigned i = (unsigned)(uintptr_t)arg;

	pthread_barrier_wait(&start);
	random_reads(i, buffer + (size_t)i * BLOCK, RANDOM / THREADS);
	return NULL;
}

/* So many threads that each wait for a read of theirs keep as many requests under way. */
static void
random_many(void)
{
	pthread_t thread[THREADS];

	check(pthread_barrier_init(&start, NULL, THREADS + 1) == 0, "barrier");
	for (unsigned i = 0; i < THREADS; i++)
		check(pthread_create(&thread[i], NULL, random_thread, (void *)(uintptr_t)i) == 0, "thread");
	rest();
	mark_begin();
	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	mark_end();
	pthread_barrier_destroy(&start);
	check(line_count < MAX_LINES, "too many lines");
	lines[line_count].name = "random_4k_depth32";
	lines[line_count++].operations = RANDOM;
}

/* ---- a small file in the cache ---- */

static int fd_small;

static void
each_block(unsigned n, size_t bytes, ssize_t (*call)(int, size_t, off_t))
{
	for (unsigned i = 0; i < n; i++)
		check(call(fd_small, bytes, (off_t)(i * bytes % SMALL)) == (ssize_t)bytes, "small");
}

static ssize_t read_at(int fd, size_t bytes, off_t at) { return pread(fd, buffer, bytes, at); }
static ssize_t write_at(int fd, size_t bytes, off_t at) { return pwrite(fd, buffer, bytes, at); }
static void read_4k(unsigned n) { each_block(n, BLOCK, read_at); }
static void write_4k(unsigned n) { each_block(n, BLOCK, write_at); }
static void read_64k(unsigned n) { each_block(n, 65536, read_at); }
static void write_64k(unsigned n) { each_block(n, 65536, write_at); }

static void
fsync_small(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		check(pwrite(fd_small, buffer, 100, (off_t)i * 100) == 100, "pwrite");
		check(fsync(fd_small) == 0, "fsync");
	}
}

/* ---- all of it ---- */

static void
measure_reads(void)
{
	measure("find_cold", 1, find_many, 1);
	measure("find_warm", 1, find_many, REPEATS);
	measure("read_64m_cold", 1, read_through_cache, 1);
	measure("read_64m_cached", 1, read_through_cache, REPEATS);
	fd_direct = open_file(DISK, O_RDONLY | O_DIRECT);
	measure("read_64m_direct_64k", 1, read_direct_64k, REPEATS);
	measure("read_64m_direct_1m", 1, read_direct_1m, REPEATS);
	measure("random_4k_depth1", RANDOM, random_one, REPEATS);
	for (unsigned i = 0; i < REPEATS; i++)
		random_many();
	close(fd_direct);
}

static void
measure_small(void)
{
	fd_small = open_file("small", O_RDWR | O_CREAT);
	check(write(fd_small, buffer, SMALL) == SMALL, "small");
	measure("read_4k", CACHED, read_4k, REPEATS);
	measure("write_4k", CACHED, write_4k, REPEATS);
	measure("read_64k", CACHED / 10, read_64k, REPEATS);
	measure("write_64k", CACHED / 10, write_64k, REPEATS);
	measure("fsync_small_write", FSYNCS, fsync_small, REPEATS);
	close(fd_small);
}

static void
measure_names(void)
{
	measure("create_unlink", CREATES, create_unlink, REPEATS);
	for (unsigned i = 0; i < REPEATS; i++) {
		check(mkdir("out", 0755) == 0, "out");
		measure("untar_sync", 1, untar_sync, 1);
		measure("remove_sync", 1, remove_sync, 1);
	}
}

int
main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: storage boot | FOLDER\n");
		return 2;
	}
	if (strcmp(argv[1], "boot") == 0) {
		mark_end();
		puts("storage boot_to_prompt 1");
		return 0;
	}
	check(chdir(argv[1]) == 0, argv[1]);
	buffer = aligned_alloc(BLOCK, MIB);
	check(buffer != NULL, "memory");
	memset(buffer, 'x', MIB);
	measure_reads();
	measure_small();
	measure_names();
	for (unsigned i = 0; i < line_count; i++)
		printf("storage %s %u\n", lines[i].name, lines[i].operations);
	puts("storage-end");
	return 0;
}
