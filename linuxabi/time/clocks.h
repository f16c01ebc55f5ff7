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

#endif
