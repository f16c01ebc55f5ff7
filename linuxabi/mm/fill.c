/* SPDX-License-Identifier: MIT */
/* pgtable_fill for architectures that have no faster one. */
#include "internal.h"

__attribute__((weak)) uint64_t
pgtable_fill(struct mm *mm, uaddr_t start, unsigned count, const struct pte *e)
{
	uint64_t done = 0;

	for (unsigned i = 0; i < count; i++) {
		uaddr_t a = start + ((uaddr_t)i << PAGE_SHIFT);

		if (e[i].flags == 0 || pgtable_get(mm, a).flags != 0)
			continue;
		if (pgtable_set(mm, a, e[i]) == 0)
			done |= 1UL << i;
	}
	return done;
}
