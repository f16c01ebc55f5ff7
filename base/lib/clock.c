/* SPDX-License-Identifier: MIT */
/*
 * The counter, and its ticks as nanoseconds.
 */
#include <tessera/runtime.h>

/* CNTVOFF_EL2 is 0, so this is the counter that deadlines mean (abi.h).  The
 * ISB keeps it from being read early (DDI 0487 D11.1.2). */
uint64_t
time_ticks(void)
{
	uint64_t ticks;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) :: "memory");
	return ticks;
}

uint64_t
time_ticks_of_ns(uint64_t ns)
{
	uint64_t hz = component->timer_hz;

	return ns / 1000000000 * hz + ns % 1000000000 * hz / 1000000000;
}

uint64_t
time_ns_of_ticks(uint64_t ticks)
{
	uint64_t hz = component->timer_hz;

	return ticks / hz * 1000000000 + ticks % hz * 1000000000 / hz;
}
