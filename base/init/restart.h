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

/*
 * Who ended waits until servers have let go of its memory, and init, which is above all of them,
 * looks whether they have.  It looks so seldom that most of the time is theirs: where
 * a look, or the timer before it, costs more than the first pause, they would not get on at all.
 * Until the next look, when it has lasted for waited_ns; what comes in between is seen at
 * most a quarter of the wait too late.
 */
enum { STOPPING_LOOK_NS = 200000, STOPPING_SHARE = 4 };
uint64_t stopping_pause_ns(uint64_t waited_ns);

#endif
