/* SPDX-License-Identifier: MIT */
/*
 * Page tables of programs (TTBR0): four levels of 4 KiB tables, 48 bits.
 * mm->lock is held by every caller.  Arm ARM DDI 0487 D8.3 (formats), D8.14 (TLB
 * maintenance and break-before-make).
 *
 * Entries are made with the access flag set; dirty and copy-on-write are software
 * bits.  PROT_NONE keeps the address in an entry that the hardware finds invalid.
 */
#include "internal.h"

#define P_VALID		1UL
#define P_PAGE		3UL
#define P_USER		(1UL << 6)
#define P_RO		(1UL << 7)
#define P_SH_INNER	(3UL << 8)
#define P_AF		(1UL << 10)
#define P_NG		(1UL << 11)
#define P_PXN		(1UL << 53)
#define P_UXN		(1UL << 54)
#define P_DIRTY		(1UL << 55)	/* 58:55 are software's */
#define P_SPECIAL	(1UL << 56)
#define P_COW		(1UL << 57)
#define P_NONE		(1UL << 58)
#define P_SOFT_WRITE	(1UL << 59)	/* of a P_NONE entry; bits 63:59 are ignored in invalid ones */
#define P_SOFT_EXEC	(1UL << 60)
#define P_SOFT_READ	(1UL << 61)
#define P_ADDRESS	0x0000fffffffff000UL

enum { LEVEL_BITS = 9, ENTRIES = 512, FLUSH_SINGLE = 64 };

static uint64_t
encode(struct pte p)
{
	uint64_t d = p.page & P_ADDRESS;

	if (p.flags == 0)
		return 0;
	if ((p.flags & PTE_DIRTY) != 0)
		d |= P_DIRTY;
	if ((p.flags & PTE_SPECIAL) != 0)
		d |= P_SPECIAL;
	if ((p.flags & PTE_COW) != 0)
		d |= P_COW;
	if ((p.flags & PTE_NONE) != 0 || (p.flags & (PTE_READ | PTE_WRITE | PTE_EXEC)) == 0) {
		d |= P_NONE;
		d |= (p.flags & PTE_READ) != 0 ? P_SOFT_READ : 0;
		d |= (p.flags & PTE_WRITE) != 0 ? P_SOFT_WRITE : 0;
		return d | ((p.flags & PTE_EXEC) != 0 ? P_SOFT_EXEC : 0);
	}
	d |= P_PAGE | P_USER | P_SH_INNER | P_AF | P_NG | P_PXN;
	if ((p.flags & PTE_WRITE) == 0)
		d |= P_RO;
	if ((p.flags & PTE_EXEC) == 0)
		d |= P_UXN;
	return d;
}

static struct pte
decode(uint64_t d)
{
	struct pte p = { .page = d & P_ADDRESS, .flags = 0 };

	if (d == 0)
		return p;
	if ((d & P_DIRTY) != 0)
		p.flags |= PTE_DIRTY;
	if ((d & P_SPECIAL) != 0)
		p.flags |= PTE_SPECIAL;
	if ((d & P_COW) != 0)
		p.flags |= PTE_COW;
	if ((d & P_VALID) == 0) {
		p.flags |= PTE_NONE;
		p.flags |= (d & P_SOFT_READ) != 0 ? PTE_READ : 0;
		p.flags |= (d & P_SOFT_WRITE) != 0 ? PTE_WRITE : 0;
		p.flags |= (d & P_SOFT_EXEC) != 0 ? PTE_EXEC : 0;
		return p;
	}
	p.flags |= PTE_READ | PTE_YOUNG;
	if ((d & P_RO) == 0)
		p.flags |= PTE_WRITE;
	if ((d & P_UXN) == 0)
		p.flags |= PTE_EXEC;
	return p;
}

static unsigned
level_index(uaddr_t a, unsigned level)
{
	return (unsigned)(a >> (PAGE_SHIFT + LEVEL_BITS * (3 - level))) & (ENTRIES - 1);
}

static uint64_t *
table_alloc(struct mm *mm)
{
	struct page *p = page_alloc(PG_ZERO | PG_NOFAIL_KERNEL);

	if (p == NULL)
		return NULL;
	p->flags |= PGF_TABLE;
	p->private_ = (uint64_t)mm->tables;
	mm->tables = p;
	mm->table_pages++;
	pages_account(PAGES_TABLES, 1);
	return page_virt(p);
}

static uint64_t *
next_table(uint64_t entry)
{
	return entry == 0 ? NULL : ipa_to_virt(entry & P_ADDRESS);
}

