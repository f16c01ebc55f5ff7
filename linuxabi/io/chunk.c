/* SPDX-License-Identifier: MIT */
/*
 * The pool of pages that devices may reach.  It grows by a chunk of 2 MiB,
 * which is lent to the drivers as a whole, and gives chunks back that have no
 * page in use.  A chunk hands its pages out in ascending order, so that what is
 * cached in a row is mostly one segment for a device.
 *
 * pool.lock protects chunks and their bitmaps.  Lending and withdrawing are
 * calls of the kernel and take a while: pool.growth (a mutex) makes them one at
 * a time, and no lock that an interrupt takes is held meanwhile.
 */
#include "io.h"

enum {
	WORDS = IO_CHUNK_PAGES / 64,
	KEEP_SHARE = 16,		/* of all memory stays out of the pool, at least */
	FLOOR_SHARE = 64, FLOOR_MOST = 4096,	/* of all memory stays in it, once it is; pages */
};

struct chunk {
	struct page *pages;		/* NULL: this number is free */
	uint32_t handle;
	uint32_t used;
	bool leaving;			/* hands nothing out */
	uint64_t taken[WORDS];
};

static struct {
	spinlock_t lock;		/* rank 106, irq: pages are freed in interrupts */
	struct mutex growth;
	struct chunk *chunk;		/* [limit] */
	uint16_t *number;		/* of the chunk of each 2 MiB of RAM, + 1 */
	unsigned limit, hint;		/* hint: a chunk that may have room */
	uint64_t pool, used;		/* pages */
} pool;

uint64_t io_pages_pool(void) { return READ_ONCE(pool.pool); }
uint64_t io_pages_used(void) { return READ_ONCE(pool.used); }
unsigned io_chunk_limit(void) { return pool.limit; }

void io_chunks_init(const struct world_info *);
void io_page_freed(struct page *);

static uint64_t
block_of(const struct page *p)
{
	return ((uint64_t)(p - page_array) + (page_base & (IO_CHUNK_PAGES - 1))) >> IO_CHUNK_ORDER;
}

struct page *
io_chunk_pages(unsigned n)
{
	return n < pool.limit ? READ_ONCE(pool.chunk[n].pages) : NULL;
}

uint64_t
io_page_address(const struct page *p, unsigned window)
{
	return IO_WINDOW(window) + (page_to_ipa(p) - WORLD_RAM_BASE);
}

/* ---- single pages ---- */

static struct page *
chunk_take(struct chunk *c)
{
	for (unsigned w = 0; w < WORDS; w++) {
		unsigned bit;

		if (c->taken[w] == UINT64_MAX)
			continue;
		bit = (unsigned)__builtin_ctzll(~c->taken[w]);
		c->taken[w] |= 1ULL << bit;
		c->used++;
		pool.used++;
		return c->pages + w * 64 + bit;
	}
	return NULL;
}

static bool
chunk_has_room(const struct chunk *c)
{
	return c->pages != NULL && !c->leaving && c->used < IO_CHUNK_PAGES;
}

static struct page *
pool_take(void)
{
	struct page *p = NULL;
	uint64_t irq = spin_lock_irqsave(&pool.lock);

	for (unsigned i = 0; i < pool.limit && p == NULL && pool.used < pool.pool; i++) {
		unsigned n = (pool.hint + i) % pool.limit;

		if (!chunk_has_room(&pool.chunk[n]))
			continue;
		p = chunk_take(&pool.chunk[n]);
		pool.hint = n;
	}
	spin_unlock_irqrestore(&pool.lock, irq);
	return p;
}

/* page_put's last step for a page of ours. */
void
io_page_freed(struct page *p)
{
	struct chunk *c = &pool.chunk[pool.number[block_of(p)] - 1];
	unsigned at = (unsigned)(p - c->pages);
	uint64_t irq;

	p->flags = PGF_IO;
	p->mapping = NULL;
	irq = spin_lock_irqsave(&pool.lock);
	assert((c->taken[at / 64] >> at % 64 & 1) != 0);
	c->taken[at / 64] &= ~(1ULL << at % 64);
	c->used--;
	pool.used--;
	spin_unlock_irqrestore(&pool.lock, irq);
}

/* ---- whole chunks; pool.growth held ---- */

static struct chunk *
chunk_free_number(void)
{
	for (unsigned n = 0; n < pool.limit; n++)
		if (pool.chunk[n].pages == NULL)
			return &pool.chunk[n];
	return NULL;
}

