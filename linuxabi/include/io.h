/* SPDX-License-Identifier: MIT */
/*
 * The world's channels to file servers and disks, their doorbells, and memory
 * that devices may reach.  Owner: linuxabi/io.  Contract: proto/world.h.
 *
 * Page cache of disks lives in pages of io_page_alloc(): they are carved from
 * 2 MiB chunks, each lent to every driver of world_info.lend while it belongs
 * to the pool.  Nothing else of the world is within a device's reach.
 */
#ifndef LX_IO_H
#define LX_IO_H

#include <proto/component.h>
#include <proto/world.h>
#include "page.h"

void io_init(const struct world_info *);	/* after slab_init; before the first channel is used */

/* ---- channels ---- */

unsigned io_channel_count(void);
/* Facts about channel n, as init gave them; NULL: there is none. */
const struct world_channel *io_channel(unsigned n);
/* The first channel from number `from` on of a type (CHANNEL_FS, CHANNEL_BLOCK) and, unless
 * NULL, a name; -ENOENT. */
int io_channel_find(unsigned from, unsigned type, const char *name);
void *io_channel_memory(unsigned n);		/* its Frame, in the linear map */
/*
 * fn(arg) is called at each doorbell of the channel, and when some peer was
 * built anew: in an interrupt, with interrupts masked, on CPU 0; never twice at
 * once.  One listener for each channel; it stays for good.
 */
void io_channel_listen(unsigned n, void (*fn)(void *arg), void *arg);
void io_channel_ring(unsigned n);		/* the peer's doorbell; never blocks */
void io_interrupt(uint64_t bits);		/* arch: bits of VCPU 0's notification */
const uint8_t *io_root_part(void);		/* GUID of the root partition, 16 bytes; NULL: none */

/* ---- lent memory ---- */

/*
 * A page within reach of devices, refs = 1, page->state and private_ 0.
 * PG_ZERO: cleared.  NULL: the pool may not grow any more: the caller has
 * cached pages reclaimed (reclaim.h) and tries again.  May block, so no spinlock is
 * held.  Freed like every page, by page_put(), from any context.
 */
struct page *io_page_alloc(unsigned flags);
static inline bool io_page_lent(const struct page *p) { return (p->flags & PGF_IO) != 0; }
/* Where a device finds a lent page: an address for segments of proto/block.h, and for
 * proto/fs.h likewise, in the window of the channel concerned. */
uint64_t io_page_address(const struct page *, unsigned window);
/* Give chunks without a page in use back to the allocator, until it has `pages` more; how many it got. */
uint64_t io_chunks_release(uint64_t pages);
bool io_chunks_spare(void);			/* is there a chunk to be given back, were it not in use? */
uint64_t io_pages_pool(void);			/* pages of all chunks */
uint64_t io_pages_used(void);			/* of them in use */

/* For reclaim: pages of chunk n; NULL: there is no such chunk (any more). */
struct page *io_chunk_pages(unsigned n);
unsigned io_chunk_limit(void);			/* numbers are below it */
enum { IO_CHUNK_ORDER = 9, IO_CHUNK_PAGES = 1 << IO_CHUNK_ORDER };

/* arch: one chunk into or out of the reach of all drivers; the handle names what was made. */
long arch_lend(ipa_t, uint64_t bytes, uint32_t *handle);	/* -ENOMEM: no slots or tables; -EIO */
void arch_unlend(uint32_t handle);
void arch_lend_init(const struct world_info *);

#endif
