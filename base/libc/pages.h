/* SPDX-License-Identifier: MIT */
/*
 * Pages of a component's heap region: what mmap and munmap become.  Pure;
 * tested on the build host.
 */
#ifndef LIBC_PAGES_H
#define LIBC_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAGES_PAGE = 4096 };

struct pages {
	uint8_t *base;		/* of the first page */
	uint8_t *state;		/* a byte for each page, before them in the region */
	size_t count;
	size_t hint;		/* no page before it is free */
};

/* Take a zeroed region; false: it is too small for a single page. */
bool pages_init(struct pages *pages, void *region, size_t bytes);

/* count zeroed pages in a row, or a null pointer. */
void *pages_map(struct pages *pages, size_t count);

/* Give pages back, in part or as a whole.  false: not mapped, nothing done. */
bool pages_unmap(struct pages *pages, void *start, size_t count);

/* Are these pages mapped? */
bool pages_mapped(const struct pages *pages, const void *start, size_t count);

#endif
