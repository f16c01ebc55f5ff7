/* SPDX-License-Identifier: MIT */
/*
 * The inlines of kernel/arch.h for arm64's device drivers on the build host.
 * Time passes with each look at the clock.
 */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#define dsb_sy real_dsb_sy
#include "../../../../arch/arm64/include/arch/sysreg.h"
#undef dsb_sy
#undef sysreg_read
#define sysreg_read(name) MODEL_TICKS	/* cntfrq_el0: all that they read */

enum { RAM_BYTES = 16 << 20, MODEL_TICKS = 10000 };
#define RAM_BASE 0x40000000ull

extern uint8_t *ram;			/* as the CPU sees it */
extern uint64_t model_now;

static inline void dsb_sy(void) { }
static inline uint64_t arch_now(void) { return model_now++; }
static inline void *phys_to_kernel(uint64_t pa) { return ram + (pa - RAM_BASE); }
static inline uint64_t kernel_to_phys(const void *p) { return (uint64_t)((const uint8_t *)p - ram) + RAM_BASE; }

#endif
