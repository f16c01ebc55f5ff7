/* SPDX-License-Identifier: MIT */
/*
 * Taking cached pages of disks back.  Owner: linuxabi/mm/reclaim.c.
 */
#ifndef LX_RECLAIM_H
#define LX_RECLAIM_H

#include "page.h"

/*
 * Forget at least `pages` clean cached pages, those first that were not used
 * since the last look (PS_COLD).  Pages that are dirty are asked to be
 * written.  How many became free in the pool; with none it has waited a little.  May block; with locks up to mm->lock held.
 */
uint64_t reclaim_pages(uint64_t pages);

/*
 * Memory is short: forget cached pages by chunks and give those back to the
 * allocator.  RECLAIM_LATER: nothing yet, but there are pages that are dirty, not
 * yet stable or in use just now; it has waited a little.  That may stay so for ever.
 */
enum reclaimed { RECLAIM_NOTHING, RECLAIM_LATER, RECLAIM_SOME };
enum reclaimed reclaim_memory(void);

/*
 * What else can be forgotten: a function that frees about so many bytes and
 * returns how many; those not used since it was asked last, or (hard) any.  It is
 * called with locks up to mm->lock held by who needs the memory, so it only tries
 * those that it takes.
 */
void reclaim_register(uint64_t (*shrink)(uint64_t bytes, bool hard));

/* No inode is held by reclaim any more that had no other reference before: for umount. */
void reclaim_barrier(void);

#endif
