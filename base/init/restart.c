/* SPDX-License-Identifier: MIT */
/*
 * Restart policy: limits and back-off.  And how often to look whether one that ended is gone.
 */
#include "restart.h"

enum { MAX_DOUBLINGS = 6, MAX_SPACE_DOUBLINGS = 20 };
static const uint64_t DEFAULT_WINDOW_NS = 60000000000;

static bool
wants_restart(const struct conf_component *policy, enum ending ending)
{
	if (policy->restart == RESTART_ALWAYS)
		return true;
	return policy->restart == RESTART_ON_FAILURE && ending != ENDED_DONE;
}

enum restart_verdict
restart_decide(const struct conf_component *policy, struct restart_history *history,
    enum ending ending, uint64_t now_ns, uint64_t *at_ns)
{
	uint64_t window = policy->limit != 0 ? policy->limit_ns : DEFAULT_WINDOW_NS;
	uint32_t doublings;

	if (!wants_restart(policy, ending))
		return RESTART_NOT;
	if (ending == ENDED_KILLED) {
		*at_ns = now_ns;
		return RESTART_LATER;
	}
	if (history->failures == 0 || now_ns - history->window_start_ns > window) {
		history->window_start_ns = now_ns;
		history->failures = 0;
	}
	if (policy->limit != 0 && history->failures == policy->limit)
		return RESTART_GIVE_UP;
	doublings = history->failures < MAX_DOUBLINGS ? history->failures : MAX_DOUBLINGS;
	history->failures++;
	*at_ns = now_ns + (policy->delay_ns << doublings);
	return RESTART_LATER;
}

void
restart_born(struct restart_history *history, uint64_t now_ns, uint64_t pause_ns)
{
	history->born_ns = now_ns;
	history->pause_ns = pause_ns;
}

/* How long a life has for itself that has a turn to be let alone. */
static uint64_t
space(const struct restart_history *history)
{
	uint32_t doublings = history->spaced < MAX_SPACE_DOUBLINGS ? history->spaced : MAX_SPACE_DOUBLINGS;

	if (history->pause_ns > RESTART_SPACE_MOST_NS >> doublings)
		return RESTART_SPACE_MOST_NS;
	return history->pause_ns << doublings;
}

static bool
is_spaced(const struct restart_history *history)
{
	return history->row % (RESTART_KILLS_AT_ONCE + 1) == RESTART_KILLS_AT_ONCE;
}

uint64_t
restart_kill_at(const struct restart_history *history)
{
	return history->born_ns + (is_spaced(history) ? space(history) : 0);
}

void
restart_killed(struct restart_history *history, uint64_t now_ns)
{
	uint64_t lived = now_ns - history->born_ns;

	if (lived >= RESTART_SETTLED_NS && lived >= 2 * space(history))
		history->row = history->spaced = 0;
	history->spaced += is_spaced(history);
	history->row++;
}

uint64_t
stopping_pause_ns(uint64_t waited_ns)
{
	uint64_t pause = waited_ns / STOPPING_SHARE;

	return pause < STOPPING_LOOK_NS ? STOPPING_LOOK_NS : pause;
}
