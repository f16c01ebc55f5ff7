/* SPDX-License-Identifier: MIT */
/*
 * Measured loops, in assembly so that their own instructions can be counted.
 * USER_* is how many instructions one round executes outside of the kernel,
 * system calls included.  Sums are in ticks of CNTPCT_EL0; a pair of counter
 * readings that encloses a path also encloses GAP_* instructions of the user.
 */
#ifndef LOOPS_H
#define LOOPS_H

#include <stdint.h>

enum {
	USER_CALL = 7 + 6,	/* bench_call and bench_server */
	USER_FAULT = 3 + 10,	/* bench_faulter and bench_pager; the faulting load counts */
	USER_EMPTY = 2,
	USER_SIGNAL = 6, USER_POLL = 6, USER_YIELD = 4,
	GAP_WAKE = 4,		/* str, mov, mov, svc in bench_signaller */
	GAP_IRQ = 2,		/* str, str in bench_trigger */
};

/* rounds of call on ep with info; the server answers with what it got. */
void bench_call(uint64_t ep, uint64_t info, uint64_t rounds);
void bench_server(uint64_t ep, uint64_t reply);
void bench_empty(uint64_t rounds);
void bench_signal(uint64_t slot, uint64_t rounds);
void bench_poll(uint64_t slot, uint64_t rounds);
void bench_yield(uint64_t rounds);

/* Access an unmapped address again and again; the pager skips the load and
 * counts in the first word of the shared page. */
void bench_faulter(uint64_t address, uint64_t arg2);
void bench_pager(uint64_t ep, uint64_t reply);

/* One measured event each: the time before it goes to *stamp. */
void bench_signaller(uint64_t slot, volatile uint64_t *stamp, uint64_t delay);
void bench_trigger(volatile uint32_t *reg, uint32_t value, volatile uint64_t *stamp, uint64_t delay);
/* Wait on slot and return the time right after. */
uint64_t bench_wait(uint64_t slot);

/* In a personality: HVC instead of SVC. */
void bench_signal_hvc(uint64_t slot, uint64_t rounds);
void bench_poll_hvc(uint64_t slot, uint64_t rounds);

#endif
