/* SPDX-License-Identifier: MIT */
/*
 * Translation tables of 39-bit address spaces, three levels from level 1, 4 KiB
 * granule: what stage 2 of threads and stage 1 of devices share (Arm ARM DDI
 * 0487 L.b D8.2, D8.3).  Leaf descriptors, invalidation and what an incoherent
 * walker needs are their users' affair.
 *
 * A table descriptor ignores its bits 11:2 (D8.3.1): they hold the number of
 * entries in use in the table it points to, so that an empty one goes back to
 * the pool without a scan.
 */
#ifndef TABLES_H
#define TABLES_H

#include "arch_arm64.h"

enum {
	ENTRIES = 512,
	DESC_VALID = 1, DESC_BLOCK = 1, DESC_TABLE = 3, DESC_PAGE = 3,
	COUNT_SHIFT = 2,
};
#define DESC_ADDRESS	0x0000fffffffff000UL
#define COUNT_ONE	(1UL << COUNT_SHIFT)
#define COUNT_MASK	(0x3ffUL << COUNT_SHIFT)

static inline unsigned
level_shift(unsigned level)
{
	return 39 - 9 * level;
}

static inline uint64_t *
table_of(uint64_t descriptor)
{
	return phys_to_kernel(descriptor & DESC_ADDRESS);
}

static inline bool
is_table(uint64_t descriptor, unsigned level)
{
	return level < 3 && (descriptor & 3) == DESC_TABLE;
}

/* Pool pages are zero, those given back too but for the link. */
static inline uint64_t *
table_take(struct arch_vspace *v)
{
	uint64_t *table = v->free_list;

	if (v->tables_free == 0)
		return NULL;
	v->tables_free--;
	if (table != NULL) {
		v->free_list = phys_to_kernel(table[0]);
		table[0] = 0;
		return table;
	}
	table = phys_to_kernel(v->pool_next);
	v->pool_next += ARCH_PAGE;
	return table;
}

static inline void
table_give_back(struct arch_vspace *v, uint64_t *table)
{
	table[0] = kernel_to_phys(v->free_list);
	v->free_list = table;
	v->tables_free++;
}

static inline void
tables_init(struct vspace *v)
{
	paddr_t base = kernel_to_phys(v);

	v->arch.root = phys_to_kernel(base + ARCH_PAGE);
	v->arch.pool_next = base + 2 * ARCH_PAGE;
	v->arch.pool_end = base + (1UL << v->size_bits);
	v->arch.tables = (uint32_t)((v->arch.pool_end - v->arch.pool_next) / ARCH_PAGE);
	v->arch.tables_free = v->arch.tables;
}

/* The highest level at which one entry may serve the start of the range. */
static inline unsigned
leaf_level(uint64_t vaddr, paddr_t base, uint64_t pages)
{
	for (unsigned level = 1; level < 3; level++) {
		uint64_t bytes = 1UL << level_shift(level);

		if (((vaddr | base) & (bytes - 1)) == 0 && pages >= bytes / ARCH_PAGE)
			return level;
	}
	return 3;
}

/* What a walk met on its way down: entries that a new table must be linked to. */
struct walk {
	uint64_t *entry[4];		/* by level, 1..3 */
	unsigned level;			/* the last one reached */
};

/* Down to `level`, or to the first entry that is not a table. */
static inline void
walk_down(struct arch_vspace *v, uint64_t vaddr, unsigned level, struct walk *w)
{
	uint64_t *table = v->root;

	w->entry[0] = NULL;
	for (w->level = 1;; w->level++) {
		w->entry[w->level] = &table[(vaddr >> level_shift(w->level)) % ENTRIES];
		if (w->level == level || !is_table(*w->entry[w->level], w->level))
			return;
		table = table_of(*w->entry[w->level]);
	}
}

/* The entry that points to the walk's last table has one more (or less) in use. */
static inline void
count_add(struct walk *w, uint64_t entries)
{
	if (w->level > 1)
		*w->entry[w->level - 1] += entries * COUNT_ONE;
}

/* Add the missing tables below the walk's last entry; all or none. */
static inline bool
walk_extend(struct arch_vspace *v, uint64_t vaddr, unsigned level, struct walk *w)
{
	if (v->tables_free < level - w->level)
		return false;
	while (w->level < level) {
		uint64_t *table = table_take(v);

		*w->entry[w->level] = kernel_to_phys(table) | DESC_TABLE;
		count_add(w, 1);
		w->level++;
		w->entry[w->level] = &table[(vaddr >> level_shift(w->level)) % ENTRIES];
	}
	return true;
}

static inline uint64_t
min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Give tables back that have become empty, from the walk's last one upwards.
 * A walker may still know them: they hold invalid descriptors only, the link
 * included, and nobody takes them before the TLB invalidation that follows.
 */
static inline void
prune(struct arch_vspace *v, struct walk *w)
{
	while (w->level > 1 && (*w->entry[w->level - 1] & COUNT_MASK) == 0) {
		uint64_t *parent = w->entry[--w->level];

		table_give_back(v, table_of(*parent));
		*parent = 0;
		count_add(w, (uint64_t)-1);
	}
}

/* Pages before `first`, where the range starts at vaddr. */
static inline uint64_t
pages_before(uint64_t first, uint64_t vaddr)
{
	return first <= vaddr ? 0 : (first - vaddr) / ARCH_PAGE;
}

#endif
