/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: stage-2 tables of 39-bit IPA from level 1 (Arm ARM DDI 0487
 * L.b D8.2, D8.3), and the VMIDs that tag their TLB entries.
 * The tables themselves are in tables.h.
 *
 * VMIDs have 8 bits on some cores.  vmid_owner says who has which; when none
 * is left, all but those of the running CPUs are taken back at once and the
 * TLBs forget everything.
 */
#include "tables.h"

enum {
	VMIDS = 256,
	/* Stage 2 descriptors, VMSAv8-64 (D8.3.2). */
	S2_ATTR_DEVICE = 1 << 2,	/* MemAttr: Device-nGnRE */
	S2_ATTR_UNCACHED = 5 << 2,	/* Normal, outer and inner non-cacheable */
	S2_ATTR_NORMAL = 15 << 2,	/* Normal, outer and inner write-back */
	S2_READ = 1 << 6, S2_WRITE = 1 << 7,
	S2_INNER = 3 << 8,
	S2_AF = 1 << 10,
	STEP_MAINTAINED = 8,		/* pages of one step: cache maintenance is long */
};
#define S2_XN		(1UL << 54)

static struct arch_vspace *vmid_owner[VMIDS];	/* 0 stays free: the empty space */
static unsigned vmid_next = 1;
static _Alignas(ARCH_PAGE) uint64_t empty_root[ENTRIES];

/* ---- VMIDs ------------------------------------------------------------ */

static bool
vspace_on_some_cpu(const struct arch_vspace *v)
{
	for (unsigned i = 0; i < cpu_count; i++)
		if (cpus[i].arch.vspace == v)
			return true;
	return false;
}

/* All VMIDs are taken: keep those in use, forget the rest everywhere. */
static void
vmid_recycle(void)
{
	for (unsigned i = 1; i < VMIDS; i++) {
		struct arch_vspace *v = vmid_owner[i];

		if (v == NULL || vspace_on_some_cpu(v))
			continue;
		v->vttbr = 0;
		vmid_owner[i] = NULL;
	}
	dsb_ishst();
	__asm__ volatile("tlbi alle1is; dsb ish; isb" : : : "memory");
}

static unsigned
vmid_find(void)
{
	for (unsigned n = 1; n < VMIDS; n++) {
		unsigned vmid = vmid_next;

		vmid_next = vmid_next == VMIDS - 1 ? 1 : vmid_next + 1;
		if (vmid_owner[vmid] == NULL)
			return vmid;
	}
	return 0;
}

static void
vmid_assign(struct arch_vspace *v)
{
	unsigned vmid = vmid_find();

	if (vmid == 0) {
		vmid_recycle();
		vmid = vmid_find();	/* at most ARCH_MAX_CPUS are still taken */
	}
	vmid_owner[vmid] = v;
	v->vttbr = (uint64_t)vmid << 48 | kernel_to_phys(v->root);
}

/* Make this CPU translate by v; NULL: by nothing at all. */
void
vspace_load(struct arch_vspace *v)
{
	uint64_t vttbr = kernel_to_phys(empty_root);

	if (v != NULL) {
		if (v->vttbr == 0)
			vmid_assign(v);
		vttbr = v->vttbr;
	}
	sysreg_write("vttbr_el2", vttbr);
	cpu_self()->arch.vspace = v;
}

/* ---- TLB --------------------------------------------------------------- */

/* TLBI instructions act on the VMID in VTTBR_EL2 (D8.14): borrow it. */
static uint64_t
vmid_borrow(const struct arch_vspace *v)
{
	uint64_t saved = sysreg_read("vttbr_el2");

	sysreg_write("vttbr_el2", v->vttbr);
	isb();
	return saved;
}

static void
vmid_return(uint64_t saved)
{
	sysreg_write("vttbr_el2", saved);
	isb();
}

/*
 * No TLB knows these entries any more.  Of one, first what stage 2 says of the
 * address, then everything that combined it with a stage 1 (D8.14.5).  That
 * second step forgets the whole space's combined entries, so of several the
 * whole space is forgotten at once: each instruction more is a broadcast more.
 */
