/* SPDX-License-Identifier: MIT */
/*
 * Restart policy: limits and back-off.  And how often to look whether one that ended is gone.
 */
#include "restart.h"

enum { MAX_DOUBLINGS = 6 };
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

uint64_t
stopping_pause_ns(uint64_t waited_ns)
{
	uint64_t pause = waited_ns / STOPPING_SHARE;

	return pause < STOPPING_LOOK_NS ? STOPPING_LOOK_NS : pause;
}
