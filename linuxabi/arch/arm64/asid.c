/* SPDX-License-Identifier: MIT */
/*
 * Address space identifiers, 8 or 16 bits, handed out in generations.
 *
 * mm->asid_generation holds generation << 16 | ASID.  An mm whose generation is
 * current keeps its ASID.  When the numbers run out a new generation begins: the
 * whole TLB is flushed once, and the ASIDs that CPUs are using at that moment stay
 * reserved for their owners, who may go on with them meanwhile.
 */
#include "internal.h"

enum { ASID_MAX = 1 << 16, GENERATION_SHIFT = 16 };

static spinlock_t asid_lock = SPINLOCK_INIT(105);
static uint64_t generation = 1;
static unsigned asid_count = 256, asid_next = 1;
static uint64_t used[ASID_MAX / 64];
static uint64_t active[MAX_CPUS];	/* what each CPU runs with; 0: nothing */
static uint64_t reserved[MAX_CPUS];

void
asid_init(void)
{
	if (((read_sysreg(id_aa64mmfr0_el1) >> 4) & 15) == 2)
		asid_count = ASID_MAX;
}

uint64_t
asid_of(const struct mm *mm)
{
	return mm->asid_generation & (ASID_MAX - 1);
}

static bool current_generation(uint64_t v) { return v >> GENERATION_SHIFT == generation; }

static bool
is_reserved(uint64_t old, uint64_t new_)
{
	bool hit = false;

	for (unsigned i = 0; i < MAX_CPUS; i++) {
		if (reserved[i] == old) {
			reserved[i] = new_;
			hit = true;
		}
	}
	return hit;
}

static void
new_generation(void)
{
	generation++;
	memset(used, 0, sizeof(used));
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		uint64_t a = active[i];
		unsigned n;

		if (a != 0)
			reserved[i] = a;
		n = (unsigned)(reserved[i] & (ASID_MAX - 1));
		used[n / 64] |= 1UL << (n % 64);
		active[i] = 0;
	}
	asid_next = 1;
	dsb_ishst();
	__asm__ volatile("tlbi vmalle1is" : : : "memory");
	dsb_ish();
}

static unsigned
take_number(void)
{
	for (unsigned tries = 0; tries < 2; tries++) {
		for (; asid_next < asid_count; asid_next++) {
			unsigned n = asid_next;

			if ((used[n / 64] >> (n % 64) & 1) != 0)
				continue;
			used[n / 64] |= 1UL << (n % 64);
			asid_next++;
			return n;
		}
		new_generation();
	}
	panic("no ASID is free right after a new generation");
}

static void
asid_renew(struct mm *mm)
{
	uint64_t old = mm->asid_generation, fresh = generation << GENERATION_SHIFT | (old & (ASID_MAX - 1));

	if (old != 0 && is_reserved(old, fresh)) {
		mm->asid_generation = fresh;
		return;
	}
	unsigned n = take_number();

	mm->active_cpus = 0;
	mm->asid_generation = generation << GENERATION_SHIFT | n;
}

void
mm_activate(struct mm *mm)
{
	unsigned cpu = current->cpu;
	uint64_t flags;

	if (mm == NULL) {
		mmu_user_none();	/* active[] may go on naming the last one: its ASID stays reserved */
		return;
	}
	/* active[] is 0 after a new generation: then the slow way decides. */
	if (!current_generation(mm->asid_generation) ||
	    __atomic_exchange_n(&active[cpu], mm->asid_generation, __ATOMIC_RELAXED) == 0) {
		flags = spin_lock_irqsave(&asid_lock);
		if (!current_generation(mm->asid_generation))
			asid_renew(mm);
		__atomic_store_n(&active[cpu], mm->asid_generation, __ATOMIC_RELAXED);
		spin_unlock_irqrestore(&asid_lock, flags);
	}
	if ((__atomic_load_n(&mm->active_cpus, __ATOMIC_RELAXED) >> cpu & 1) == 0) {
		__atomic_fetch_or(&mm->active_cpus, 1UL << cpu, __ATOMIC_SEQ_CST);
		dsb_ish();	/* before the first walk here: see flush_reach */
	}
	write_sysreg(ttbr0_el1, virt_to_ipa(mm->pgd) | asid_of(mm) << 48);
	isb();
}
