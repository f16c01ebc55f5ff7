/* SPDX-License-Identifier: MIT */
/*
 * How many reports about one component go into the log: what it does is its own choice, and
 * must not drown what others say.  What is left out is counted, and said when its second is over.  Pure.
 */
#ifndef INIT_LIMIT_H
#define INIT_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* Zero at boot. */
struct report_limit {
	uint64_t window_ns;	/* when this second began */
	uint32_t said;		/* in it */
	uint32_t left_out;
};

/* May one more be said now, of `most` in a second?  False: it was counted. */
bool limit_take(struct report_limit *l, uint64_t now_ns, uint32_t most);

/* How many were left out and are to be told now; 0: none, or not yet. */
uint32_t limit_left_out(struct report_limit *l, uint64_t now_ns);

/* When limit_left_out is to be asked, in ns; UINT64_MAX: nothing was left out. */
uint64_t limit_due_ns(const struct report_limit *l);

#endif