static bool
pool_grow(void)
{
	struct chunk *c = chunk_free_number();
	struct page *pages;
	uint64_t irq;

	if (c == NULL || pages_free_count() < IO_CHUNK_PAGES + pages_total() / KEEP_SHARE)
		return false;
	pages = pages_alloc(IO_CHUNK_ORDER, 0);
	if (pages == NULL)
		return false;
	if (arch_lend(page_to_ipa(pages), (uint64_t)IO_CHUNK_PAGES << PAGE_SHIFT, &c->handle) < 0) {
		pages_free(pages, IO_CHUNK_ORDER);
		return false;
	}
	for (unsigned i = 0; i < IO_CHUNK_PAGES; i++) {
		ref_init(&pages[i].refs, 0);
		pages[i].order = 0;
		pages[i].flags = PGF_IO;
	}
	memset(c->taken, 0, sizeof(c->taken));
	c->used = 0;
	c->leaving = false;
	irq = spin_lock_irqsave(&pool.lock);
	pool.number[block_of(pages)] = (uint16_t)(c - pool.chunk + 1);
	WRITE_ONCE(c->pages, pages);
	pool.pool += IO_CHUNK_PAGES;
	pool.hint = (unsigned)(c - pool.chunk);
	spin_unlock_irqrestore(&pool.lock, irq);
	return true;
}

struct page *
io_page_alloc(unsigned flags)
{
	struct page *p = pool_take();

	if (unlikely(p == NULL)) {
		mutex_lock(&pool.growth);
		p = pool_take();	/* somebody may have been faster */
		if (p == NULL && pool_grow())
			p = pool_take();
		mutex_unlock(&pool.growth);
		if (p == NULL)
			return NULL;
	}
	ref_init(&p->refs, 1);
	p->flags = PGF_IO;
	p->mapping = NULL;
	p->state = 0;
	p->private_ = 0;
	if (flags & PG_ZERO)
		page_clear(page_virt(p));
	return p;
}

/* Nothing of it is in use and nothing will be: no device reaches it when this returns. */
static void
chunk_return(struct chunk *c)
{
	struct page *pages = c->pages;
	uint64_t irq;

	arch_unlend(c->handle);
	irq = spin_lock_irqsave(&pool.lock);
	pool.number[block_of(pages)] = 0;
	WRITE_ONCE(c->pages, NULL);
	pool.pool -= IO_CHUNK_PAGES;
	spin_unlock_irqrestore(&pool.lock, irq);
	for (unsigned i = 0; i < IO_CHUNK_PAGES; i++)
		pages[i].flags = 0;
	pages_free(pages, IO_CHUNK_ORDER);
}

/*
 * Were all chunks given back while memory is short, single pages would fill them, and nobody
 * could read the page of a program's text any more that it needs to go on.
 */
bool
io_chunks_spare(void)
{
	return READ_ONCE(pool.pool) > min(pages_total() / FLOOR_SHARE, (uint64_t)FLOOR_MOST);
}

uint64_t
io_chunks_release(uint64_t wanted)
{
	uint64_t got = 0;

	mutex_lock(&pool.growth);
	for (unsigned n = 0; n < pool.limit && got < wanted; n++) {
		struct chunk *c = &pool.chunk[n];
		uint64_t irq = spin_lock_irqsave(&pool.lock);
		bool idle = c->pages != NULL && c->used == 0;

		c->leaving = idle;
		spin_unlock_irqrestore(&pool.lock, irq);
		if (!idle)
			continue;
		chunk_return(c);
		got += IO_CHUNK_PAGES;
	}
	mutex_unlock(&pool.growth);
	return got;
}

void
io_chunks_init(const struct world_info *w)
{
	uint64_t high = 0, blocks;

	spin_init(&pool.lock, 106);
	mutex_init(&pool.growth, 48);
	for (unsigned i = 0; i < w->ram_count; i++)
		high = max(high, w->ram[i].base + w->ram[i].size);
	blocks = ((high >> PAGE_SHIFT) - page_base) / IO_CHUNK_PAGES + 2;
	pool.limit = (unsigned)min(blocks, (uint64_t)UINT16_MAX - 1);
	pool.chunk = kzalloc(pool.limit * sizeof(pool.chunk[0]));
	pool.number = kzalloc(blocks * sizeof(pool.number[0]));
	if (pool.chunk == NULL || pool.number == NULL)
		panic("io: no memory for the table of %u chunks", pool.limit);
}
