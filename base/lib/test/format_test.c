/* SPDX-License-Identifier: MIT */
/*
 * Text formatting: against the host's printf, and at the edge of its buffer.
 */
#include <limits.h>
#include <check.h>
#include <tessera/runtime.h>

#define SAME(...) do { \
	char ours[200], theirs[200]; \
	size_t n = format(ours, sizeof ours, __VA_ARGS__); \
	int m = snprintf(theirs, sizeof theirs, __VA_ARGS__); \
	CHECK(n == (size_t)m && strcmp(ours, theirs) == 0); \
} while (0)

static void
conversions_are_those_of_printf(void)
{
	SAME("%s|%10s|%-10s|%c|%%", "abc", "right", "left", 'x');
	SAME("%d %d %i %u", 0, -1, INT_MIN, UINT_MAX);
	SAME("%5d|%-5d|%05d|%05d", 42, 42, 42, -42);
	SAME("%x %X %08x %016llx", 0xbeefu, 0xbeefu, 0xbeefu, 0x123456789abcdefULL);
	SAME("%ld %lu %zu %lld", LONG_MIN, ULONG_MAX, (size_t)12345, LLONG_MIN);
	SAME("%p", (void *)0x1234);
}

static void
what_does_not_fit_is_cut(void)
{
	char small[8];

	CHECK(format(small, sizeof small, "%s", "0123456789") == 7);
	CHECK(strcmp(small, "0123456") == 0);
	CHECK(format(small, 1, "abc") == 0 && small[0] == '\0');
	CHECK(format(small, 0, "abc") == 0);
}

int
main(void)
{
	RUN(conversions_are_those_of_printf);
	RUN(what_does_not_fit_is_cut);
	CHECK_END();
}
