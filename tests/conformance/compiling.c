/* SPDX-License-Identifier: MIT */
/*
 * compiling DIRECTORY PROCESSES STOP: works like many compilers side by side until
 * the file STOP is there.  Each process writes sources, maps them, writes objects
 * under temporary names and renames them over the old ones, reads and maps those
 * back, links them into one file that it stores to through a mapping, appends to
 * a log, and deletes what it made; now and then it fsyncs.  Every byte has a value
 * that follows from its file's name, version and place.
 *
 * A call that fails, or a byte that is wrong, is a line "FAIL ...".  The last line
 * is "N rounds, N files, N failed, longest call N ms".  Not part of the conformance
 * suite: tests/boot runs it while drivers and servers are killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SOURCES = 24, MAX_BYTES = 24000, FAILURES = 5 };

struct result {
	unsigned rounds, files, failed;
	uint64_t longest_ns;
};

static struct result *mine;
static unsigned self;
static uint64_t begun_ns;

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void begin(void) { begun_ns = now_ns(); }

static void
took(void)
{
	uint64_t ns = now_ns() - begun_ns;

	if (ns > mine->longest_ns)
		mine->longest_ns = ns;
}

static void
failure(const char *what, const char *name)
{
	if (mine->failed++ < FAILURES)
		printf("FAIL process %u: %s %s: %s\n", self, what, name, strerror(errno));
}

/* A call's result: was it good? */
static bool
good(long r, const char *what, const char *name)
{
	took();
	if (r >= 0)
		return true;
	failure(what, name);
	return false;
}

static uint8_t
value(uint64_t seed, size_t at)
{
	uint64_t x = (seed + at / 8) * 0x9e3779b97f4a7c15ULL;

	return (uint8_t)((x ^ x >> 29) >> at % 8 * 8);
}

static uint64_t
seed_of(char kind, unsigned n, unsigned round)
{
	return ((uint64_t)self << 48) ^ ((uint64_t)(unsigned char)kind << 40) ^ ((uint64_t)n << 32) ^ round;
}

static size_t
size_of(uint64_t seed)
{
	return 1 + (size_t)(seed * 2654435761u % MAX_BYTES);
}

static bool
same(const uint8_t *bytes, size_t size, uint64_t seed, const char *what, const char *name)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != value(seed, i)) {
			errno = EILSEQ;
			printf("    byte %zu of %zu is %02x, not %02x\n", i, size, bytes[i], value(seed, i));
			failure(what, name);
			return false;
		}
	return true;
}

/* Write a file in pieces, as stdio does. */
static bool
produce(const char *name, uint64_t seed, bool sync)
{
	static uint8_t bytes[MAX_BYTES];
	size_t size = size_of(seed), at = 0;
	bool well = true;
	int f;

	for (size_t i = 0; i < size; i++)
		bytes[i] = value(seed, i);
	begin();
	f = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (!good(f, "open for writing", name))
		return false;
	while (at < size && well) {
		size_t piece = size - at < 4096 ? size - at : 4096;
		ssize_t n;

		begin();
		n = write(f, bytes + at, piece);
		well = good(n, "write", name);
		at += well ? (size_t)n : 0;
	}
	begin();
	if (well && sync)
		well = good(fsync(f), "fsync", name);
	begin();
	if (!good(close(f), "close", name))
		well = false;
	mine->files++;
	return well;
}

static bool
read_back(const char *name, uint64_t seed)
{
	static uint8_t bytes[MAX_BYTES + 1];
	size_t got = 0;
	ssize_t n = 1;
	int f;

	begin();
	f = open(name, O_RDONLY);
	if (!good(f, "open for reading", name))
		return false;
	while (n > 0) {
		begin();
		n = read(f, bytes + got, sizeof bytes - got);
		if (!good(n, "read", name))
			break;
		got += (size_t)n;
	}
	close(f);
	if (n == 0 && got != size_of(seed)) {
		errno = EILSEQ;
		failure("the size of", name);
		return false;
	}
	return n == 0 && same(bytes, got, seed, "what was read of", name);
}

static bool
map_back(const char *name, uint64_t seed)
{
	size_t size = size_of(seed);
	const uint8_t *bytes;
	bool well;
	int f;

	begin();
	f = open(name, O_RDONLY);
	if (!good(f, "open for mapping", name))
		return false;
	bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, f, 0);
	close(f);
	if (!good(bytes == MAP_FAILED ? -1 : 0, "mmap", name))
		return false;
	begin();
	well = same(bytes, size, seed, "what was mapped of", name);
	took();
	munmap((void *)(uintptr_t)bytes, size);
	return well;
}