/* The level-3 table that covers the address; create: make what is missing. */
static uint64_t *
leaf_table(struct mm *mm, uaddr_t a, bool create)
{
	uint64_t *t = mm->pgd;

	for (unsigned level = 0; level < 3; level++) {
		uint64_t *entry = &t[level_index(a, level)], *next = next_table(*entry);

		if (next == NULL) {
			if (!create)
				return NULL;
			next = table_alloc(mm);
			if (next == NULL)
				return NULL;
			/* The zeros must be visible before the walker can come here. */
			dsb_ishst();
			WRITE_ONCE(*entry, virt_to_ipa(next) | 3);
		}
		t = next;
	}
	return t;
}

int
pgtable_create(struct mm *mm)
{
	mm->pgd = table_alloc(mm);
	return mm->pgd == NULL ? -ENOMEM : 0;
}

/* Tables are chained as they are made, so that nobody has to look for them. */
void
pgtable_destroy(struct mm *mm)
{
	arch_tlb_flush_mm(mm);
	while (mm->tables != NULL) {
		struct page *p = mm->tables;

		mm->tables = (struct page *)p->private_;
		p->flags &= (uint16_t)~PGF_TABLE;
		page_put(p);
	}
	pages_account(PAGES_TABLES, -(long)mm->table_pages);
	mm->table_pages = 0;
	mm->pgd = NULL;
}

/* ---- TLB ---- */

/*
 * Who may hold entries of this space: the CPUs that have run it under its present
 * ASID (mm->active_cpus, set by mm_activate before the tables are in use there).
 * If that is this CPU alone, nothing is broadcast: a broadcast stops every VCPU.
 */
enum reach { REACH_NONE, REACH_LOCAL, REACH_ALL };

static enum reach
flush_reach(const struct mm *mm)
{
	uint64_t cpus;

	/* The new entry must be visible before the mask is read: a CPU that sets its
	 * bit after that finds the new entry (partner: mm_activate). */
	__asm__ volatile("dsb ish" : : : "memory");
	cpus = __atomic_load_n(&mm->active_cpus, __ATOMIC_RELAXED);
	if (cpus == 0 || asid_of(mm) == 0)
		return REACH_NONE;
	return cpus == 1UL << cpu_id() ? REACH_LOCAL : REACH_ALL;
}

static void
flush_entry(const struct mm *mm, uaddr_t a, enum reach reach)
{
	uint64_t what = asid_of(mm) << 48 | (a >> PAGE_SHIFT & 0xfffffffffffUL);

	if (reach == REACH_LOCAL)
		__asm__ volatile("tlbi vale1, %0" : : "r"(what) : "memory");
	else if (reach == REACH_ALL)
		__asm__ volatile("tlbi vale1is, %0" : : "r"(what) : "memory");
}

static void
flush_done(enum reach reach)
{
	if (reach == REACH_LOCAL)
		__asm__ volatile("dsb nsh" : : : "memory");
	else if (reach == REACH_ALL)
		dsb_ish();
}

static void
flush_page(const struct mm *mm, uaddr_t a)
{
	enum reach reach = flush_reach(mm);

	flush_entry(mm, a, reach);
	flush_done(reach);
}

void
arch_tlb_flush_mm(struct mm *mm)
{
	enum reach reach = flush_reach(mm);
	uint64_t asid = asid_of(mm) << 48;

	if (reach == REACH_LOCAL)
		__asm__ volatile("tlbi aside1, %0" : : "r"(asid) : "memory");
	else if (reach == REACH_ALL)
		__asm__ volatile("tlbi aside1is, %0" : : "r"(asid) : "memory");
	flush_done(reach);
}

/* What a walk changed: few entries are flushed singly, many all at once. */
struct flush {
	struct mm *mm;
	unsigned count;
	uaddr_t addr[FLUSH_SINGLE];
};

static void
flush_add(struct flush *f, uaddr_t a)
{
	if (f->count < FLUSH_SINGLE)
		f->addr[f->count] = a;
	f->count++;
}

static void
flush_finish(struct flush *f)
{
	enum reach reach;

	if (f->count == 0)
		return;
	if (f->count > FLUSH_SINGLE) {
		arch_tlb_flush_mm(f->mm);
		return;
	}
	reach = flush_reach(f->mm);
	for (unsigned i = 0; i < f->count; i++)
		flush_entry(f->mm, f->addr[i], reach);
	flush_done(reach);
}

/* ---- single entries ---- */

struct pte
pgtable_get(struct mm *mm, uaddr_t a)
{
	uint64_t *t = leaf_table(mm, a, false);

	return decode(t == NULL ? 0 : READ_ONCE(t[level_index(a, 3)]));
}

