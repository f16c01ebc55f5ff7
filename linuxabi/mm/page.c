/* SPDX-License-Identifier: MIT */
/*
 * The allocator of physical pages: a buddy system of blocks up to 4 MiB below
 * per-CPU stacks of single pages.
 *
 * Almost every request is for one page and is served from the stack of its CPU
 * with interrupts masked and no lock.  Stacks are filled and drained in batches
 * under zone.lock (rank 110).  The last RESERVE pages go only to the kernel
 * (PG_NOFAIL_KERNEL) and to tasks that are about to end, so that killing somebody for
 * memory can always succeed.
 */
#include <proto/world.h>
#include "internal.h"
#include "reclaim.h"

enum {
	ORDERS = 11,			/* largest block: 2^10 pages */
	STACK_BATCH = 32, STACK_HIGH = 96,
	RESERVE_SHARE = 128, RESERVE_MAX = 1024, RESERVE_MIN = 64,
	RECLAIM_PATIENCE = 100,		/* fruitless looks, a few milliseconds each, before somebody is killed */
};

struct page *page_array;
uint64_t page_base;

static struct {
	spinlock_t lock;
	struct list free[ORDERS];	/* heads of free blocks, by page->lru */
	uint64_t free_pages;		/* in blocks */
	uint64_t total;			/* ever given to the allocator */
	uint64_t peak;			/* most of them that were taken at once */
	uint64_t reserve;
	uint64_t end;			/* page frame number behind the last */
} zone;

void io_page_freed(struct page *);	/* io/chunk.c: the last reference to a page of its pool is gone */

static struct cpu_pages {
	struct page *stack;		/* chained by private_ */
	unsigned count;
	long counters[PAGES_KINDS];
} __attribute__((aligned(64))) cpu_pages[MAX_CPUS];

static uint64_t
page_number(const struct page *p)
{
	return (uint64_t)(p - page_array) + page_base;
}

static struct page *
number_to_page(uint64_t n)
{
	return &page_array[n - page_base];
}

static void
block_insert(struct page *p, unsigned order)
{
	p->order = (uint8_t)order;
	p->flags = PGF_FREE;
	list_add(&zone.free[order], &p->lru);
}

static void
block_remove(struct page *p)
{
	list_del(&p->lru);
	p->flags = 0;
}

/* The other half of the block twice as large, if all of it is free. */
static struct page *
block_buddy(uint64_t n, unsigned order)
{
	uint64_t b = n ^ (1UL << order);
	struct page *p;

	if (b < page_base || b + (1UL << order) > zone.end)
		return NULL;
	p = number_to_page(b);
	return (p->flags & PGF_FREE) && p->order == order ? p : NULL;
}

/* zone.lock is held. */
static void
block_free(struct page *p, unsigned order)
{
	uint64_t n = page_number(p);

	zone.free_pages += 1UL << order;
	while (order + 1 < ORDERS) {
		struct page *buddy = block_buddy(n, order);

		if (buddy == NULL)
			break;
		block_remove(buddy);
		n &= ~(1UL << order);
		order++;
	}
	block_insert(number_to_page(n), order);
}

static struct page *
block_take(unsigned order)
{
	unsigned o = order;
	struct page *p;

	while (o < ORDERS && list_empty(&zone.free[o]))
		o++;
	if (o == ORDERS)
		return NULL;
	p = list_first(&zone.free[o], struct page, lru);
	block_remove(p);
	while (o > order) {
		o--;
		block_insert(p + (1UL << o), o);
	}
	zone.free_pages -= 1UL << order;
	zone.peak = max(zone.peak, zone.total - zone.free_pages);
	return p;
}

/* How many pages this request must leave alone. */
static uint64_t
reserve_for(unsigned flags)
{
	return (flags & PG_NOFAIL_KERNEL) ? 0 : zone.reserve;
}

/* Interrupts are masked. */
static void
stack_fill(struct cpu_pages *c, unsigned flags)
{
	spin_lock(&zone.lock);
	for (unsigned i = 0; i < STACK_BATCH && zone.free_pages > reserve_for(flags); i++) {
		struct page *p = block_take(0);

		if (p == NULL)
			break;
		p->private_ = (uint64_t)c->stack;
		c->stack = p;
		c->count++;
	}
	spin_unlock(&zone.lock);
}

static void
stack_drain(struct cpu_pages *c, unsigned count)
{
	spin_lock(&zone.lock);
	while (count-- > 0 && c->stack != NULL) {
		struct page *p = c->stack;

		c->stack = (struct page *)p->private_;
		c->count--;
		block_free(p, 0);
	}
	spin_unlock(&zone.lock);
}

