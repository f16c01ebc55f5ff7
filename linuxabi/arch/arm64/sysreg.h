/* SPDX-License-Identifier: MIT */
/* System registers, barriers and cache operations for arch/arm64. */
#ifndef LX_SYSREG_H
#define LX_SYSREG_H

#include "types.h"

#define read_sysreg(name) ({ uint64_t v_; __asm__ volatile("mrs %0, " #name : "=r"(v_)); v_; })
#define write_sysreg(name, value) do { \
	uint64_t v_ = (value); __asm__ volatile("msr " #name ", %0" : : "r"(v_) : "memory"); } while (0)

/* Names that an ARMv8.0 assembler does not know. */
#define ICC_IAR1	S3_0_C12_C12_0
#define ICC_EOIR1	S3_0_C12_C12_1
#define ICC_PMR		S3_0_C4_C6_0
#define ICC_SRE		S3_0_C12_C12_5
#define ICC_IGRPEN1	S3_0_C12_C12_7
#define ICC_CTLR	S3_0_C12_C12_4

static inline void isb(void) { __asm__ volatile("isb" : : : "memory"); }
static inline void dsb_ish(void) { __asm__ volatile("dsb ish" : : : "memory"); }
static inline void dsb_ishst(void) { __asm__ volatile("dsb ishst" : : : "memory"); }

static inline uint64_t
cache_line(void)		/* smallest data cache line, bytes (CTR_EL0.DminLine) */
{
	return 4UL << ((read_sysreg(ctr_el0) >> 16) & 15);
}

static inline void
dcache_clean_invalidate(const void *p, size_t n)
{
	uint64_t line = cache_line();

	for (uint64_t a = (uint64_t)p & ~(line - 1); a < (uint64_t)p + n; a += line)
		__asm__ volatile("dc civac, %0" : : "r"(a) : "memory");
	__asm__ volatile("dsb sy" : : : "memory");
}

#endif
