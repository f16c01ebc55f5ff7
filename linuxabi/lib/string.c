/* SPDX-License-Identifier: MIT */
/* Strings and memory, but for memcpy and memset, which arch/ has in assembly. */
#include "kernel.h"

void *
memmove(void *dst, const void *src, size_t n)
{
	unsigned char *d = dst;
	const unsigned char *s = src;

	if (d == s || n == 0)
		return dst;
	if (d + n <= s || s + n <= d)
		return memcpy(dst, src, n);
	if (d < s) {
		while (n-- > 0)
			*d++ = *s++;
		return dst;
	}
	if (((uintptr_t)d & 7) == ((uintptr_t)s & 7)) {
		for (; n > 0 && ((uintptr_t)(d + n) & 7) != 0; n--)
			d[n - 1] = s[n - 1];
		for (; n >= 8; n -= 8)
			*(uint64_t *)(void *)(d + n - 8) = *(const uint64_t *)(const void *)(s + n - 8);
	}
	while (n-- > 0)
		d[n] = s[n];
	return dst;
}

int
memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;

	if ((((uintptr_t)p | (uintptr_t)q) & 7) == 0)
		for (; n >= 8 && *(const uint64_t *)(const void *)p == *(const uint64_t *)(const void *)q; n -= 8) {
			p += 8;
			q += 8;
		}
	for (; n > 0; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

void *
memchr(const void *s, int c, size_t n)
{
	const unsigned char *p = s;

	for (; n > 0; n--, p++)
		if (*p == (unsigned char)c)
			return (void *)(uintptr_t)p;
	return NULL;
}

size_t
strlen(const char *s)
{
	const char *p = s;

	while (*p != 0)
		p++;
	return (size_t)(p - s);
}

size_t
strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n] != 0)
		n++;
	return n;
}

int
strcmp(const char *a, const char *b)
{
	while (*a != 0 && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

int
strncmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; n--, a++, b++)
		if (*a != *b || *a == 0)
			return (unsigned char)*a - (unsigned char)*b;
	return 0;
}

char *
strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(uintptr_t)s;
		if (*s == 0)
			return NULL;
	}
}

char *
strrchr(const char *s, int c)
{
	const char *last = NULL;

	for (;; s++) {
		if (*s == (char)c)
			last = s;
		if (*s == 0)
			return (char *)(uintptr_t)last;
	}
}

size_t
strlcpy(char *dst, const char *src, size_t size)
{
	size_t n = strlen(src);

	if (size != 0) {
		size_t m = n < size ? n : size - 1;

		memcpy(dst, src, m);
		dst[m] = 0;
	}
	return n;
}
