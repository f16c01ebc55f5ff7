/* SPDX-License-Identifier: MIT */
/*
 * First fit over a byte for each page.  Heap regions have a few hundred pages,
 * and malloc asks rarely.
 */
#include <tessera/string.h>
#include "pages.h"

enum { CLEAN, USED, DIRTY };	/* free and zero, in use, free and to be zeroed */

bool
pages_init(struct pages *pages, void *region, size_t bytes)
{
	uintptr_t start = (uintptr_t)region, end = start + bytes, base;

	pages->state = region;
	pages->count = bytes / (PAGES_PAGE + 1);
	pages->hint = 0;
	base = (start + pages->count + PAGES_PAGE - 1) & ~(uintptr_t)(PAGES_PAGE - 1);
	pages->base = (uint8_t *)base;
	while (pages->count > 0 && base + pages->count * PAGES_PAGE > end)
		pages->count--;
	return pages->count > 0;
}

static size_t
free_run(const struct pages *pages, size_t at, size_t want)
{
	size_t n = 0;

	while (n < want && at + n < pages->count && pages->state[at + n] != USED)
		n++;
	return n;
}

static void *
take(struct pages *pages, size_t at, size_t count)
{
	uint8_t *start = pages->base + at * PAGES_PAGE;

	for (size_t i = 0; i < count; i++) {
		if (pages->state[at + i] == DIRTY)
			memset(start + i * PAGES_PAGE, 0, PAGES_PAGE);
		pages->state[at + i] = USED;
	}
	if (at == pages->hint)
		pages->hint = at + count;
	return start;
}

void *
pages_map(struct pages *pages, size_t count)
{
	size_t at = pages->hint, run;

	if (count == 0 || count > pages->count)
		return NULL;
	while (at + count <= pages->count) {
		run = free_run(pages, at, count);
		if (run == count)
			return take(pages, at, count);
		at += run + 1;
	}
	return NULL;
}

bool
pages_mapped(const struct pages *pages, const void *start, size_t count)
{
	uintptr_t offset = (uintptr_t)start - (uintptr_t)pages->base;
	size_t at = offset / PAGES_PAGE;

	if (offset % PAGES_PAGE != 0 || at >= pages->count || count > pages->count - at)
		return false;
	for (size_t i = 0; i < count; i++)
		if (pages->state[at + i] != USED)
			return false;
	return true;
}

bool
pages_unmap(struct pages *pages, void *start, size_t count)
{
	size_t at = (size_t)((uint8_t *)start - pages->base) / PAGES_PAGE;

	if (count == 0 || !pages_mapped(pages, start, count))
		return false;
	memset(pages->state + at, DIRTY, count);
	if (at < pages->hint)
		pages->hint = at;
	return true;
}
