/* SPDX-License-Identifier: MIT */
/*
 * Lending memory to drivers (proto/world.h): for each lender's entry of
 * world_info.lend a Frame capability for the range is minted from its piece
 * of RAM and mapped into that driver's IOSpace; deleting it withdraws the range,
 * and the kernel returns only when no DMA to it is in flight.
 */
#include <tessera/abi.h>
#include <tessera/stubs.h>

#include "internal.h"
#include "io.h"
#include "log.h"

static struct {
	struct world_lend to[WORLD_MAX_LEND];
	struct world_range piece[WORLD_MAX_PIECES];
	uint32_t lends, pieces, slots;	/* groups of `lends` slots from WORLD_SLOT_FIRST_FREE on */
	uint64_t *taken;		/* bit per group */
} lend;

static uint32_t group_slot(uint32_t group) { return WORLD_SLOT_FIRST_FREE + group * lend.lends; }

/* The piece that holds all of the range; -1: none. */
static int
piece_of(ipa_t at, uint64_t bytes)
{
	for (unsigned i = 0; i < lend.pieces; i++)
		if (at >= lend.piece[i].base && at + bytes <= lend.piece[i].base + lend.piece[i].size)
			return (int)i;
	return -1;
}

static int
group_take(void)
{
	for (uint32_t g = 0; g < lend.slots; g++)
		if ((lend.taken[g / 64] >> g % 64 & 1) == 0) {
			lend.taken[g / 64] |= 1ULL << g % 64;
			return (int)g;
		}
	return -1;
}

static long
lend_one(unsigned to, uint32_t slot, int piece, ipa_t at, uint64_t bytes)
{
	uint64_t address = IO_WINDOW(lend.to[to].window) + (at - WORLD_RAM_BASE);
	enum error e = cnode_mint_frame(WORLD_SLOT_CNODE, slot, 0, WORLD_SLOT_RAM + (uint32_t)piece,
	    RIGHT_READ | RIGHT_WRITE, at - lend.piece[piece].base, bytes);

	if (e != OK)
		return e;
	e = frame_map_io(slot, WORLD_SLOT_SPACE + to, address, RIGHT_READ | RIGHT_WRITE);
	if (e != OK)
		cnode_delete(WORLD_SLOT_CNODE, slot);
	return e;
}

long
arch_lend(ipa_t at, uint64_t bytes, uint32_t *handle)
{
	static bool said;
	int piece = piece_of(at, bytes), group;
	long e = 0;

	*handle = UINT32_MAX;
	if (lend.lends == 0)
		return 0;
	if (piece < 0)
		return -ENOMEM;		/* a chunk that two pieces share */
	group = group_take();
	if (group < 0)
		return -ENOMEM;
	for (unsigned i = 0; i < lend.lends; i++) {
		e = lend_one(i, group_slot((uint32_t)group) + i, piece, at, bytes);
		if (e == OK)
			continue;
		if (!said)
			klog(LOG_ERR, "io: lending to %s: error %ld", lend.to[i].driver, e);
		said = true;
		while (i-- > 0)
			cnode_delete(WORLD_SLOT_CNODE, group_slot((uint32_t)group) + i);
		lend.taken[group / 64] &= ~(1ULL << group % 64);
		return -EIO;
	}
	*handle = (uint32_t)group;
	return 0;
}

void
arch_unlend(uint32_t group)
{
	if (group == UINT32_MAX)
		return;
	for (unsigned i = 0; i < lend.lends; i++)
		cnode_delete(WORLD_SLOT_CNODE, group_slot(group) + i);
	lend.taken[group / 64] &= ~(1ULL << group % 64);
}

void
arch_lend_init(const struct world_info *w)
{
	lend.lends = min(w->lend_count, (uint32_t)WORLD_MAX_LEND);
	lend.pieces = min(w->piece_count, (uint32_t)WORLD_MAX_PIECES);
	memcpy(lend.to, w->lend, sizeof(lend.to));
	memcpy(lend.piece, w->piece, sizeof(lend.piece));
	if (lend.lends == 0 || w->cnode_bits > 20 || (1u << w->cnode_bits) <= WORLD_SLOT_FIRST_FREE)
		return;
	lend.slots = ((1u << w->cnode_bits) - WORLD_SLOT_FIRST_FREE) / lend.lends;
	lend.taken = kzalloc((lend.slots / 64 + 1) * sizeof(uint64_t));
	if (lend.taken == NULL)
		panic("io: no memory for lent ranges");
}