static struct page *
single_take(unsigned flags)
{
	uint64_t irq = irq_save();
	struct cpu_pages *c = &cpu_pages[cpu_id()];
	struct page *p;

	if (unlikely(c->stack == NULL))
		stack_fill(c, flags);
	p = c->stack;
	if (likely(p != NULL)) {
		c->stack = (struct page *)p->private_;
		c->count--;
	}
	irq_restore(irq);
	return p;
}

static void
single_put(struct page *p)
{
	struct cpu_pages *c;
	uint64_t irq;

	if (unlikely(p->flags & PGF_IO)) {
		io_page_freed(p);
		return;
	}
	irq = irq_save();
	c = &cpu_pages[cpu_id()];
	if (p->flags & PGF_ANON)
		c->counters[PAGES_ANON]--;
	p->flags = 0;
	p->mapping = NULL;
	p->private_ = (uint64_t)c->stack;
	c->stack = p;
	if (unlikely(++c->count > STACK_HIGH))
		stack_drain(c, STACK_BATCH);
	irq_restore(irq);
}

static struct page *
blocks_take(unsigned order, unsigned flags)
{
	struct page *p = NULL;
	uint64_t irq;

	if (order == 0)
		return single_take(flags);
	irq = spin_lock_irqsave(&zone.lock);
	if (zone.free_pages >= reserve_for(flags) + (1UL << order))
		p = block_take(order);
	spin_unlock_irqrestore(&zone.lock, irq);
	return p;
}

/*
 * Nothing left for a user's request: take cached pages back, and when that brings
 * nothing for a while (write-back may be on its way, or may never help), have somebody
 * killed and wait for what it gives back.  Who is dying itself gets from the reserve, or nothing.
 */
static struct page *
take_blocking(unsigned order, unsigned flags)
{
	struct page *p = blocks_take(order, flags);
	unsigned patience = RECLAIM_PATIENCE;

	while (p == NULL && (flags & PG_USER)) {
		if (signal_fatal_pending(current))
			return NULL;
		enum reclaimed r = reclaim_memory();

		if (r == RECLAIM_SOME || (r == RECLAIM_LATER && patience > 0)) {
			patience = r == RECLAIM_SOME ? RECLAIM_PATIENCE : patience - 1;
			p = blocks_take(order, flags);
			continue;
		}
		oom_kill();
		if (signal_fatal_pending(current))
			return blocks_take(order, flags);
		task_prepare_wait(TASK_KILLABLE);
		task_wait(clock_monotonic() + 2000000);
		task_finish_wait();
		p = blocks_take(order, flags);
	}
	return p;
}

struct page *
pages_alloc(unsigned order, unsigned flags)
{
	struct page *p;

	if (order >= ORDERS)
		return NULL;
	p = blocks_take(order, flags);
	if (unlikely(p == NULL)) {
		p = take_blocking(order, flags);
		if (p == NULL)
			return NULL;
	}
	ref_init(&p->refs, 1);
	p->order = (uint8_t)order;
	if (flags & PG_ZERO)
		for (unsigned i = 0; i < 1u << order; i++)
			page_clear((char *)page_virt(p) + (size_t)i * PAGE_SIZE);
	return p;
}

struct page *
page_alloc(unsigned flags)
{
	struct page *p = single_take(flags);

	if (unlikely(p == NULL)) {
		p = take_blocking(0, flags);
		if (p == NULL)
			return NULL;
	}
	ref_init(&p->refs, 1);
	p->order = 0;
	if (flags & PG_ZERO)
		page_clear(page_virt(p));
	return p;
}

void
page_get(struct page *p)
{
	ref_get(&p->refs);
}

void
page_put(struct page *p)
{
	if (!ref_put(&p->refs))
		return;
	if (likely(p->order == 0))
		single_put(p);
	else
		pages_free(p, p->order);
}

void
pages_free(struct page *p, unsigned order)
{
	uint64_t irq;

	ref_init(&p->refs, 0);
	if (order == 0) {
		single_put(p);
		return;
	}
	p->mapping = NULL;
	p->flags = 0;
	irq = spin_lock_irqsave(&zone.lock);
	block_free(p, order);
	spin_unlock_irqrestore(&zone.lock, irq);
}

void
pages_free_batch(struct page **list, unsigned count)
{
	uint64_t irq = irq_save();
	struct cpu_pages *c = &cpu_pages[cpu_id()];
	unsigned ours = 0;

	for (unsigned i = 0; i < count; i++) {
		struct page *p = list[i];

		ref_init(&p->refs, 0);
		if (unlikely(p->flags & PGF_IO)) {
			io_page_freed(p);
			ours++;
			continue;
		}
		if (p->flags & PGF_ANON)
			c->counters[PAGES_ANON]--;
		p->flags = 0;
		p->mapping = NULL;
		p->private_ = (uint64_t)c->stack;
		c->stack = p;
	}
	c->count += count - ours;
	if (c->count > STACK_HIGH)
		stack_drain(c, c->count - STACK_HIGH + STACK_BATCH);
	irq_restore(irq);
}

