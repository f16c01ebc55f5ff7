// SPDX-License-Identifier: MIT
/*
 * Three texts behind each other, parted by the byte 0xff.  A merge does not
 * depend on who is who, and where one side changed nothing it is the other.
 */
#include "fuzz.h"

static struct buffer
piece(const uint8_t **at, const uint8_t *end)
{
	const uint8_t *stop = memchr(*at, 0xff, (size_t)(end - *at));
	struct buffer b = {0};

	if (stop == NULL)
		stop = end;
	buffer_add(&b, *at, (size_t)(stop - *at));
	*at = stop < end ? stop + 1 : end;
	return b;
}

static bool
same(const struct buffer *a, const struct buffer *b)
{
	return a->length == b->length && memcmp(a->data, b->data, a->length) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	struct buffer base = piece(&data, end), mine = piece(&data, end), theirs = piece(&data, end);
	struct buffer out = {0}, turned = {0}, alone = {0};
	bool merged = merge_texts(&out, &base, &mine, &theirs);

	must(merge_texts(&turned, &base, &theirs, &mine) == merged);
	must(!merged || same(&out, &turned));
	if (merge_texts(&alone, &base, &mine, &base))
		must(same(&alone, &mine));
	buffer_free(&base);
	buffer_free(&mine);
	buffer_free(&theirs);
	buffer_free(&out);
	buffer_free(&turned);
	buffer_free(&alone);
	return 0;
}