int
pgtable_set(struct mm *mm, uaddr_t a, struct pte p)
{
	uint64_t *t = leaf_table(mm, a, true), *entry, old, fresh = encode(p);

	if (t == NULL)
		return -ENOMEM;
	entry = &t[level_index(a, 3)];
	old = *entry;
	if ((old & P_VALID) == 0) {
		WRITE_ONCE(*entry, fresh);
		dsb_ishst();
		return 0;
	}
	/* Another page behind a valid entry: break before make. */
	if ((fresh & P_VALID) != 0 && ((old ^ fresh) & P_ADDRESS) != 0) {
		WRITE_ONCE(*entry, 0);
		flush_page(mm, a);
		WRITE_ONCE(*entry, fresh);
		dsb_ishst();
		return 0;
	}
	WRITE_ONCE(*entry, fresh);
	flush_page(mm, a);
	return 0;
}

struct pte
pgtable_clear(struct mm *mm, uaddr_t a)
{
	uint64_t *t = leaf_table(mm, a, false), old;

	if (t == NULL)
		return decode(0);
	old = t[level_index(a, 3)];
	WRITE_ONCE(t[level_index(a, 3)], 0);
	if ((old & P_VALID) != 0)
		flush_page(mm, a);
	return decode(old);
}

uint64_t
pgtable_fill(struct mm *mm, uaddr_t a, unsigned count, const struct pte *want)
{
	uint64_t set = 0, *t = NULL;

	for (unsigned i = 0; i < count; i++, a += PAGE_SIZE) {
		unsigned index = level_index(a, 3);

		if (want[i].flags == 0)
			continue;
		if (t == NULL || index == 0)
			t = leaf_table(mm, a, true);
		if (t == NULL)
			break;
		if (t[index] != 0)
			continue;
		WRITE_ONCE(t[index], encode(want[i]));
		set |= 1UL << i;
	}
	dsb_ishst();
	return set;
}

/* ---- ranges ---- */

static uaddr_t
level_end(uaddr_t a, unsigned level)
{
	uint64_t size = 1UL << (PAGE_SHIFT + LEVEL_BITS * (3 - level));

	return (a & ~(size - 1)) + size;
}

/* The next leaf table at or after *a, before end; *a moves over holes. */
static uint64_t *
next_leaf(struct mm *mm, uaddr_t *a, uaddr_t end)
{
	while (*a < end) {
		uint64_t *t = mm->pgd;
		unsigned level = 0;

		for (; level < 3; level++) {
			t = next_table(t[level_index(*a, level)]);
			if (t == NULL)
				break;
		}
		if (t != NULL)
			return t;
		*a = level_end(*a, level);
	}
	return NULL;
}

void
pgtable_walk(struct mm *mm, uaddr_t start, uaddr_t end,
    void (*fn)(void *arg, uaddr_t, struct pte *), void *arg)
{
	struct flush flush = { .mm = mm, .count = 0 };
	uaddr_t a = start;
	uint64_t *t;

	while ((t = next_leaf(mm, &a, end)) != NULL) {
		uaddr_t stop = min(end, level_end(a, 2));

		for (; a < stop; a += PAGE_SIZE) {
			uint64_t *entry = &t[level_index(a, 3)], old = *entry, fresh;
			struct pte p;

			if (old == 0)
				continue;
			p = decode(old);
			fn(arg, a, &p);
			fresh = encode(p);
			if (fresh == old)
				continue;
			WRITE_ONCE(*entry, fresh);
			if ((old & P_VALID) != 0)
				flush_add(&flush, a);
		}
	}
	flush_finish(&flush);
}

int
pgtable_copy(struct mm *child, struct mm *parent, uaddr_t start, uaddr_t end,
    unsigned (*fn)(void *arg, uaddr_t, struct pte *), void *arg)
{
	struct flush flush = { .mm = parent, .count = 0 };
	uaddr_t a = start;
	uint64_t *t;
	int error = 0;

	while ((t = next_leaf(parent, &a, end)) != NULL) {
		uaddr_t stop = min(end, level_end(a, 2));
		uint64_t *to = NULL;

		for (; a < stop; a += PAGE_SIZE) {
			unsigned index = level_index(a, 3), flags;
			uint64_t old = t[index], fresh;
			struct pte p;

			if (old == 0)
				continue;
			if (to == NULL)
				to = leaf_table(child, a, true);
			if (to == NULL) {
				error = -ENOMEM;
				goto out;
			}
			p = decode(old);
			flags = fn(arg, a, &p);
			fresh = encode(p);
			if (fresh != old) {
				WRITE_ONCE(t[index], fresh);
				if ((old & P_VALID) != 0)
					flush_add(&flush, a);
			}
			p.flags = flags;
			to[index] = encode(p);
		}
	}
out:
	flush_finish(&flush);
	dsb_ishst();
	return error;
}

