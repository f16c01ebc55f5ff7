/* SPDX-License-Identifier: MIT */
/*
 * The inlines that kernel/arch.h promises.  Included by it, after the objects
 * are declared.
 */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <arch/sysreg.h>

static inline struct cpu *
cpu_self(void)
{
	return (struct cpu *)sysreg_read("tpidr_el2");
}

/* CNTPCT_EL0 may be read early; the ISB keeps it behind what came before
 * (Arm ARM DDI 0487 L.b D12.2.1). */
static inline uint64_t
arch_now(void)
{
	isb();
	return sysreg_read("cntpct_el0");
}

bool arch_interrupt_pending(void);

/* Inside the 39 bits of a stage 2, and not the page at 0. */
static inline bool
arch_vspace_range_ok(uint64_t vaddr, uint64_t bytes)
{
	return vaddr >= 4096 && bytes <= (1UL << 39) && vaddr <= (1UL << 39) - bytes;
}

/* RAM is mapped one to one (mmu.c). */
static inline void *
phys_to_kernel(paddr_t pa)
{
	return (void *)pa;
}

static inline paddr_t
kernel_to_phys(const void *p)
{
	return (paddr_t)p;
}

bool kernel_lock_held(void);

/* The first word of the message that a fast path moves (fastpath.c leaves x2 alone). */
static inline uint64_t
fastpath_word0(void)
{
	uint64_t word;

	__asm__ volatile("mov %0, x2" : "=r"(word));
	return word;
}

#endif