void
pages_account(unsigned kind, long pages)
{
	uint64_t irq = irq_save();

	cpu_pages[cpu_id()].counters[kind] += pages;
	irq_restore(irq);
}

/* Other CPUs' counters may be a little old: statistics. */
static uint64_t
pages_counter(unsigned kind)
{
	long sum = 0;

	for (unsigned i = 0; i < MAX_CPUS; i++)
		sum += READ_ONCE(cpu_pages[i].counters[kind]);
	return sum > 0 ? (uint64_t)sum : 0;
}

uint64_t pages_total(void) { return zone.total; }
uint64_t pages_peak(void) { return READ_ONCE(zone.peak); }
uint64_t pages_cached(void) { return pages_counter(PAGES_CACHED); }
uint64_t pages_slab(void) { return pages_counter(PAGES_SLAB); }
uint64_t pages_anon(void) { return pages_counter(PAGES_ANON); }
uint64_t pages_tables(void) { return pages_counter(PAGES_TABLES); }

uint64_t
pages_free_count(void)
{
	uint64_t n = READ_ONCE(zone.free_pages);

	for (unsigned i = 0; i < MAX_CPUS; i++)
		n += READ_ONCE(cpu_pages[i].count);
	return n;
}

/* Give [first, end) to the allocator, in blocks as large and aligned as they come. */
static void
zone_add(uint64_t first, uint64_t end)
{
	while (first < end) {
		unsigned order = 0;

		while (order + 1 < ORDERS && (first & (1UL << order)) == 0
		    && first + (2UL << order) <= end)
			order++;
		block_free(number_to_page(first), order);
		zone.total += 1UL << order;
		first += 1UL << order;
	}
}

/* The same without what `hole[i..count)` covers. */
static void
zone_add_around(uint64_t first, uint64_t end, const struct world_range *hole, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t h = hole[i].base >> PAGE_SHIFT;
		uint64_t he = PAGE_UP(hole[i].base + hole[i].size) >> PAGE_SHIFT;

		if (hole[i].size == 0 || he <= first || h >= end)
			continue;
		if (h > first)
			zone_add_around(first, h, hole + i + 1, count - i - 1);
		if (he >= end)
			return;
		first = he;
	}
	zone_add(first, end);
}

static bool
range_hits(const struct world_range *r, uint64_t base, uint64_t size)
{
	return r->size != 0 && base < r->base + r->size && r->base < base + size;
}

/* Room for the array: the first gap in RAM that neither image nor info covers. */
static uint64_t
array_place(const struct world_info *w, uint64_t size)
{
	for (unsigned i = 0; i < w->ram_count; i++) {
		uint64_t at = w->ram[i].base, end = at + w->ram[i].size;

		while (at + size <= end) {
			if (range_hits(&w->image, at, size))
				at = PAGE_UP(w->image.base + w->image.size);
			else if (range_hits(&w->info, at, size))
				at = PAGE_UP(w->info.base + w->info.size);
			else
				return at;
		}
	}
	panic("page_init: no room for %lu bytes of struct page", (unsigned long)size);
}

void
page_init(const struct world_info *w)
{
	uint64_t low = UINT64_MAX, high = 0;
	struct world_range hole[3];

	spin_init(&zone.lock, 110);
	for (unsigned o = 0; o < ORDERS; o++)
		list_init(&zone.free[o]);
	for (unsigned i = 0; i < w->ram_count; i++) {
		low = min(low, w->ram[i].base);
		high = max(high, w->ram[i].base + w->ram[i].size);
	}
	page_base = low >> PAGE_SHIFT;
	zone.end = high >> PAGE_SHIFT;
	hole[0] = w->image;
	hole[1] = w->info;
	hole[2].size = PAGE_UP((zone.end - page_base) * sizeof(struct page));
	hole[2].base = array_place(w, hole[2].size);
	page_array = ipa_to_virt(hole[2].base);
	for (uint64_t o = 0; o < hole[2].size; o += PAGE_SIZE)
		page_clear((char *)page_array + o);
	for (unsigned i = 0; i < w->ram_count; i++)
		zone_add_around(w->ram[i].base >> PAGE_SHIFT,
		    (w->ram[i].base + w->ram[i].size) >> PAGE_SHIFT, hole, 3);
	zone.reserve = min(max(zone.total / RESERVE_SHARE, (uint64_t)RESERVE_MIN), (uint64_t)RESERVE_MAX);
}
