/* SPDX-License-Identifier: MIT */
/*
 * The smallest frame for tests on the build host: named tests, a count, one
 * closing line.  A test is a function; RUN names it by what it shows.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_passed, check_failed;
static bool check_ok;

#define CHECK(x) do { \
	if (!(x)) { \
		printf("  %s:%d: %s\n", __FILE__, __LINE__, #x); \
		check_ok = false; \
	} \
} while (0)

#define RUN(test) do { \
	check_ok = true; \
	test(); \
	printf("%s %s\n", check_ok ? "ok  " : "FAIL", #test); \
	check_ok ? check_passed++ : check_failed++; \
} while (0)

#define CHECK_END() do { \
	printf("%d passed, %d failed\n", check_passed, check_failed); \
	return check_failed != 0; \
} while (0)

#endif
