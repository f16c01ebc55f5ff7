/* SPDX-License-Identifier: MIT */
/*
 * init's inventory of slots and memory.  Both are only ever handed out, at
 * boot; a component that is built again uses the slots and the budget that it
 * had.  The kernel's watermarks are mirrored here to choose well; the kernel
 * checks them anyway.
 */
#include "init.h"

struct store {
	uint64_t used;
	uint32_t slot;
	uint8_t size_bits;
};

static struct store stores[INIT_MAX_UNTYPED];
static unsigned store_count;
static uint32_t slot_next;
static uint32_t window_slot;

enum { REST_MIN_BITS = 21 };	/* smaller pieces would cost a world table pages */

unsigned
log2_up(uint64_t n)
{
	unsigned bits = 0;

	while (((uint64_t)1 << bits) < n)
		bits++;
	return bits;
}

static uint64_t
store_size(const struct store *s)
{
	return (uint64_t)1 << s->size_bits;
}

/* count neighbouring free slots of init's CNode. */
uint32_t
slots_take(unsigned count)
{
	uint32_t first = slot_next;

	if (first + count > (uint32_t)1 << INIT_CNODE_BITS)
		stop("out of slots: system.conf asks for more than one CNode holds");
	slot_next += count;
	return first;
}

enum error
memory_start(void)
{
	const struct init_info *info = tessera.info;

	slot_next = info->first_free_slot;
	window_slot = slots_take(1);
	for (unsigned i = 0; i < info->untyped_count && i < INIT_MAX_UNTYPED; i++) {
		if (info->untyped[i].device)
			continue;
		stores[store_count++] = (struct store){
			.slot = info->untyped[i].slot,
			.size_bits = info->untyped[i].size_bits,
		};
	}
	return store_count == 0 ? ERR_NO_MEMORY : OK;
}

/* The store with the least left in which 2^size_bits bytes fit. */
static struct store *
store_for(unsigned size_bits)
{
	uint64_t size = (uint64_t)1 << size_bits, least = UINT64_MAX;
	struct store *best = NULL;

	for (unsigned i = 0; i < store_count; i++) {
		struct store *s = &stores[i];
		uint64_t at = round_up(s->used, size), left = store_size(s) - s->used;

		if (at > store_size(s) || store_size(s) - at < size || left >= least)
			continue;
		best = s;
		least = left;
	}
	return best;
}

/* Make an object that is init's own, or a budget (OBJ_UNTYPED). */
enum error
memory_carve(enum object_type type, unsigned size_bits, uint32_t slot)
{
	struct store *s = store_for(size_bits);
	enum error e;

	if (s == NULL)
		return ERR_NO_MEMORY;
	e = untyped_retype(s->slot, type, size_bits, 0, slot, 1, 0);
	if (e == OK)
		s->used = round_up(s->used, (uint64_t)1 << size_bits) + ((uint64_t)1 << size_bits);
	return e;
}

uint64_t
memory_left(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < store_count; i++)
		sum += store_size(&stores[i]) - stores[i].used;
	return sum;
}

uint64_t
memory_used(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < store_count; i++)
		sum += stores[i].used;
	return sum;
}

/* The largest naturally aligned piece at a store's watermark. */
static unsigned
store_next_bits(const struct store *s)
{
	uint64_t at = round_up(s->used, (uint64_t)1 << REST_MIN_BITS);

	if (at >= store_size(s))
		return 0;
	return at == 0 ? s->size_bits : (unsigned)__builtin_ctzll(at);
}

static enum error
store_carve_rest(struct store *s, struct piece *pieces, unsigned *count, unsigned room)
{
	unsigned bits;
	enum error e;

	while (*count < room && (bits = store_next_bits(s)) >= REST_MIN_BITS) {
		if (bits > 30)
			bits = 30;	/* the largest Frame */
		e = untyped_retype(s->slot, OBJ_UNTYPED, bits, 0, pieces[*count].slot, 1, 0);
		if (e != OK)
			return e;
		s->used = round_up(s->used, (uint64_t)1 << bits) + ((uint64_t)1 << bits);
		pieces[(*count)++].size_bits = bits;
	}
	return OK;
}

/* Largest stores first: if there are more pieces than room, small ones stay. */
enum error
memory_carve_rest(struct piece *pieces, unsigned *count, unsigned room)
{
	enum error e = OK;

	for (unsigned bits = 63; bits >= REST_MIN_BITS && e == OK; bits--)
		for (unsigned i = 0; i < store_count && e == OK; i++)
			if (stores[i].size_bits == bits)
				e = store_carve_rest(&stores[i], pieces, count, room);
	return e;
}

/*
 * The one window through which init sees into Frames.  It covers as much of one as it can and
 * stays open from one use to the next: each closing is an invalidation in the TLBs of all CPUs,
 * which an emulator's CPUs that take turns answer one after the other.
 */
static struct {
	uint32_t frame;
	uint64_t first, end;		/* bytes of the Frame; equal: closed */
} window;

void
window_close(void)
{
	if (window.first != window.end)
		cnode_delete(INIT_SLOT_CNODE, window_slot);
	window.end = window.first;
}

