/* SPDX-License-Identifier: MIT */
/*
 * The vDSO's functions: they run in every program, at EL0, without a stack
 * frame worth the name, and know nothing but the data page in front of them.
 * vdso(7), "ARM functions"; the counter is read as in Arm ARM D11.2.
 */
#include <linux/time.h>
#include <linux/time_types.h>
#include <asm/unistd.h>
#include "vdso_data.h"

extern const struct vdso_data vdso_page __attribute__((visibility("hidden")));

enum { NSEC = 1000000000, CLOCKS = 1 << CLOCK_REALTIME | 1 << CLOCK_MONOTONIC | 1 << CLOCK_MONOTONIC_RAW
    | 1 << CLOCK_REALTIME_COARSE | 1 << CLOCK_MONOTONIC_COARSE | 1 << CLOCK_BOOTTIME | 1 << CLOCK_TAI,
    REAL_CLOCKS = 1 << CLOCK_REALTIME | 1 << CLOCK_REALTIME_COARSE | 1 << CLOCK_TAI };

static inline long
system_call(long nr, long a, long b)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
	return x0;
}

static inline int
ours(unsigned clock)
{
	return clock < 32 && ((unsigned)CLOCKS >> clock & 1) != 0;
}

/*
 * Nanoseconds of monotonic time, or of real time with `real`.  base_ticks and mult
 * were set before the first program and stay; what settimeofday changes is the
 * one aligned word realtime_ns, read once: seq need not be looked at.
 */
static inline uint64_t
now(unsigned real)
{
	const volatile struct vdso_data *d = &vdso_page;
	uint64_t ticks, ns;

	/* The counter must not be read ahead of what the program did before. */
	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
	ns = vdso_ticks_ns(ticks, d->base_ticks, d->mult);
	return real ? ns + d->realtime_ns : ns;
}

int
__kernel_clock_gettime(int clock, struct __kernel_timespec *t)
{
	uint64_t ns;

	if (!ours((unsigned)clock))
		return (int)system_call(__NR_clock_gettime, clock, (long)t);
	ns = now((unsigned)REAL_CLOCKS >> clock & 1);
	t->tv_sec = (long long)(ns / NSEC);
	t->tv_nsec = (long long)(ns % NSEC);
	return 0;
}

int
__kernel_gettimeofday(struct __kernel_old_timeval *t, struct timezone *zone)
{
	uint64_t ns;

	if (t != 0) {
		ns = now(1);
		t->tv_sec = (long)(ns / NSEC);
		t->tv_usec = (long)(ns % NSEC / 1000);
	}
	if (zone != 0)
		zone->tz_minuteswest = zone->tz_dsttime = 0;
	return 0;
}

int
__kernel_clock_getres(int clock, struct __kernel_timespec *t)
{
	if (!ours((unsigned)clock))
		return (int)system_call(__NR_clock_getres, clock, (long)t);
	if (t != 0) {
		t->tv_sec = 0;
		t->tv_nsec = (long long)vdso_page.resolution_ns;
	}
	return 0;
}
