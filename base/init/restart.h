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
	uint64_t born_ns;	/* when this life began */
	uint64_t pause_ns;	/* and how long after the last one's end that was */
	uint32_t row;		/* kills of lives that were short, one after the other */
	uint32_t spaced;	/* those of them that had to wait */
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
 * Kills in a row of a file server are spaced.  What a client wants is done by one that lives as long as
 * taking over from its last life needs; one that is killed again each time it has just been
 * built would never do it.  RESTART_KILLS_AT_ONCE of a row happen at once, whatever they hit; the one
 * behind them waits until the life has lasted as long as it took to build.  Then the same again, but
 * for twice as long, four times ..., RESTART_SPACE_MOST_NS at most.  A life of RESTART_SETTLED_NS, and twice
 * what the last one was given, ends the row.
 */
enum { RESTART_KILLS_AT_ONCE = 4 };
#define RESTART_SETTLED_NS	1000000000ULL
#define RESTART_SPACE_MOST_NS	4000000000ULL
/* It runs, pause_ns after its last life's end (0: its first). */
void restart_born(struct restart_history *history, uint64_t now_ns, uint64_t pause_ns);
/* When it may be killed: not before, if that is later than now. */
uint64_t restart_kill_at(const struct restart_history *history);
/* It is killed. */
void restart_killed(struct restart_history *history, uint64_t now_ns);

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