/*
 * What fork and the end of a program do to every page, without a call for each.
 * PTE_SPECIAL entries have no struct page.
 */
int
pgtable_fork(struct mm *child, struct mm *parent, uaddr_t start, uaddr_t end, struct pgtable_counts *count)
{
	bool changed = false;
	uaddr_t a = start;
	uint64_t *t;
	int error = 0;

	while (error == 0 && (t = next_leaf(parent, &a, end)) != NULL) {
		uint64_t *from = &t[level_index(a, 3)], *to = NULL, *stop;
		uint64_t *base = from;

		stop = from + ((min(end, level_end(a, 2)) - a) >> PAGE_SHIFT);
		for (; from < stop; from++) {
			uint64_t old = *from, fresh = old;
			struct page *p;

			if (old == 0)
				continue;
			if (to == NULL) {
				to = leaf_table(child, a, true);
				if (to == NULL) {
					error = -ENOMEM;
					break;
				}
				to += level_index(a, 3);
			}
			if ((old & P_SPECIAL) == 0) {
				p = ipa_to_page(old & P_ADDRESS);
				__atomic_fetch_add(&p->refs.n, 1, __ATOMIC_RELAXED);
				if (p->flags & PGF_ANON)
					count->anon++;
				else
					count->file++;
			}
			if ((old & (P_VALID | P_RO)) == P_VALID) {
				fresh = (old | P_RO) & ~P_DIRTY;
				WRITE_ONCE(*from, fresh);
				changed = true;
			} else if ((old & (P_VALID | P_SOFT_WRITE)) == P_SOFT_WRITE) {
				fresh = old & ~(P_SOFT_WRITE | P_DIRTY);
				*from = fresh;
			}
			to[from - base] = fresh;
		}
		a += (uaddr_t)(stop - base) << PAGE_SHIFT;
	}
	if (changed)
		arch_tlb_flush_mm(parent);
	dsb_ishst();
	return error;
}

/* Only for a space that one thread uses at most: pages are freed before the flush. */
void
pgtable_zap(struct mm *mm, uaddr_t start, uaddr_t end, struct pgtable_counts *count)
{
	struct page *own[32];
	unsigned owned = 0;
	bool changed = false;
	uaddr_t a = start;
	uint64_t *t;

	while ((t = next_leaf(mm, &a, end)) != NULL) {
		uint64_t *entry = &t[level_index(a, 3)];
		uaddr_t stop_at = min(end, level_end(a, 2));
		uint64_t *stop = entry + ((stop_at - a) >> PAGE_SHIFT);

		for (; entry < stop; entry++) {
			uint64_t old = *entry;
			struct page *p;

			if (old == 0)
				continue;
			*entry = 0;
			changed = true;
			if ((old & P_SPECIAL) != 0)
				continue;
			p = ipa_to_page(old & P_ADDRESS);
			if ((p->flags & PGF_ANON) == 0) {
				count->file++;
				page_put(p);
				continue;
			}
			count->anon++;
			/* The last one: with mm->lock held nobody can come to it any more. */
			if (__atomic_load_n(&p->refs.n, __ATOMIC_ACQUIRE) != 1 && !ref_put(&p->refs))
				continue;
			own[owned++] = p;
			if (owned == ARRAY_LEN(own)) {
				pages_free_batch(own, owned);
				owned = 0;
			}
		}
		a = stop_at;
	}
	if (owned != 0)
		pages_free_batch(own, owned);
	if (changed)
		arch_tlb_flush_mm(mm);
}

/* CTR_EL0.IDC and DIC say what need not be done (D7.5.7). */
void
arch_sync_icache(void *virt, size_t len)
{
	uint64_t ctr = read_sysreg(ctr_el0);
	uint64_t dline = 4UL << ((ctr >> 16) & 15), iline = 4UL << (ctr & 15), a;

	if ((ctr >> 28 & 1) == 0) {
		for (a = (uint64_t)virt & ~(dline - 1); a < (uint64_t)virt + len; a += dline)
			__asm__ volatile("dc cvau, %0" : : "r"(a) : "memory");
	}
	dsb_ish();
	if ((ctr >> 29 & 1) == 0) {
		/* By address alone is not enough where the cache is aliasing (VIPT). */
		if ((ctr >> 14 & 3) == 3) {
			for (a = (uint64_t)virt & ~(iline - 1); a < (uint64_t)virt + len; a += iline)
				__asm__ volatile("ic ivau, %0" : : "r"(a) : "memory");
		} else {
			__asm__ volatile("ic ialluis" : : : "memory");
		}
	}
	dsb_ish();
	isb();
}
