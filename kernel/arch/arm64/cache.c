/* SPDX-License-Identifier: MIT */
/*
 * Cache maintenance by address (Arm ARM DDI 0487 D7.5) and clearing memory for
 * a new owner.  All of it works on identity-mapped physical addresses.
 */
#include "arch_arm64.h"

static uint64_t dcache_line = 64, icache_line = 64;
static uint64_t zva_bytes;		/* 0: DC ZVA is prohibited */
static bool dcache_to_pou_needed = true, icache_to_pou_needed = true;

/* CTR_EL0 (D19.2.34): line sizes in words, IDC and DIC; DCZID_EL0 (D19.2.37). */
void
cache_init(void)
{
	uint64_t ctr = sysreg_read("ctr_el0");
	uint64_t dczid = sysreg_read("dczid_el0");

	dcache_line = 4UL << ((ctr >> 16) & 0xf);
	icache_line = 4UL << (ctr & 0xf);
	dcache_to_pou_needed = (ctr & (1UL << 28)) == 0;
	icache_to_pou_needed = (ctr & (1UL << 29)) == 0;
	zva_bytes = (dczid & 0x10) != 0 ? 0 : 4UL << (dczid & 0xf);
}

void
cache_clean_invalidate(paddr_t pa, uint64_t size)
{
	for (uint64_t line = pa & ~(dcache_line - 1); line < pa + size; line += dcache_line)
		__asm__ volatile("dc civac, %0" : : "r"(line) : "memory");
	dsb_sy();
}

/*
 * What the CPU wrote at start is seen by a device, and what a device wrote by
 * the CPU, before what follows: a device that does not see the caches gets it
 * cleaned to the point of coherency (D7.5.9).  NONCOHERENT=1 builds a kernel
 * that takes every device for one of these.
 */
void
dma_sync(const volatile void *start, uint64_t bytes, bool coherent)
{
#ifdef FORCE_NONCOHERENT
	coherent = false;
#endif
	if (coherent)
		dsb_sy();
	else
		cache_clean_invalidate((paddr_t)start, bytes);
}

/*
 * Zero whole pages and push the zeros out to the point of coherency: the next
 * owner may map them non-cacheable and must not see what was there (DESIGN
 * 3.1).  One pass per line, so that the line is still in the cache when it is
 * cleaned.
 */
void
arch_clear_memory(paddr_t pa, uint64_t size)
{
	uint64_t end = pa + size;

	if (zva_bytes == 0 || zva_bytes < dcache_line) {
		for (uint64_t *word = (uint64_t *)pa; (uint64_t)word < end; word++)
			*word = 0;
		cache_clean_invalidate(pa, size);
		return;
	}
	while (pa < end) {
		uint64_t line = pa;

		__asm__ volatile("dc zva, %0" : : "r"(pa) : "memory");
		pa += zva_bytes;
		for (; line < pa; line += dcache_line)
			__asm__ volatile("dc civac, %0" : : "r"(line) : "memory");
	}
	dsb_sy();
}

/* Both caches may need it (CTR_EL0.IDC and DIC). */
bool
cache_needs_clean_for_exec(void)
{
	return dcache_to_pou_needed || icache_to_pou_needed;
}

/* Make code visible to instruction fetch on all CPUs (Arm ARM D7.5.9.4, B2.4.4). */
void
cache_make_executable(paddr_t pa, uint64_t size)
{
	if (dcache_to_pou_needed)
		for (uint64_t line = pa & ~(dcache_line - 1); line < pa + size; line += dcache_line)
			__asm__ volatile("dc cvau, %0" : : "r"(line) : "memory");
	dsb_ish();
	/* Instruction caches may be indexed by virtual addresses, so all of them. */
	if (icache_to_pou_needed)
		__asm__ volatile("ic ialluis" : : : "memory");
	dsb_ish();
	isb();
}