static void
tlb_invalidate(const struct arch_vspace *v, uint64_t vaddr, uint64_t entries)
{
	uint64_t saved;

	dsb_ishst();			/* the cleared descriptors before the invalidation */
	if (v->vttbr == 0)
		return;			/* without a VMID there are no entries */
	saved = vmid_borrow(v);
	if (entries > 1)
		__asm__ volatile("tlbi vmalls12e1is; dsb ish" : : : "memory");
	else
		__asm__ volatile("tlbi ipas2e1is, %0; dsb ish; tlbi vmalle1is; dsb ish" : :
			"r"(vaddr >> 12) : "memory");
	vmid_return(saved);
}

void
arch_vspace_init(struct vspace *v)
{
	tables_init(v);
}

void
arch_vspace_tables(const struct vspace *v, uint64_t *tables, uint64_t *tables_free)
{
	*tables = v->arch.tables;
	*tables_free = v->arch.tables_free;
}

/* ---- map ---------------------------------------------------------------- */

/* RIGHT_READ and RIGHT_WRITE are bits 0 and 1, S2AP is bits 7:6 in that order. */
static_assert(RIGHT_READ * S2_READ == S2_READ && RIGHT_WRITE * S2_READ == S2_WRITE, "S2AP");

static inline uint64_t
leaf_attributes(unsigned rights, unsigned attribute)
{
	uint64_t leaf = S2_INNER | S2_AF | (uint64_t)(rights & (RIGHT_READ | RIGHT_WRITE)) * S2_READ;

	if ((rights & RIGHT_EXEC) == 0 || attribute == MAP_DEVICE)
		leaf |= S2_XN;
	if (attribute == MAP_NORMAL)
		return leaf | S2_ATTR_NORMAL;
	return leaf | (attribute == MAP_DEVICE ? S2_ATTR_DEVICE : S2_ATTR_UNCACHED);
}

/*
 * Executable pages of a component are cleaned to the point of unification as
 * they are mapped; a personality cares for its own code.  Non-cacheable pages
 * leave the caches first.
 */
static bool
map_maintains_cache(const struct vspace *v, unsigned rights, unsigned attribute)
{
	if (attribute == MAP_UNCACHED)
		return true;
	return attribute == MAP_NORMAL && (rights & RIGHT_EXEC) != 0 && v->personality == 0 &&
		cache_needs_clean_for_exec();
}

static void
map_maintain_cache(paddr_t base, uint64_t bytes, unsigned attribute)
{
	if (attribute == MAP_UNCACHED)
		cache_clean_invalidate(base, bytes);
	else
		cache_make_executable(base, bytes);
}

/* One step of a map: a block, or what one table has room for.  Kept apart, so
 * that mapping a page does not save the registers that this needs. */
static __attribute__((noinline)) enum error
map_step(struct vspace *v, uint64_t vaddr, paddr_t base, uint64_t pages,
	unsigned rights, unsigned attribute, uint64_t *done)
{
	bool maintain = map_maintains_cache(v, rights, attribute);
	unsigned level = maintain ? 3 : leaf_level(vaddr, base, pages);
	uint64_t leaf = leaf_attributes(rights, attribute) | (level == 3 ? DESC_PAGE : DESC_BLOCK);
	uint64_t count = 1, bytes = 1UL << level_shift(level);
	struct walk w;

	walk_down(&v->arch, vaddr, level, &w);
	if ((*w.entry[w.level] & DESC_VALID) != 0)
		return ERR_MAPPED;
	if (level == 3) {
		/* As many pages as this table has room for. */
		count = min(pages, ENTRIES - (vaddr >> 12) % ENTRIES);
		if (maintain)
			count = min(count, STEP_MAINTAINED);
	}
	if (w.level == level)
		for (uint64_t i = 1; i < count; i++)
			if ((w.entry[level][i] & DESC_VALID) != 0)
				return ERR_MAPPED;
	if (!walk_extend(&v->arch, vaddr, level, &w))
		return ERR_NO_MEMORY;
	if (maintain)
		map_maintain_cache(base, count * bytes, attribute);
	for (uint64_t i = 0; i < count; i++)
		w.entry[level][i] = (base + i * bytes) | leaf;
	count_add(&w, count);
	dsb_ishst();		/* the descriptors before the eret that lets walks see them (D8.2.6) */
	*done = count * (bytes / ARCH_PAGE);
	return OK;
}

