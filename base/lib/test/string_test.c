/* SPDX-License-Identifier: MIT */
/*
 * The memory functions under other names, against the host's: every alignment of both ends,
 * every length around the sizes that they work in, and not a byte beside it.
 */
#include <check.h>
#define memcpy	our_memcpy
#define memmove	our_memmove
#define memset	our_memset
#define memcmp	our_memcmp
#define strlen	our_strlen
#define strcmp	our_strcmp
#define strncmp	our_strncmp
#define strchr	our_strchr
#include "../string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp

enum { ROOM = 512, LONGEST = 300, EDGE = 24 };

static uint8_t source[ROOM], ours[ROOM], theirs[ROOM];

static void
fill(void)
{
	for (unsigned i = 0; i < ROOM; i++) {
		source[i] = (uint8_t)(i * 37 + 11);
		ours[i] = theirs[i] = (uint8_t)(i * 101 + 3);
	}
}

static void
copies_are_exact(void)
{
	for (size_t n = 0; n < LONGEST; n++)
		for (unsigned to = EDGE; to < EDGE + 9; to++)
			for (unsigned from = 0; from < 9; from++) {
				fill();
				CHECK(our_memcpy(ours + to, source + from, n) == ours + to);
				memcpy(theirs + to, source + from, n);
				CHECK(memcmp(ours, theirs, ROOM) == 0);
			}
}

static void
moves_may_overlap(void)
{
	for (size_t n = 0; n < LONGEST; n++)
		for (unsigned to = 0; to < 100; to += 7)
			for (unsigned from = 0; from < 100; from += 9) {
				fill();
				our_memmove(ours + to, ours + from, n);
				memmove(theirs + to, theirs + from, n);
				CHECK(memcmp(ours, theirs, ROOM) == 0);
			}
}

static void
memory_is_set(void)
{
	for (size_t n = 0; n < LONGEST; n++)
		for (unsigned to = EDGE; to < EDGE + 9; to++) {
			fill();
			CHECK(our_memset(ours + to, 0x1a5, n) == ours + to);
			memset(theirs + to, 0xa5, n);	/* of ours only the low byte counts */
			CHECK(memcmp(ours, theirs, ROOM) == 0);
		}
}

static int
sign(int v)
{
	return (v > 0) - (v < 0);
}

static void
differences_are_found_where_they_are(void)
{
	for (size_t n = 0; n < 100; n++)
		for (unsigned at = 0; at < 9; at++) {
			fill();
			memcpy(ours + at, source, n);
			CHECK(our_memcmp(ours + at, source, n) == 0);
			for (size_t k = 0; k < n; k++) {
				ours[at + k] ^= 0x81;
				CHECK(sign(our_memcmp(ours + at, source, n)) == sign(memcmp(ours + at, source, n)));
				ours[at + k] ^= 0x81;
			}
		}
}

int
main(void)
{
	RUN(copies_are_exact);
	RUN(moves_may_overlap);
	RUN(memory_is_set);
	RUN(differences_are_found_where_they_are);
	CHECK_END();
}
