/* SPDX-License-Identifier: MIT */
/*
 * String functions for the EFI application.  memcpy and memset move whole
 * words where they can, since they carry the kernel; -ffreestanding and
 * -fno-builtin keep the compiler from turning them into calls of themselves.
 */
#include <stdint.h>
#include <string.h>

typedef uint64_t __attribute__((may_alias)) word;

static int
words_fit(const void *a, const void *b)
{
	return (((uintptr_t)a | (uintptr_t)b) & 7) == 0;
}

void *
memcpy(void *restrict to, const void *restrict from, size_t size)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	if (words_fit(t, f)) {
		for (; size >= 32; size -= 32, t += 32, f += 32) {
			word a = ((const word *)f)[0], b = ((const word *)f)[1];
			word c = ((const word *)f)[2], d = ((const word *)f)[3];

			((word *)t)[0] = a;
			((word *)t)[1] = b;
			((word *)t)[2] = c;
			((word *)t)[3] = d;
		}
	}
	while (size-- > 0)
		*t++ = *f++;
	return to;
}

void *
memmove(void *to, const void *from, size_t size)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	if ((uintptr_t)t - (uintptr_t)f >= size)
		return memcpy(to, from, size);
	while (size-- > 0)
		t[size] = f[size];
	return to;
}

void *
memset(void *to, int value, size_t size)
{
	unsigned char *t = to;
	word pattern = (word)(unsigned char)value * 0x0101010101010101u;

	if (words_fit(t, t))
		for (; size >= 16; size -= 16, t += 16) {
			((word *)t)[0] = pattern;
			((word *)t)[1] = pattern;
		}
	while (size-- > 0)
		*t++ = (unsigned char)value;
	return to;
}

int
memcmp(const void *a, const void *b, size_t size)
{
	const unsigned char *x = a, *y = b;

	for (; size > 0; size--, x++, y++)
		if (*x != *y)
			return *x < *y ? -1 : 1;
	return 0;
}

void *
memchr(const void *in, int value, size_t size)
{
	const unsigned char *p = in;

	for (; size > 0; size--, p++)
		if (*p == (unsigned char)value)
			return (void *)(uintptr_t)p;
	return NULL;
}

size_t
strnlen(const char *s, size_t limit)
{
	size_t length = 0;

	while (length < limit && s[length] != '\0')
		length++;
	return length;
}

size_t
strlen(const char *s)
{
	return strnlen(s, SIZE_MAX);
}

int
strncmp(const char *a, const char *b, size_t limit)
{
	for (; limit > 0; limit--, a++, b++) {
		if (*a != *b)
			return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
		if (*a == '\0')
			return 0;
	}
	return 0;
}

int
strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *
strchr(const char *s, int c)
{
	return memchr(s, c, strlen(s) + 1);
}

char *
strrchr(const char *s, int c)
{
	for (size_t length = strlen(s) + 1; length > 0; length--)
		if (s[length - 1] == (char)c)
			return (char *)(uintptr_t)(s + length - 1);
	return NULL;
}