/*
 * The common case, one page whose table exists already, without the
 * generality.  False: not the case, or something is mapped there.
 */
static bool
map_one(struct arch_vspace *v, uint64_t vaddr, uint64_t descriptor)
{
	uint64_t *first = &v->root[vaddr >> level_shift(1)], *second, *third;

	if ((*first & 3) != DESC_TABLE)
		return false;
	second = &table_of(*first)[(vaddr >> level_shift(2)) % ENTRIES];
	if ((*second & 3) != DESC_TABLE)
		return false;
	third = &table_of(*second)[(vaddr >> level_shift(3)) % ENTRIES];
	if ((*third & DESC_VALID) != 0)
		return false;
	*third = descriptor;
	*second += COUNT_ONE;
	dsb_ishst();		/* as at the end of arch_vspace_map */
	return true;
}

enum error
arch_vspace_map(struct vspace *v, uint64_t vaddr, paddr_t base, uint64_t pages,
	unsigned rights, unsigned attribute, uint64_t *done)
{
	bool maintain = map_maintains_cache(v, rights, attribute);

	if (pages == 1 && !maintain &&
	    map_one(&v->arch, vaddr, base | leaf_attributes(rights, attribute) | DESC_PAGE)) {
		*done = 1;
		return OK;
	}
	return map_step(v, vaddr, base, pages, rights, attribute, done);
}

/* ---- unmap -------------------------------------------------------------- */

/* The end of the range: the block, or the pages of the table, that it ends in. */
uint64_t
arch_vspace_unmap(struct vspace *v, uint64_t vaddr, uint64_t pages, unsigned attribute)
{
	uint64_t last = vaddr + (pages - 1) * ARCH_PAGE, first, bytes, count = 1;
	struct walk w;

	walk_down(&v->arch, last, 3, &w);
	bytes = 1UL << level_shift(w.level);
	first = last & ~(bytes - 1);
	if ((*w.entry[w.level] & DESC_VALID) == 0)	/* the map of this part never came */
		return pages_before(first, vaddr);
	if (w.level == 3) {
		count = min(pages, (last >> 12) % ENTRIES + 1);
		if (attribute == MAP_UNCACHED)
			count = min(count, STEP_MAINTAINED);
	}
	first -= (count - 1) * bytes;
	w.entry[w.level] -= count - 1;
	for (uint64_t i = 0; i < count; i++) {
		if (attribute == MAP_UNCACHED)
			cache_clean_invalidate(w.entry[w.level][i] & DESC_ADDRESS, bytes);
		w.entry[w.level][i] = 0;
	}
	count_add(&w, (uint64_t)0 - count);
	prune(&v->arch, &w);
	tlb_invalidate(&v->arch, first, count);
	return pages_before(first, vaddr);
}

void
arch_vspace_disable(struct vspace *v)
{
	unsigned vmid = (unsigned)(v->arch.vttbr >> 48);

	for (unsigned i = 0; i < ENTRIES; i++)
		v->arch.root[i] = 0;
	if (cpu_self()->arch.vspace == &v->arch)
		vspace_load(NULL);
	if (vmid == 0)
		return;
	tlb_invalidate(&v->arch, 0, ENTRIES);
	vmid_owner[vmid] = NULL;
	v->arch.vttbr = 0;
}

bool
arch_vspace_lookup(struct vspace *v, uint64_t vaddr, paddr_t *base, unsigned *rights)
{
	struct walk w;
	uint64_t leaf, bytes;

	walk_down(&v->arch, vaddr, 3, &w);
	leaf = *w.entry[w.level];
	if ((leaf & DESC_VALID) == 0)
		return false;
	bytes = 1UL << level_shift(w.level);
	*base = (leaf & DESC_ADDRESS & ~(bytes - 1)) + (vaddr & (bytes - 1) & ~(ARCH_PAGE - 1));
	*rights = ((leaf & S2_READ) != 0 ? RIGHT_READ : 0) |
		((leaf & S2_WRITE) != 0 ? RIGHT_WRITE : 0) |
		((leaf & S2_XN) == 0 ? RIGHT_EXEC : 0);
	return true;
}