/* All objects in one file, stored through a shared mapping. */
static void
link_objects(const char *name, unsigned round)
{
	uint64_t seed = seed_of('l', 0, round);
	size_t size = 40000 + size_of(seed);
	uint8_t *bytes;
	int f;

	begin();
	f = open(name, O_RDWR | O_CREAT, 0755);
	if (!good(f, "open", name) || !good(ftruncate(f, (off_t)size), "ftruncate", name))
		return;
	bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
	close(f);
	if (!good(bytes == MAP_FAILED ? -1 : 0, "mmap to write", name))
		return;
	for (size_t i = 0; i < size; i++)
		bytes[i] = value(seed, i);
	begin();
	good(msync(bytes, size, round % 3 == 0 ? MS_SYNC : MS_ASYNC), "msync", name);
	munmap(bytes, size);
	begin();
	f = open(name, O_RDONLY);
	if (!good(f, "open", name))
		return;
	bytes = malloc(size);
	if (bytes != NULL && good(pread(f, bytes, size, 0) == (ssize_t)size ? 0 : -1, "pread", name))
		same(bytes, size, seed, "what was linked in", name);
	free(bytes);
	close(f);
}

static void
gone(const char *name)
{
	begin();
	if (good(unlink(name), "unlink", name) && access(name, F_OK) == 0) {
		errno = EEXIST;
		failure("unlink left", name);
	}
}

/* A line in a log that only grows, and what it had before. */
static void
log_line(const char *name, unsigned round)
{
	struct stat st;
	char line[17];
	int f;

	snprintf(line, sizeof line, "%15u\n", round);
	begin();
	f = open(name, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (!good(f, "open", name))
		return;
	good(write(f, line, 16) == 16 ? 0 : -1, "append to", name);
	if (round % 4 == 0)
		good(fsync(f), "fsync", name);
	if (fstat(f, &st) != 0 || st.st_size != 16 * (off_t)(round + 1)) {
		errno = EILSEQ;
		failure("the size of", name);
	}
	close(f);
}

static void
compile(unsigned round)
{
	char source[64], object[64], temporary[64];

	for (unsigned i = 0; i < SOURCES; i++) {
		uint64_t s = seed_of('s', i, round), o = seed_of('o', i, round);

		snprintf(source, sizeof source, "p%u/s%u.c", self, i);
		snprintf(object, sizeof object, "p%u/o%u.o", self, i);
		snprintf(temporary, sizeof temporary, "p%u/tmp%u.%u", self, round % 7, i);
		if (!produce(source, s, false) || !map_back(source, s))
			continue;
		if (!produce(temporary, o, i % 8 == 0))
			continue;
		begin();
		if (!good(rename(temporary, object), "rename", temporary))
			continue;
		read_back(object, o);
		map_back(object, o);
		if (i % 3 == 0)
			gone(source);
	}
	/* what was there before is still there, whoever died meanwhile */
	for (unsigned i = 0; i < SOURCES; i++) {
		snprintf(object, sizeof object, "p%u/o%u.o", self, i);
		read_back(object, seed_of('o', i, round));
		if (i % 4 == 1)
			gone(object);
	}
}

static void
work(const char *stop)
{
	char name[64];

	snprintf(name, sizeof name, "p%u", self);
	begin();
	if (!good(mkdir(name, 0755), "mkdir", name))
		return;
	for (unsigned round = 0; access(stop, F_OK) != 0 && mine->failed < FAILURES; round++) {
		compile(round);
		snprintf(name, sizeof name, "p%u/program", self);
		link_objects(name, round);
		if (round % 5 == 4)
			gone(name);
		snprintf(name, sizeof name, "p%u/log", self);
		log_line(name, round);
		mine->rounds++;
	}
}

int
main(int argc, char **argv)
{
	struct result all = { 0 }, *results;
	unsigned processes = argc == 4 ? (unsigned)atoi(argv[2]) : 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (processes == 0 || processes > 64) {
		fprintf(stderr, "usage: compiling DIRECTORY PROCESSES STOP\n");
		return 2;
	}
	results = mmap(NULL, processes * sizeof *results, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (results == MAP_FAILED || chdir(argv[1]) != 0) {
		perror(argv[1]);
		return 2;
	}
	for (self = 0; self < processes; self++) {
		mine = &results[self];
		if (fork() == 0) {
			work(argv[3]);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < processes; i++) {
		int status;

		if (wait(&status) < 0 || status != 0)
			all.failed++;
	}
	for (unsigned i = 0; i < processes; i++) {
		all.rounds += results[i].rounds;
		all.files += results[i].files;
		all.failed += results[i].failed;
		if (results[i].longest_ns > all.longest_ns)
			all.longest_ns = results[i].longest_ns;
	}
	printf("%u rounds, %u files, %u failed, longest call %llu ms\n", all.rounds, all.files, all.failed,
	    (unsigned long long)(all.longest_ns / 1000000));
	return all.failed != 0;
}
