/* SPDX-License-Identifier: MIT */
/*
 * Clocks: the generic timer's counter, scaled to nanoseconds by a multiplication,
 * and the offset of the wall clock.  vDSO programs do the same sum from
 * struct vdso_data (vdso_data.h), which is published here.
 */
#include <proto/world.h>

#include "time.h"
#include "vdso_data.h"

static uint64_t base_ticks, hz, mult, boot_ticks;
static uint64_t ticks_mult;		/* ticks of a nanosecond, 32.32 fixed point */
static uint64_t wall_offset;		/* realtime - monotonic, ns; clock_lock */
static spinlock_t clock_lock = SPINLOCK_INIT(95);

uint64_t clock_hz(void) { return hz; }

uint64_t clock_monotonic(void) { return vdso_ticks_ns(clock_ticks(), base_ticks, mult); }
uint64_t uptime_boot_ns(void) { return vdso_ticks_ns(clock_ticks(), boot_ticks, mult); }
uint64_t clock_realtime(void) { return clock_monotonic() + READ_ONCE(wall_offset); }

/*
 * The counter when CLOCK_MONOTONIC shows ns.  What is left until then is scaled,
 * so that a rounded factor does no harm; a tick is added, since no timer may fire
 * early, and one that is far away and does is simply programmed again.
 */
uint64_t
clock_to_ticks(uint64_t ns)
{
	uint64_t now = clock_ticks(), now_ns = vdso_ticks_ns(now, base_ticks, mult);

	if (ns <= now_ns)
		return now;
	if (ns >= UINT64_MAX >> 2)
		return UINT64_MAX;
	return now + (uint64_t)((unsigned __int128)(ns - now_ns) * ticks_mult >> 32) + 1;
}

/* An odd sequence: it is being written, readers wait. */
static void
publish(void)
{
	struct vdso_data *d = vdso_data;

	__atomic_store_n(&d->seq, d->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	d->base_ticks = base_ticks;
	d->mult = mult;
	d->realtime_ns = wall_offset;
	d->resolution_ns = (1000000000UL + hz - 1) / hz;
	d->usable = 1;
	__atomic_store_n(&d->seq, d->seq + 1, __ATOMIC_RELEASE);
}

void
clock_set_realtime(uint64_t ns)
{
	uint64_t flags = spin_lock_irqsave(&clock_lock);

	wall_offset = ns - clock_monotonic();
	publish();
	spin_unlock_irqrestore(&clock_lock, flags);
}

void
clock_init(const struct world_info *w)
{
	hz = w->timer_hz;
	mult = ((1000000000UL << 32) + hz / 2) / hz;
	ticks_mult = (hz << 32) / 1000000000UL;
	base_ticks = clock_ticks();
	boot_ticks = w->boot_ticks != 0 ? w->boot_ticks : base_ticks;
	if (w->wall_time_ns != 0)
		wall_offset = w->wall_time_ns + vdso_ticks_ns(base_ticks, w->wall_time_ticks, mult);
	publish();
}

bool
timespec_valid(const struct __kernel_timespec *t)
{
	return t->tv_sec >= 0 && t->tv_nsec >= 0 && t->tv_nsec < 1000000000;
}

struct __kernel_timespec
ns_timespec(uint64_t ns)
{
	return (struct __kernel_timespec){ (int64_t)(ns / 1000000000), (int64_t)(ns % 1000000000) };
}
