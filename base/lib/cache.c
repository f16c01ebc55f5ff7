/* SPDX-License-Identifier: MIT */
/*
 * Cache maintenance that EL0 may do (SCTLR_EL1.UCI and UCT are set for
 * components).
 */
#include <tessera/runtime.h>

/* Smallest line of all data caches, CTR_EL0.DminLine (DDI 0487 D19.2.34). */
static uintptr_t
dcache_line(void)
{
	uint64_t ctr;

	__asm__("mrs %0, ctr_el0" : "=r"(ctr));
	return (uintptr_t)4 << (ctr >> 16 & 15);
}

void
dcache_clean(const void *start, size_t bytes)
{
	uintptr_t line = dcache_line();
	uintptr_t at = (uintptr_t)start & ~(line - 1), end = (uintptr_t)start + bytes;

	for (; at < end; at += line)
		__asm__ volatile("dc cvac, %0" :: "r"(at) : "memory");
	__asm__ volatile("dsb sy" ::: "memory");
}
