/* SPDX-License-Identifier: MIT */
/*
 * The page that the vDSO reads the time from: written by linuxabi/time under its own
 * lock, read by every program.  base_ticks and mult are set before the first program
 * and stay; realtime_ns changes, as one word, so programs need not look at seq (odd
 * while a writer is at it).  time/ and the vDSO compute with vdso_ticks_ns alone, so
 * that a program never sees two clocks.
 */
#ifndef LX_VDSO_DATA_H
#define LX_VDSO_DATA_H

#include <stdint.h>

struct vdso_data {
	uint32_t seq;
	uint32_t usable;		/* 0: not set up yet, programs make the system call */
	uint64_t base_ticks;		/* CNTVCT_EL0 when CLOCK_MONOTONIC was 0 */
	uint64_t mult;			/* nanoseconds of a tick, 32.32 fixed point */
	uint64_t realtime_ns;		/* CLOCK_REALTIME - CLOCK_MONOTONIC */
	uint64_t resolution_ns;		/* of clock_getres */
};

static inline uint64_t
vdso_ticks_ns(uint64_t ticks, uint64_t base_ticks, uint64_t mult)
{
	return (uint64_t)((unsigned __int128)(ticks - base_ticks) * mult >> 32);
}

extern struct vdso_data *const vdso_data;	/* kernel's view; vdso/vdso.c */

#endif
