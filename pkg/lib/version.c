// SPDX-License-Identifier: MIT
/*
 * Names, versions and their order, which the solver shares (Debian Policy 4.6,
 * 5.6.12): a test compares both.  Versions have no epoch here.
 */
#include <string.h>

#include "base.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A byte's weight in the part between numbers; the end and digits weigh 0. */
static int
weight(const char *s, const char *end)
{
	if (s == end || is_digit(*s))
		return 0;
	if (*s == '~')
		return -1;
	return is_alpha(*s) ? *s : *s + 256;
}

static int
part_compare(const char *a, const char *a_end, const char *b, const char *b_end)
{
	while (a != a_end || b != b_end) {
		while ((a != a_end && !is_digit(*a)) || (b != b_end && !is_digit(*b))) {
			int difference = weight(a, a_end) - weight(b, b_end);

			if (difference != 0)
				return difference;
			a += a != a_end;
			b += b != b_end;
		}
		while (a != a_end && *a == '0')
			a++;
		while (b != b_end && *b == '0')
			b++;
		int first = 0;

		while (a != a_end && b != b_end && is_digit(*a) && is_digit(*b)) {
			if (first == 0)
				first = *a - *b;
			a++;
			b++;
		}
		if (a != a_end && is_digit(*a))
			return 1;	/* a longer number is larger */
		if (b != b_end && is_digit(*b))
			return -1;
		if (first != 0)
			return first;
	}
	return 0;
}

int
version_compare(const char *a, const char *b)
{
	const char *a_end = a + strlen(a), *b_end = b + strlen(b);
	const char *a_dash = strrchr(a, '-'), *b_dash = strrchr(b, '-');
	int order = part_compare(a, a_dash ? a_dash : a_end, b, b_dash ? b_dash : b_end);

	/* Without a release any release will do: foo=1.2 means 1.2-1 as well. */
	if (order != 0 || a_dash == NULL || b_dash == NULL)
		return order;
	return part_compare(a_dash + 1, a_end, b_dash + 1, b_end);
}

static bool
consists_of(const char *s, size_t length, const char *more, bool upper)
{
	for (size_t i = 0; i < length; i++) {
		char c = s[i];
		bool letter = is_alpha(c) && (upper || c >= 'a');

		if (!letter && !is_digit(c) && (c == '\0' || strchr(more, c) == NULL))
			return false;
	}
	return true;
}

bool
version_is_valid(const char *s)
{
	size_t length = strlen(s);

	return length != 0 && length <= 64 && (is_digit(s[0]) || is_alpha(s[0])) &&
	    consists_of(s, length, ".+~_-", true) && s[length - 1] != '-';
}

bool
name_is_valid(const char *s)
{
	size_t length = strlen(s);

	return length != 0 && length <= 64 && (is_digit(s[0]) || (s[0] >= 'a' && s[0] <= 'z')) &&
	    consists_of(s, length, "+._-", false);
}

size_t
dep_split(const char *s, size_t *op_length)
{
	size_t at = strcspn(s, "<>="), n = 0;

	if (s[at] == '=')
		n = 1;
	else if (s[at] != '\0')
		n = s[at + 1] == '=' ? 2 : 1;
	*op_length = n;
	return at;
}

bool
dep_is_valid(const char *s)
{
	size_t op, at = dep_split(s, &op);

	if (at == 0 || at > 192 || !(is_alpha(s[0]) || is_digit(s[0])) ||
	    !consists_of(s, at, "+._-:@[", true))
		return false;
	return op == 0 || version_is_valid(s + at + op);
}
