/* SPDX-License-Identifier: MIT */
/*
 * Clocks and timers.  Owner: linuxabi/time.  Times in nanoseconds, UINT64_MAX = never.
 */
#ifndef LX_TIME_H
#define LX_TIME_H

#include <linux/time_types.h>
#include "heap.h"
#include "kernel.h"

uint64_t clock_ticks(void);		/* CNTVCT_EL0 */
uint64_t clock_hz(void);
uint64_t clock_monotonic(void);		/* since boot of the world; also BOOTTIME */
uint64_t clock_realtime(void);		/* since 1970 */
void clock_set_realtime(uint64_t ns);	/* settimeofday; updates the vDSO page */
struct world_info;
void clock_init(const struct world_info *);
uint64_t clock_to_ticks(uint64_t monotonic_ns);	/* the counter at that time */
uint64_t uptime_boot_ns(void);		/* since the machine's loader started */

static inline uint64_t timespec_ns(const struct __kernel_timespec *t)	/* saturates; caller checked it */
{
	return (uint64_t)t->tv_sec >= 18000000000ULL ? UINT64_MAX - 1
	    : (uint64_t)t->tv_sec * 1000000000ULL + (uint64_t)t->tv_nsec;
}
bool timespec_valid(const struct __kernel_timespec *);
struct __kernel_timespec ns_timespec(uint64_t ns);

/* One-shot timer, fn runs in interrupt context on the CPU that started it.
 * The function may start it again. */
struct timer {
	uint64_t expires;		/* CLOCK_MONOTONIC */
	void (*fn)(struct timer *);
	struct heap_node node;
	int cpu;			/* -1: not queued */
};
void timer_init(struct timer *, void (*fn)(struct timer *));
void timer_start(struct timer *, uint64_t expires_ns);	/* moves it if queued */
bool timer_cancel(struct timer *);	/* true: was queued and will not run */
void timer_cancel_sync(struct timer *);	/* also waits until a running fn has returned */

/* Sleep until the deadline; 0 or -ERESTARTSYS. */
long sleep_until(uint64_t deadline_ns);

/* /proc/tessera/boot (time/boot.c): init once procfs is there, end when the first program starts. */
struct world_info;
void boot_stages_init(const struct world_info *);
void boot_stages_end(void);

/* /proc/tessera/memory (proc/memory.c). */
void memory_usage_init(const struct world_info *);
void capabilities_init(const struct world_info *);	/* proc/capabilities.c */

#endif
