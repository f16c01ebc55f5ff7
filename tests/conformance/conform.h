/* SPDX-License-Identifier: MIT */
/*
 * What every conformance program shares.  A program is a table of tests; each
 * runs in a process of its own, so that one that dies or hangs costs only
 * itself.  It prints "ok NAME" or "FAIL NAME why", and "N passed, N failed" last.
 * The programs run on any arm64 Linux: what they ask for is what Linux does.
 */
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };

struct test {
	const char *name;
	void (*run)(void);
};

/* Every program's own. */
extern const struct test tests[];
extern const unsigned test_count;

#define TESTS(...) \
	const struct test tests[] = { __VA_ARGS__ }; \
	const unsigned test_count = sizeof(tests) / sizeof(tests[0])
#define TEST(name) { #name, name }

/* The test ends here: prints why, with errno, and leaves the process. */
_Noreturn void fail_at(const char *file, int line, const char *what, long value, long wanted, int has_values);

#define REQUIRE(condition) \
	do { \
		if (!(condition)) \
			fail_at(__FILE__, __LINE__, #condition, 0, 0, 0); \
	} while (0)

#define EQUAL(expression, expected) \
	do { \
		long value_ = (long)(expression), wanted_ = (long)(expected); \
		if (value_ != wanted_) \
			fail_at(__FILE__, __LINE__, #expression, value_, wanted_, 1); \
	} while (0)

/* The call fails with that error. */
#define FAILS(expression, error) \
	do { \
		long value_, wanted_ = -(long)(error); \
		errno = 0; \
		value_ = (long)(expression) == -1 ? -(long)errno : 1; \
		if (value_ != wanted_) \
			fail_at(__FILE__, __LINE__, #expression, value_, wanted_, 1); \
	} while (0)

/* Run in a child; its wait status. */
int status_of(void (*work)(void));
#define EXITS(work, code) EQUAL(status_of(work), (code) << 8)
#define DIES(work, sig) EQUAL(status_of(work) & 0x7f, sig)

void sleep_ms(unsigned ms);
uint64_t now_ns(void);
/* Wait until a condition holds; only a guard ends it otherwise. */
#define EVENTUALLY(condition) \
	do { \
		unsigned tries_ = 0; \
		while (!(condition) && tries_++ < 3000) \
			sleep_ms(10); \
		REQUIRE(condition); \
	} while (0)

/* A state letter of /proc/PID/stat, 0 if there is no such process. */
char state_of(pid_t pid);
void write_file(const char *path, const char *text);
/* An empty folder of the test's own, and the current one. */
void in_new_folder(void);
uint32_t next_random(uint64_t *state);
