/* SPDX-License-Identifier: MIT */
/*
 * Physical pages of the world (IPA space), the linear map, and the allocator.
 * Owner: linuxabi/mm/page.c.  All RAM of the world is mapped at
 * LINEAR_BASE + IPA in the kernel half (TTBR1), in blocks.
 */
#ifndef LX_PAGE_H
#define LX_PAGE_H

#include "kernel.h"

#ifndef LINEAR_BASE			/* host tests have it elsewhere */
#define LINEAR_BASE	0xffff000000000000UL
#endif

struct mapping;

/*
 * One for each page of RAM.  refs counts owners: every page-table entry, the
 * page cache, a pipe buffer, a kernel user.  0 = free.
 */
struct page {
	refcount_t refs;
	uint16_t flags;
	uint8_t order;		/* of the block, for the allocator and compound kernel blocks */
	uint8_t cpu;		/* per-CPU list that it lies in, for the allocator */
	int32_t mapcount;	/* page-table entries that map it (statistics, reclaim) */
	uint32_t state;		/* of a page that belongs to a disk's cache: PS_*, changed atomically */
	struct mapping *mapping;	/* page cache it belongs to, or NULL: anonymous */
	uint64_t index;		/* in that mapping, in pages */
	struct list lru;	/* free list, or the owner's */
	uint64_t private_;	/* the owner's; slab: cache pointer */
	uint64_t private2;
};
_Static_assert(sizeof(struct page) == 64, "one cache line");

enum {
	PG_ZERO = 1,		/* alloc flag: cleared (DC ZVA) */
	PG_NOFAIL_KERNEL = 2,	/* alloc flag: may use the reserve (kernel's own needs) */
	PG_USER = 4,		/* alloc flag: may invoke the OOM killer and block; returns NULL only when current is dying */
};
enum {				/* page->flags */
	PGF_SLAB = 1, PGF_TABLE = 2, PGF_DIRTY = 4, PGF_UPTODATE = 8, PGF_RESERVED = 16,
	PGF_ICACHE = 32,	/* instruction caches agree with the contents; whoever writes a
				 * page of a mapping through the linear map clears it */
	PGF_FREE = 64,		/* head of a free block */
	PGF_ANON = 128,		/* a process' own page, on no mapping */
	PGF_IO = 256,		/* of the pool that devices reach (io.h) */
};

/*
 * page->state: 0 for pages of memory file systems.  Whoever finds a page in a
 * mapping for a use of its contents looks at PS_CARE first: without these bits it is
 * ready; with some of them mapping_ops.ready decides.
 */
enum {
	PS_READING = 1,		/* contents are on their way from the disk */
	PS_ERROR = 2,		/* and did not come: to be read again */
	PS_COLD = 4,		/* not used since the last look of reclaim */
	PS_AHEAD = 8,		/* who uses it has the next stretch read */
	PS_CARE = 15,
	PS_DIRTY = 16,		/* newer than the disk */
	PS_WRITING = 32,	/* on its way to the disk */
	PS_SHARED = 64,		/* some area may hold it writable */
	PS_RESERVED = 128,	/* room on the disk is set aside for it */
	PS_BLOCK = 256,		/* it has its room on the disk */
};
static inline uint32_t page_state(const struct page *p) { return __atomic_load_n(&p->state, __ATOMIC_ACQUIRE); }
static inline uint32_t page_state_set(struct page *p, uint32_t bits) { return __atomic_fetch_or(&p->state, bits, __ATOMIC_ACQ_REL); }
static inline uint32_t page_state_clear(struct page *p, uint32_t bits) { return __atomic_fetch_and(&p->state, ~bits, __ATOMIC_ACQ_REL); }

extern struct page *page_array;		/* by IPA >> 12, from page_base on */
extern uint64_t page_base;		/* first page frame number */

static inline void *ipa_to_virt(ipa_t a) { return (void *)(a + LINEAR_BASE); }
static inline ipa_t virt_to_ipa(const void *p) { return (ipa_t)p - LINEAR_BASE; }
static inline struct page *ipa_to_page(ipa_t a) { return &page_array[(a >> PAGE_SHIFT) - page_base]; }
static inline ipa_t page_to_ipa(const struct page *p) { return ((uint64_t)(p - page_array) + page_base) << PAGE_SHIFT; }
static inline void *page_virt(const struct page *p) { return ipa_to_virt(page_to_ipa(p)); }
static inline struct page *virt_to_page(const void *p) { return ipa_to_page(virt_to_ipa(p)); }

struct page *page_alloc(unsigned flags);		/* one page, refs = 1 */
struct page *pages_alloc(unsigned order, unsigned flags);	/* 2^order contiguous */
void page_get(struct page *);
void page_put(struct page *);				/* frees at 0 */
void pages_free(struct page *, unsigned order);
void pages_free_batch(struct page **, unsigned count);	/* single pages that nobody else refers to */
void page_clear(void *page_virt);			/* DC ZVA */
void page_copy(void *dst_virt, const void *src_virt);

struct world_info;
/* Places the array of struct page and frees what is neither image, info nor the array.
 * The linear map must be there; the first allocation may follow. */
void page_init(const struct world_info *);
/* Statistics kept by those who hold pages: slab and page tables. */
enum { PAGES_SLAB, PAGES_TABLES, PAGES_ANON, PAGES_CACHED, PAGES_KINDS };
void pages_account(unsigned kind, long pages);

uint64_t pages_total(void);
uint64_t pages_free_count(void);
uint64_t pages_peak(void);		/* most that were taken at once, those of the CPUs' stacks included */
uint64_t pages_cached(void);		/* page cache and tmpfs */
uint64_t pages_slab(void);
uint64_t pages_anon(void);
uint64_t pages_tables(void);

#endif
