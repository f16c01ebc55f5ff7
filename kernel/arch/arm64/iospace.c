/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of devices: stage-1 tables as the SMMU walks them (IHI 0070
 * E.a 3.4; Arm ARM DDI 0487 L.b D8.3 for the descriptors).  Every entry that
 * changes is pushed out to SMMUs that do not see the caches before anything is
 * invalidated.
 */
#include "tables.h"

enum {
	/* Stage 1 descriptors (D8.3.2); the attribute index is of smmu.c's MAIR. */
	S1_ATTR_NORMAL = 0 << 2, S1_ATTR_DEVICE = 1 << 2,
	S1_UNPRIVILEGED = 1 << 6,	/* AP[1]: devices' accesses are unprivileged */
	S1_READ_ONLY = 1 << 7,		/* AP[2] */
	S1_INNER = 3 << 8,
	S1_AF = 1 << 10,
	S1_NG = 1 << 11,		/* TLB entries belong to the device's ASID */
};
#define S1_XN	(3UL << 53)		/* PXN, UXN */
#define S1_PAGE	(S1_XN | S1_NG | S1_AF | S1_UNPRIVILEGED)

void
arch_io_space_init(struct vspace *v)
{
	tables_init(v);
}

/* Entries that lie side by side, and those above them, as far as the walk went. */
static void
walk_sync(const struct walk *w, unsigned deepest, uint64_t count)
{
	dma_sync(w->entry[deepest], count * sizeof(uint64_t), smmu_tables_coherent());
	for (unsigned level = 1; level < deepest; level++)
		dma_sync(w->entry[level], sizeof(uint64_t), smmu_tables_coherent());
}

/* One step: a block, or what one table has room for. */
static enum error
map_step(struct vspace *v, uint64_t iova, paddr_t base, uint64_t pages, uint64_t leaf, uint64_t *done)
{
	unsigned level = leaf_level(iova, base, pages);
	uint64_t bytes = 1UL << level_shift(level);
	uint64_t count = level == 3 ? min(pages, ENTRIES - (iova >> 12) % ENTRIES) : 1;
	struct walk w;

	walk_down(&v->arch, iova, level, &w);
	if ((*w.entry[w.level] & DESC_VALID) != 0)
		return ERR_MAPPED;
	if (w.level == level)
		for (uint64_t i = 1; i < count; i++)
			if ((w.entry[level][i] & DESC_VALID) != 0)
				return ERR_MAPPED;
	if (!walk_extend(&v->arch, iova, level, &w))
		return ERR_NO_MEMORY;
	leaf |= level == 3 ? DESC_PAGE : DESC_BLOCK;
	for (uint64_t i = 0; i < count; i++)
		w.entry[level][i] = (base + i * bytes) | leaf;
	count_add(&w, count);
	walk_sync(&w, level, count);
	*done = count * (bytes / ARCH_PAGE);
	return OK;
}

/* Invalid entries are not cached (IHI 0070 3.17), so a new one needs no more. */
enum error
arch_io_space_map(struct vspace *v, uint64_t iova, paddr_t base, uint64_t pages, unsigned rights,
	uint64_t *done)
{
	uint64_t leaf = S1_PAGE | S1_INNER | S1_ATTR_NORMAL;

	if ((rights & RIGHT_WRITE) == 0)
		leaf |= S1_READ_ONLY;
	return map_step(v, iova, base, pages, leaf, done);
}

/* The end of the range: the block, or the pages of the table, that it ends in. */
uint64_t
arch_io_space_unmap(struct vspace *v, uint64_t iova, uint64_t pages)
{
	uint64_t last = iova + (pages - 1) * ARCH_PAGE, first, bytes, count = 1;
	struct walk w;
	unsigned level;

	walk_down(&v->arch, last, 3, &w);
	level = w.level;
	bytes = 1UL << level_shift(level);
	first = last & ~(bytes - 1);
	if ((*w.entry[level] & DESC_VALID) == 0)	/* the map of this part never came */
		return pages_before(first, iova);
	if (level == 3)
		count = min(pages, (last >> 12) % ENTRIES + 1);
	first -= (count - 1) * bytes;
	w.entry[level] -= count - 1;
	for (uint64_t i = 0; i < count; i++)
		w.entry[level][i] = 0;
	count_add(&w, (uint64_t)0 - count);
	prune(&v->arch, &w);
	walk_sync(&w, level, count);
	smmu_invalidate(v, first, count, bytes);
	return pages_before(first, iova);
}

enum error
arch_io_space_doorbell(struct vspace *v, uint32_t its)
{
	uint64_t done;
	enum error e;

	if (v->arch.doorbell != 0)
		return v->arch.doorbell == its + 1 ? OK : ERR_BUSY;
	e = map_step(v, IO_DOORBELL_IOVA, its_doorbell(its), 1, S1_PAGE | S1_ATTR_DEVICE, &done);
	if (e == OK)
		v->arch.doorbell = its + 1;
	return e;
}

bool
arch_io_space_lookup(struct vspace *v, uint64_t iova, paddr_t *base, unsigned *rights)
{
	struct walk w;
	uint64_t leaf, bytes;

	walk_down(&v->arch, iova, 3, &w);
	leaf = *w.entry[w.level];
	if ((leaf & DESC_VALID) == 0)
		return false;
	bytes = 1UL << level_shift(w.level);
	*base = (leaf & DESC_ADDRESS & ~(bytes - 1)) + (iova & (bytes - 1) & ~(ARCH_PAGE - 1));
	*rights = RIGHT_READ | ((leaf & S1_READ_ONLY) == 0 ? RIGHT_WRITE : 0);
	return true;
}

uint64_t
arch_io_space_pages(struct vspace *v)
{
	uint64_t pages = 0, step;
	struct walk w;

	for (uint64_t iova = 0; iova >> IO_ADDRESS_BITS == 0; iova += step) {
		walk_down(&v->arch, iova, 3, &w);
		step = 1UL << level_shift(w.level);
		if ((*w.entry[w.level] & DESC_VALID) != 0)
			pages += step / ARCH_PAGE;
	}
	return pages - (v->arch.doorbell != 0);
}
