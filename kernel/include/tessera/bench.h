/* SPDX-License-Identifier: MIT */
/*
 * What system_control_bench answers (kernel/calls.def): counters for tests and
 * measurements.  Times are in ticks; the longest stretches with interrupts masked
 * are kept by debug kernels alone, others answer 0.
 */
#ifndef TESSERA_BENCH_H
#define TESSERA_BENCH_H

#include <tessera/abi.h>

enum bench_counter {
	BENCH_LONGEST,			/* of all kinds but the checker's */
	BENCH_ENTRIES,			/* into the kernel, all CPUs */
	BENCH_SWITCHES,			/* of threads */
	BENCH_LONGEST_OF = 16,		/* + kind: the longest of one kind of entry */
};

/*
 * Kinds of entries: an invocation by the type of its object, OBJ_NULL for every
 * other system call; the invariant checker runs in one of OBJ_SYSTEM_CONTROL.
 */
enum entry_kind {
	ENTRY_INTERRUPT = OBJECT_TYPES,	/* a device's */
	ENTRY_TIMER,
	ENTRY_KICK,			/* by another CPU */
	ENTRY_FAULT,
	ENTRY_WFI,
	ENTRY_KINDS
};

#endif
