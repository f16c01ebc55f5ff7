// SPDX-License-Identifier: MIT
/*
 * large-index FILE KEY COUNT: a signed index of packages p0 … that need each
 * other's shared objects, without the packages.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../lib/package.h"

static void
add_package(struct buffer *b, unsigned long i)
{
	buffer_format(b, "package p%lu.pkg 1000 %064lx\nname p%lu\nversion %lu.%lu-1\narch any\nsummary package number %lu\n"
	    "license MIT\nsize 1000\n", i, i, i, i % 7, i % 11, i);
	/* Four each, of those before it; so all leads back to p0. */
	for (unsigned long k = 0; k < 4 && k < i; k++)
		buffer_format(b, "needs so:libp%lu.so.1\n", (i / 2 + k * 13) % i);
	buffer_format(b, "provides so:libp%lu.so.1\nprovides cmd:p%lu\nend\n", i, i);
}

int
main(int argc, char **argv)
{
	struct buffer b = {0};
	struct secret s;
	struct fault f = {0};
	unsigned long now = (unsigned long)time(NULL), count = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;

	if (count == 0 || sodium_init() < 0) {
		fprintf(stderr, "usage: large-index FILE KEY COUNT\n");
		return 2;
	}
	buffer_format(&b, "index 1\nserial 1\ncreated %lu\nexpires %lu\n", now, now + 10 * 365 * 86400);
	for (unsigned long i = 0; i < count; i++)
		add_package(&b, i);
	int status = secret_load(&s, argv[2], &f);

	if (status == 0)
		status = index_write(argv[1], &b, &s, &f);
	if (status != 0)
		fprintf(stderr, "large-index: %s\n", f.text);
	buffer_free(&b);
	return status;
}