/* All of the Frame if that fits, or from the page of offset on. */
static enum error
window_open(uint32_t frame, uint64_t offset)
{
	const unsigned rights = RIGHT_READ | RIGHT_WRITE;
	uint64_t bytes, mapped, first = 0, n;
	uint32_t device;
	enum error e = frame_info(frame, &bytes, &mapped, &device);

	if (e != OK)
		return e;
	if (offset >= bytes)
		return ERR_RANGE;
	if (bytes > INIT_WINDOW_BYTES)
		first = offset & ~(uint64_t)(PAGE - 1);
	n = bytes - first < INIT_WINDOW_BYTES ? bytes - first : INIT_WINDOW_BYTES;
	window_close();
	e = cnode_mint_frame(INIT_SLOT_CNODE, window_slot, 0, frame, rights, first, n);
	if (e != OK)
		return e;
	e = frame_map(window_slot, INIT_SLOT_VSPACE, INIT_WINDOW_VADDR, rights, MAP_NORMAL);
	if (e != OK) {
		cnode_delete(INIT_SLOT_CNODE, window_slot);
		return e;
	}
	window.frame = frame;
	window.first = first;
	window.end = first + n;
	return OK;
}

/* Where init sees the byte at offset, and how many follow it there. */
static enum error
window_at(uint32_t frame, uint64_t offset, uint8_t **place, uint64_t *count)
{
	enum error e = OK;

	if (frame != window.frame || offset < window.first || offset >= window.end)
		e = window_open(frame, offset);
	if (e != OK)
		return e;
	*place = (uint8_t *)INIT_WINDOW_VADDR + (offset - window.first);
	*count = window.end - offset;
	return OK;
}

enum error
frame_read(uint32_t frame, uint64_t offset, void *to, uint64_t count)
{
	uint8_t *into = to, *from;
	uint64_t n;

	for (; count > 0; count -= n, offset += n, into += n) {
		enum error e = window_at(frame, offset, &from, &n);

		if (e != OK)
			return e;
		n = n < count ? n : count;
		memcpy(into, from, n);
	}
	return OK;
}

enum error
frame_write(uint32_t frame, uint64_t offset, const void *bytes, uint64_t count)
{
	const uint8_t *from = bytes;
	uint64_t n;
	uint8_t *to;

	for (; count > 0; count -= n, offset += n, from += n) {
		enum error e = window_at(frame, offset, &to, &n);

		if (e != OK)
			return e;
		n = n < count ? n : count;
		memcpy(to, from, n);
		/* A VCPU starts with its caches off. */
		dcache_clean(to, n);
	}
	return OK;
}

/*
 * A Frame over the pages of device registers at [base, base + bytes).  Device
 * Untypeds hand out Frames upwards only (calls.def), and init takes each device
 * once.
 */
enum error
device_frame(uint64_t base, uint64_t bytes, uint32_t slot, uint64_t *offset)
{
	const struct init_info *info = tessera.info;
	uint64_t page = base & ~(uint64_t)(PAGE - 1);
	unsigned bits = log2_up(round_up(base + bytes, PAGE) - page);

	if (bits < PAGE_BITS)
		bits = PAGE_BITS;
	page &= ~(((uint64_t)1 << bits) - 1);
	*offset = base - page;
	for (unsigned i = 0; i < info->untyped_count && i < INIT_MAX_UNTYPED; i++) {
		const struct init_untyped *u = &info->untyped[i];

		if (!u->device || page < u->base || page - u->base >= (uint64_t)1 << u->size_bits)
			continue;
		return untyped_retype(u->slot, OBJ_FRAME, bits, 0, slot, 1, page - u->base);
	}
	return ERR_RANGE;
}

/* Device memory of PCI hosts, in the largest Frames that there can be: drivers
 * get page ranges of them. */
enum { MAX_BLOCKS = 64, BLOCK_MAX_BITS = 30 };
static struct block {
	uint64_t base;
	unsigned bits;
	uint32_t slot;
} blocks[MAX_BLOCKS];
static unsigned block_count;

static const struct block *
block_find(uint64_t at)
{
	for (unsigned i = 0; i < block_count; i++)
		if (at - blocks[i].base < (uint64_t)1 << blocks[i].bits)
			return &blocks[i];
	return NULL;
}

static enum error
block_make(uint64_t at)
{
	const struct init_info *info = tessera.info;
	struct block *b = &blocks[block_count];

	if (block_count == MAX_BLOCKS)
		return ERR_LIMIT;
	for (unsigned i = 0; i < info->untyped_count && i < INIT_MAX_UNTYPED; i++) {
		const struct init_untyped *u = &info->untyped[i];
		enum error e;

		if (!u->device || at < u->base || at - u->base >= (uint64_t)1 << u->size_bits)
			continue;
		b->bits = u->size_bits < BLOCK_MAX_BITS ? u->size_bits : BLOCK_MAX_BITS;
		b->base = at & ~(((uint64_t)1 << b->bits) - 1);
		b->slot = slots_take(1);
		e = untyped_retype(u->slot, OBJ_FRAME, b->bits, 0, b->slot, 1, b->base - u->base);
		block_count += e == OK;
		return e;
	}
	return ERR_RANGE;
}

enum error
device_block(uint64_t at, uint32_t *frame, uint64_t *offset, uint64_t *bytes_left)
{
	const struct block *b = block_find(at);
	enum error e = OK;

	if (b == NULL)
		e = block_make(at);
	if (e != OK)
		return e;
	b = block_find(at);
	*frame = b->slot;
	*offset = at - b->base;
	*bytes_left = ((uint64_t)1 << b->bits) - *offset;
	return OK;
}
