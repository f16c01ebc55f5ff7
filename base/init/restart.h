/* SPDX-License-Identifier: MIT */
/*
 * Restart policy: what to do about a component that ended.  Pure.
 */
#ifndef INIT_RESTART_H
#define INIT_RESTART_H

#include "conf.h"

enum ending {
	ENDED_DONE,		/* exit with status 0 */
	ENDED_FAILED,		/* a fault, or exit with another status */
	ENDED_KILLED,		/* by somebody with the authority to do it */
};

/* What is remembered about earlier endings; zero at boot. */
struct restart_history {
	uint64_t window_start_ns;
	uint32_t failures;	/* since then */
};

enum restart_verdict { RESTART_NOT, RESTART_GIVE_UP, RESTART_LATER };

/*
 * Decide at time now_ns; RESTART_LATER: not before *at_ns.  The delay doubles
 * with every failure within the policy's time (a minute if it has none), up to
 * 64 times.  Being killed by authority is not held against a component.
 */
enum restart_verdict restart_decide(const struct conf_component *policy,
    struct restart_history *history, enum ending ending, uint64_t now_ns, uint64_t *at_ns);

#endif
