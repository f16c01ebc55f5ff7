/* SPDX-License-Identifier: MIT */
/*
 * The memory and string functions that the compiler and our own code call,
 * for components that do not link the C library.  Weak, so that the C
 * library's faster ones win where both are linked.
 */
#include <stddef.h>
#include <stdint.h>
#include <tessera/string.h>

#define WEAK __attribute__((weak))

typedef uint64_t __attribute__((may_alias)) word;

static int
both_aligned(const void *a, const void *b)
{
	return (((uintptr_t)a | (uintptr_t)b) & 7) == 0;
}

/* All of it is loaded before any of it is stored, so that pairs of registers serve. */
static inline void
copy_64(word *d, const word *s)
{
	word a = s[0], b = s[1], c = s[2], e = s[3], f = s[4], g = s[5], h = s[6], i = s[7];

	__asm__("" : "+r"(a), "+r"(b), "+r"(c), "+r"(e), "+r"(f), "+r"(g), "+r"(h), "+r"(i));
	d[0] = a;
	d[1] = b;
	d[2] = c;
	d[3] = e;
	d[4] = f;
	d[5] = g;
	d[6] = h;
	d[7] = i;
}

WEAK void *
memcpy(void *restrict to, const void *restrict from, size_t n)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	if (both_aligned(d, s)) {
		for (; n >= 64; n -= 64, d += 64, s += 64)
			copy_64((word *)d, (const word *)s);
		for (; n >= 8; n -= 8, d += 8, s += 8)
			*(word *)d = *(const word *)s;
	}
	while (n-- > 0)
		*d++ = *s++;
	return to;
}

WEAK void *
memmove(void *to, const void *from, size_t n)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	if ((uintptr_t)d - (uintptr_t)s >= n)
		return memcpy(to, from, n);
	while (n-- > 0)
		d[n] = s[n];
	return to;
}

static inline void
fill_64(word *d, word fill)
{
	d[0] = d[1] = d[2] = d[3] = fill;
	d[4] = d[5] = d[6] = d[7] = fill;
}

WEAK void *
memset(void *to, int byte, size_t n)
{
	uint8_t *d = to;
	word fill = 0x0101010101010101ULL * (uint8_t)byte;

	if (((uintptr_t)d & 7) == 0) {
		for (; n >= 64; n -= 64, d += 64)
			fill_64((word *)d, fill);
		for (; n >= 8; n -= 8, d += 8)
			*(word *)d = fill;
	}
	while (n-- > 0)
		*d++ = (uint8_t)byte;
	return to;
}

WEAK int
memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	if (both_aligned(x, y))
		for (; n >= 8 && *(const word *)x == *(const word *)y; n -= 8)
			x += 8, y += 8;
	for (; n > 0; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

WEAK size_t
strlen(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0')
		n++;
	return n;
}

WEAK int
strcmp(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b)
		a++, b++;
	return (uint8_t)*a - (uint8_t)*b;
}

WEAK int
strncmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; n--, a++, b++)
		if (*a != *b || *a == '\0')
			return (uint8_t)*a - (uint8_t)*b;
	return 0;
}

WEAK char *
strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (*s == '\0')
			return NULL;
	return (char *)(uintptr_t)s;
}
