/* SPDX-License-Identifier: MIT */
/* Between the files of linuxabi/time: Linux's clocks by number. */
#ifndef LX_CLOCKS_H
#define LX_CLOCKS_H

#include "task.h"
#include "time.h"

long clock_read(int clock, uint64_t *ns);	/* -EINVAL: there is no such clock */
bool clock_is_real(int clock);			/* shows the time of day */
bool clock_can_wait(int clock);			/* timers and sleeps can use it */
/* The monotonic deadline of `ns` of the clock, from now on or absolute. */
uint64_t clock_deadline(int clock, uint64_t ns, bool absolute);
long get_timespec(uaddr_t, struct __kernel_timespec *);	/* -EFAULT, -EINVAL */

/* A deadline that repeats: how many periods are over at `now`, at least 1, and
 * the next deadline.  interval 0: once. */
static inline uint64_t
periods_over(uint64_t now, uint64_t *deadline, uint64_t interval)
{
	uint64_t n;

	if (interval == 0 || *deadline > now)
		return 1;
	n = (now - *deadline) / interval + 1;
	*deadline += n * interval;
	return n;
}

/*
 * A timer that repeats rests once it has fired, until the program has taken notice: read the
 * descriptor, or taken the signal.  So no period, however short, keeps a CPU in its interrupt
 * handler; what was missed is counted.  Where nobody will take notice, it goes on after this time.
 */
enum { TIMER_UNNOTICED_NS = 4000000 };

/* What is left at `now` until a resting timer's next period: never 0. */
static inline uint64_t
period_left(uint64_t now, uint64_t fired, uint64_t interval)
{
	periods_over(now, &fired, interval);
	return fired > now ? fired - now : 1;
}

#endif
